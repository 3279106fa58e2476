#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/bench-twins.sh: what only make bench needs, into build/bench:
#   bin/qemu-system-x86_64   the QEMU that was built, linked once more, with the device's twin in C
#   module/my_rng_twin.ko    the driver's twin in C
#   module/virtio-rng.ko     Linux's own driver, which the guest's kernel is built without
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
unset ARCH CROSS_COMPILE LLVM KBUILD_OUTPUT KBUILD_EXTMOD O M MO

bench=$BUILD/bench
qemu_build=$QEMU_TREE/build
mkdir -p -- "$bench/bin"
# QEMU looks for its firmware from where it is itself.
ln -sfn -- "$QEMU_PREFIX/share" "$bench/share"

# command_of OUTPUT: the command with which QEMU's build makes what ends so
command_of() {
    # Expanded (-x): what does not fit into a command line is in a file that is gone by now.
    ninja -t compdb -x | python3 -c '
import json, sys
for entry in json.load(sys.stdin):
    if entry["output"].endswith(sys.argv[1]):
        print(entry["command"])' "$1"
}

# By the commands of QEMU's own build, for another output: nothing in its folders changes.
link_qemu() {
    local compile link twin=$bench/my-rng-twin.c.o
    cd -- "$qemu_build"
    compile=$(command_of /hw_misc_my-rng.c.o)
    link=$(command_of qemu-system-x86_64)
    if [[ $compile != *" -MD "*" -c ../hw/misc/my-rng.c" || $link != *" -o qemu-system-x86_64 "* ]]; then
        echo "ninja does not give the commands of hw/misc/my-rng.c and qemu-system-x86_64 as bench-twins.sh knows them"
        return 1
    fi
    # Both are quoted for a shell, which puts our files in the place of $1 and $2. They are its input, for
    # they may be too long for an argument.
    sh -s "$twin" "$ROOT/bench/twin/my-rng-twin.c" <<<"${compile%%" -MD "*} -iquote ../hw/misc -o \"\$1\" -c \"\$2\""
    # An object, not an archive: so the linker keeps it, which nothing but its constructor needs.
    sh -s "$bench/.qemu" "$twin" <<<"${link/" -o qemu-system-x86_64 "/" -o \"\$1\" \"\$2\" "}"
    mv -f -- "$bench/.qemu" "$bench/bin/qemu-system-x86_64"
}

build_modules() {
    local folder=$bench/module
    mkdir -p -- "$folder"
    cp -- "$ROOT"/bench/twin/{Kbuild,my_rng_twin.c} "$LINUX_TREE/drivers/char/hw_random/virtio-rng.c" "$folder/"
    make -C "$LINUX_OUT" M="$folder" -j"$JOBS" modules
}

inputs="$(digest "$QEMU_PREFIX/bin/qemu-system-x86_64" "$ROOT/bench/twin/my-rng-twin.c") $bench"
if ! is_made bench-qemu "$inputs" || [[ ! -x $bench/bin/qemu-system-x86_64 ]]; then
    need_space "$BUILD" 200 "linking QEMU with the device's twin"
    unmade bench-qemu
    step bench-qemu "Linking QEMU with the device's twin in C" link_qemu
    made bench-qemu "$inputs"
fi
inputs="$(digest "$STAMPS/linux" "$ROOT/bench/twin") $bench"
if ! is_made bench-modules "$inputs" || [[ ! -e $bench/module/my_rng_twin.ko ]]; then
    unmade bench-modules
    step bench-modules "Building the driver's twin in C, and virtio-rng" build_modules
    made bench-modules "$inputs"
fi
