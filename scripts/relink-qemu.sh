# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The QEMU that was built, linked once more with a C file of ours: for scripts/bench-twins.sh and
# scripts/test-qemu.sh. Sourced after scripts/lib.sh, never run. If $devices names a library, that one is linked in
# the place of the devices' own.

command_of() { # command_of OUTPUT: the command with which QEMU's build makes what ends so
    # Expanded (-x): what does not fit into a command line is in a file that is gone by now.
    ninja -t compdb -x | python3 -c '
import json, sys
for entry in json.load(sys.stdin):
    if entry["output"].endswith(sys.argv[1]):
        print(entry["command"])' "$1"
}

# By the commands of QEMU's own build, for another output: nothing in its folders changes.
relink_qemu() { # relink_qemu FOLDER SOURCE [LINK_FLAG...]: FOLDER/bin/qemu-system-x86_64
    local folder=$1 source=$2 compile link object own=hw/misc/qemu-pci/libqemu_pci_devices.a
    shift 2
    object=$folder/${source##*/}.o
    mkdir -p -- "$folder/bin"
    # QEMU looks for its firmware from where it is itself.
    ln -sfn -- "$QEMU_PREFIX/share" "$folder/share"
    cd -- "$QEMU_TREE/build" || return
    compile=$(command_of /hw_misc_my-rng.c.o)
    link=$(command_of qemu-system-x86_64)
    if [[ $compile != *" -MD "*" -c ../hw/misc/my-rng.c" || $link != *" -o qemu-system-x86_64 "* ]]; then
        echo "ninja does not give the commands of hw/misc/my-rng.c and qemu-system-x86_64 as relink-qemu.sh knows them"
        return 1
    fi
    # Both are quoted for a shell, which puts our files in the place of $1, $2 and so on. They are its input, for
    # they may be too long for an argument.
    sh -s "$object" "$source" "$ROOT/guest-app/include" \
        <<<"${compile%%" -MD "*} -iquote \"\$3\" -o \"\$1\" -c \"\$2\""
    if [[ -n ${devices:-} ]]; then
        [[ $link == *" $own "* ]] || { echo "QEMU is not linked with $own" && return 1; }
        link=${link/" $own "/" \"\$devices\" "}
    fi
    # An object, not an archive: so the linker keeps it, which nothing but its constructor needs.
    devices=${devices:-} sh -s "$folder/.qemu" "$object" "$@" <<<"${link/" -o qemu-system-x86_64 "/" -o \"\$@\" "}"
    mv -f -- "$folder/.qemu" "$folder/bin/qemu-system-x86_64"
}

relink_inputs() { # relink_inputs FOLDER SOURCE: what the result follows from
    printf '%s\n' "$(digest "$QEMU_PREFIX/bin/qemu-system-x86_64" "$2" "$ROOT/scripts/relink-qemu.sh") $1"
}
