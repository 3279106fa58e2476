#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/bench-twins.sh: what only make bench needs, into build/bench:
#   bin/qemu-system-x86_64   the QEMU that was built, linked once more, with the device's twin in C
#   module/my_rng_twin.ko    the driver's twin in C
#   module/virtio-rng.ko     Linux's own driver, which the guest's kernel is built without
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/relink-qemu.sh
. "$ROOT/scripts/relink-qemu.sh"
unset ARCH CROSS_COMPILE LLVM KBUILD_OUTPUT KBUILD_EXTMOD O M MO

bench=$BUILD/bench

build_modules() {
    local folder=$bench/module
    mkdir -p -- "$folder"
    cp -- "$ROOT"/bench/twin/{Kbuild,my_rng_twin.c} "$LINUX_TREE/drivers/char/hw_random/virtio-rng.c" "$folder/"
    make -C "$LINUX_OUT" M="$folder" -j"$JOBS" modules
}

twin=$ROOT/bench/twin/my-rng-twin.c
inputs=$(relink_inputs "$bench" "$twin")
if ! is_made bench-qemu "$inputs" || [[ ! -x $bench/bin/qemu-system-x86_64 ]]; then
    need_space "$BUILD" 200 "linking QEMU with the device's twin"
    unmade bench-qemu
    step bench-qemu "Linking QEMU with the device's twin in C" relink_qemu "$bench" "$twin"
    made bench-qemu "$inputs"
fi
inputs="$(digest "$STAMPS/linux" "$ROOT/bench/twin") $bench"
if ! is_made bench-modules "$inputs" || [[ ! -e $bench/module/my_rng_twin.ko ]]; then
    unmade bench-modules
    step bench-modules "Building the driver's twin in C, and virtio-rng" build_modules
    made bench-modules "$inputs"
fi
