#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later

"""Builds a Rust static library with cargo for meson: knows when to run again, and leaves the
library untouched when nothing in it changed, so that nothing is linked again."""

import argparse
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys


def dependencies(cargo_depfile):
    """The files that cargo's depfile names, still escaped as make wants them."""
    with open(cargo_depfile, encoding="utf-8") as depfile:
        for line in depfile:
            _, _, names = line.rstrip("\n").partition(": ")
            if names:
                return names
    return ""


def output(command, folder, env):
    """The standard output of a command. Ends this program if the command fails."""
    done = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} does not work here: {done.stderr.strip()}")
    return done.stdout


def library(messages, manifest):
    """The path of the static library that cargo made, from cargo's messages (--message-format=json)."""
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("manifest_path") == manifest and "staticlib" in message["target"]["kind"]:
            for name in message["filenames"]:
                if name.endswith(".a"):
                    return name
    sys.exit(f"{manifest} makes no static library: write crate-type = [\"staticlib\", \"lib\"] under [lib]")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cargo", "manifest", "qemu-build-dir", "target-dir", "output", "depfile"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument(
        "--rustc", action="append", default=[], help="the compiler of QEMU's own Rust code, a word at a time"
    )
    parser.add_argument("--target", help="the Rust target of the machine that is to run QEMU; by default this machine's")
    args = parser.parse_args()

    # Cargo looks for the workspace above the manifest as it is named, not where a link leads.
    manifest = os.path.realpath(args.manifest)
    crate = os.path.dirname(manifest)

    env = dict(os.environ, QEMU_BUILD_DIR=args.qemu_build_dir)
    # Variables for make, or for a cargo that runs this one, would confuse it.
    for name in list(env):
        if name in ("MAKEFLAGS", "MFLAGS", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS") or name.startswith(
            ("CARGO_BUILD_", "CARGO_MAKEFLAGS", "CARGO_PROFILE_", "CARGO_TARGET_")
        ):
            del env[name]
    if args.rustc:
        # rustc may be rustup's, which would choose another compiler in the crate's folder.
        sysroot = output([*args.rustc, "--print", "sysroot"], args.qemu_build_dir, env)
        env["RUSTC"] = os.path.join(sysroot.strip(), "bin", "rustc")
        about = output([env["RUSTC"], "-vV"], crate, env)
    else:
        # In the crate, so that rustup sees the repository's rust-toolchain.toml.
        about = output([args.cargo, "-vV"], crate, env)
    host = re.search(r"^host: (\S+)$", about, re.MULTILINE)
    if not host:
        sys.exit(f"the output of cargo -vV, or rustc -vV, names no host: {about.strip()}")
    target = args.target or host[1]
    if target != host[1]:
        rustc = env.get("RUSTC", "rustc")
        library_folder = output([rustc, "--print", "target-libdir", "--target", target], crate, env).strip()
        if not os.path.isdir(library_folder):
            sys.exit(
                f"Rust's standard library for {target} is not installed: run rustup target add {target} in {crate},"
                " or install the distribution's package of it (Debian's libstd-rust-dev of that architecture)"
            )
    command = [args.cargo, "build", "--quiet", "--release", "--locked", "--features", "qemu"]
    command += ["--message-format", "json-render-diagnostics"]
    # The target is named, or the user's own configuration might name another.
    command += ["--target", target, "--manifest-path", manifest, "--target-dir", args.target_dir]
    done = subprocess.run(command, cwd=crate, env=env, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("cargo could not build the Rust library of the devices; its messages are above")

    built = library(done.stdout, manifest)
    if not (os.path.exists(args.output) and filecmp.cmp(built, args.output, shallow=False)):
        shutil.copyfile(built, args.output)

    locate = [args.cargo, "locate-project", "--workspace", "--message-format", "plain"]
    workspace = os.path.dirname(output(locate, crate, env).strip())
    manifests = [
        os.path.join(workspace, "Cargo.toml"),
        os.path.join(workspace, "Cargo.lock"),
        os.path.join(workspace, "rust-toolchain.toml"),
        manifest,
    ]
    names = [name.replace(" ", "\\ ") for name in manifests if os.path.exists(name)]
    with open(args.depfile, "w", encoding="utf-8") as depfile:
        depfile.write(f"{args.output}: {dependencies(os.path.splitext(built)[0] + '.d')} {' '.join(names)}\n")


main()
