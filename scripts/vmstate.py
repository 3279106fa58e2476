#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later

"""What scripts/check-vmstate.sh needs to know of QEMU's -dump-vmstate.

vmstate.py take DUMP                the device's section of a dump, as it is committed
vmstate.py section DUMP             the device's section of a dump, whole
vmstate.py complete KNOWN DUMP      a committed section, with what is QEMU's own from a dump
vmstate.py mutants SECTION FOLDER   copies of a section into FOLDER, each with one change that must be seen
"""

import copy
import json
import os
import sys

DEVICE = "my_rng"
PARENT = "parent_obj"
# Of the field with the state of all PCI devices: how large its struct is, and what it consists of,
# is for each QEMU to say, and of no account to a device. That there is one, and where, is ours.
OF_QEMU = ("size", "Description")


def load(path):
    with open(path, encoding="utf-8") as file:
        dump = json.load(file)
    if DEVICE not in dump:
        sys.exit(f"{path} has no section {DEVICE}: is the device in this QEMU?")
    return {DEVICE: dump[DEVICE]}


def fields(section):
    return section[DEVICE]["Description"]["Fields"]


def parents(section):
    return [field for field in fields(section) if field["field"] == PARENT]


def take(dump):
    section = load(dump)
    for parent in parents(section):
        for key in OF_QEMU:
            parent.pop(key, None)
    return section


def complete(known, dump):
    section = load(known)
    for parent, of_qemu in zip(parents(section), parents(load(dump))):
        for key in OF_QEMU:
            if key in of_qemu:
                parent[key] = of_qemu[key]
    return section


def mutants(section):
    """Changes of the format, by name."""

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


def text(section):
    return json.dumps(section, indent=2) + "\n"


def main():
    command, *arguments = sys.argv[1:]
    if command == "take":
        sys.stdout.write(text(take(*arguments)))
    elif command == "section":
        sys.stdout.write(text(load(*arguments)))
    elif command == "complete":
        sys.stdout.write(text(complete(*arguments)))
    elif command == "mutants":
        section, folder = arguments
        for name, changed in mutants(load(section)):
            with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
                file.write(text(changed))
    else:
        sys.exit(__doc__)


main()
