#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""crate-licenses.py TARGET: prints a paragraph for debian/copyright for each crate that the app or QEMU is linked with,
when they are compiled for rustc's TARGET."""

import json
import pathlib
import re
import subprocess
import sys

TARGET = sys.argv[1]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, stdout=subprocess.PIPE, text=True).stdout


def linked():
    """The crates' names and versions. Procedural macros run in the compiler only."""
    crates = set()
    for package in ["-p=my-rng"], ["-p=my-rng-dev", "--features=qemu"]:
        tree = cargo("tree", *package, f"--target={TARGET}", "--edges=normal,no-proc-macro", "--prefix=none")
        crates |= {tuple(line.replace(" v", " ").split()[:2]) for line in tree.splitlines()}
    return crates


def holders(crate):
    """From the crate's MIT license; where that names nobody, the authors."""
    lines = []
    for file in sorted(pathlib.Path(crate["manifest_path"]).parent.glob("LICENSE*")):
        if "Permission is hereby granted" in (text := file.read_text()):
            lines += re.findall(r"^Copyright (?:\(c\) )?(.+)$", text, re.MULTILINE)
    return lines or crate["authors"] or [f"the developers of {crate['name']}"]


names = linked()
metadata = json.loads(cargo("metadata", "--format-version=1", f"--filter-platform={TARGET}"))
for crate in metadata["packages"]:
    # The workspace's own crates have no source.
    if not crate["source"] or (crate["name"], crate["version"]) not in names:
        continue
    if "MIT" not in re.split(r" OR |/", crate["license"]):
        sys.exit(f"{crate['name']} is not available under the MIT license: add its license to {__file__}.")
    print(f"\nFiles: crates/{crate['name']}-{crate['version']}/*\nCopyright:")
    print(*(f" {line}" for line in holders(crate)), sep="\n")
    print("License: MIT")
