#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later

"""Checks that QEMU describes the device's saved state as published.

scripts/check-vmstate.py [--new] [BUILD_DIR]      (default: where make builds QEMU)

The state travels in migrations and is kept in snapshots. A published format never changes: it is in
tests/vmstate/my_rng-vVERSION.json. This compares QEMU's -dump-vmstate with that file, and has QEMU's
vmstate-static-checker.py compare them in both directions. Then it changes the format in every way that matters: each
change must be detected. --new writes the file of a new version.
"""

import copy
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

DEVICE = "my_rng"
PARENT = "parent_obj"
# The field PARENT is the state of all PCI devices. These of its keys differ from QEMU to QEMU; that the field exists,
# and where, is ours.
OF_QEMU = ("size", "Description")
# Changes that QEMU's checker does not look at.
NOT_CHECKED_BY_QEMU = re.compile(r".*-longer|oldest-version-lowered")
ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "tests/vmstate"


def fields(section):
    return section[DEVICE]["Description"]["Fields"]


def parents(section):
    return [field for field in fields(section) if field["field"] == PARENT]


def without_qemus(section):
    section = copy.deepcopy(section)
    for parent in parents(section):
        for key in OF_QEMU:
            parent.pop(key, None)
    return section


def with_qemus(known, dumped):
    for parent, of_qemu in zip(parents(known), parents(dumped)):
        parent.update({key: of_qemu[key] for key in OF_QEMU if key in of_qemu})
    return known


def mutants(section):
    """Changed formats, by name."""

    def change(name, edit):
        changed = copy.deepcopy(section)
        edit(changed)
        return name, changed

    def of_field(index, key, value):
        return lambda changed: fields(changed)[index].update({key: value})

    def of_version(key, add):
        def edit(changed):
            for place in (changed[DEVICE], changed[DEVICE]["Description"]):
                place[key] += add

        return edit

    for index, field in enumerate(fields(section)):
        name = field["field"]
        yield change(f"{name}-renamed", of_field(index, "field", name + "_"))
        yield change(f"{name}-removed", lambda changed, index=index: fields(changed).pop(index))
        yield change(f"{name}-of-a-version", of_field(index, "version_id", field["version_id"] + 1))
        if name != PARENT:
            yield change(f"{name}-larger", of_field(index, "size", field["size"] * 2))
        if "num" in field:
            yield change(f"{name}-longer", of_field(index, "num", field["num"] + 1))
        if index:
            yield change(
                f"{name}-moved",
                lambda changed, index=index: fields(changed).insert(
                    index - 1, fields(changed).pop(index)
                ),
            )
    last = fields(section)[-1]
    yield change("another-field", lambda changed: fields(changed).append(dict(last, field="more")))
    yield change("version-raised", of_version("version_id", 1))
    yield change("version-lowered", of_version("version_id", -1))
    yield change("oldest-version-raised", of_version("minimum_version_id", 1))
    yield change("oldest-version-lowered", of_version("minimum_version_id", -1))


class Checker:
    """QEMU's vmstate-static-checker.py."""

    def __init__(self, build, folder):
        config = (build / "config-host.mak").read_text(encoding="utf-8")
        source = re.search(r"^SRC_PATH=(.*)$", config, re.MULTILINE)[1]
        self.program = pathlib.Path(source) / "scripts/vmstate-static-checker.py"
        if not self.program.exists():
            sys.exit(f"error: {self.program} is missing: use a QEMU whose source is complete.")
        self.folder = folder

    def objections(self, source, destination):
        files = []
        for name, section in ("source", source), ("destination", destination):
            files.append(self.folder / name)
            files[-1].write_text(json.dumps(section), encoding="utf-8")
        said = ""
        for direction in [], ["--reverse"]:
            command = [sys.executable, "-B", self.program, "-s", files[0], "-d", files[1], *direction]
            run = subprocess.run(command, check=False, text=True, capture_output=True)
            if run.returncode:
                said += run.stdout + run.stderr or f"exit status {run.returncode}"
        return said


def lines(section):
    return json.dumps(section, indent=2).splitlines()


def versions():
    return [int(re.search(r"-v(\d+)$", file.stem)[1]) for file in PUBLISHED.glob(f"{DEVICE}-v*.json")]


def main():
    arguments = sys.argv[1:]
    new = arguments[:1] == ["--new"]
    default = pathlib.Path(os.environ.get("MY_RNG_BUILD") or ROOT / "build") / "qemu/src/build"
    build, *more = arguments[new:] or [default]
    if more:
        sys.exit(__doc__)
    build = pathlib.Path(build).resolve()
    # The state is the same in each of its targets.
    qemu = next((file for file in sorted(build.glob("qemu-system-*")) if file.is_file()), None)
    if not qemu:
        sys.exit(f"error: there is no qemu-system-* in {build}: build QEMU there first.")
    with tempfile.TemporaryDirectory() as folder:
        failed = check(qemu, Checker(build, pathlib.Path(folder)), new)
    sys.exit(failed)


def check(qemu, checker, new):
    dump = checker.folder / "dump"
    subprocess.run([qemu, "-machine", "none", "-dump-vmstate", dump], check=True)
    dumped = json.loads(dump.read_text(encoding="utf-8"))
    if DEVICE not in dumped:
        sys.exit(f"error: {qemu} has no saved state of {DEVICE}: build it with the overlay.")
    dumped = {DEVICE: dumped[DEVICE]}
    version = dumped[DEVICE]["version_id"]
    file = PUBLISHED / f"{DEVICE}-v{version}.json"
    if new:
        if file.exists():
            sys.exit(f"error: {file} is published and never changes: raise the state's VERSION first.")
        file.write_text(json.dumps(without_qemus(dumped), indent=2) + "\n", encoding="utf-8")
        print(f"{file} is written: review it, and commit it.")
        return 0
    if version not in versions():
        sys.exit(
            f"error: the state has version {version}, and there is no {file}: go back to the published version, or"
            " write the file with scripts/check-vmstate.py --new."
        )
    if version != max(versions()):
        sys.exit(f"error: the state has version {version}, and {max(versions())} is published: never lower it.")

    known = with_qemus(json.loads(file.read_text(encoding="utf-8")), dumped)
    failed = 0
    objections = checker.objections(known, dumped)
    if known != dumped or objections:
        print(*difflib.unified_diff(lines(known), lines(dumped), "published", "QEMU", lineterm=""), sep="\n")
        print(objections)
        print(f"the state of version {version} is not as published: raise its VERSION, and run this with --new")
        failed = 1
    mutant = by_checker = 0
    for mutant, (name, changed) in enumerate(mutants(known), 1):
        if changed == known:
            print(f"not detected: {name}")
            failed = 1
        if checker.objections(known, changed):
            by_checker += 1
        elif not NOT_CHECKED_BY_QEMU.fullmatch(name):
            print(f"not detected by QEMU's checker: {name}")
            failed = 1
    if not mutant:
        print("there was nothing to change")
        failed = 1
    print(
        f"vmstate: version {version} {'FAILED' if failed else 'as published'}; {mutant} changes of it tried,"
        f" {by_checker} of them detected by QEMU's own checker too"
    )
    return failed


main()
