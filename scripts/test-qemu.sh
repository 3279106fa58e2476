#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/test-qemu.sh: the QEMU that was built, linked once more with the devices that the end-to-end tests need
# (tests/qemu/test-devices.c); prints its path. The tests call it by themselves.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/relink-qemu.sh
. "$ROOT/scripts/relink-qemu.sh"
# make test has the lock already, and what it starts has it with it. Tests that are started by hand have none.
lock_build

folder=$BUILD/test-qemu source=$ROOT/tests/qemu/test-devices.c
inputs=$(relink_inputs "$folder" "$source")
if ! is_made test-qemu "$inputs" || [[ ! -x $folder/bin/qemu-system-x86_64 ]]; then
    need_space "$BUILD" 200 "linking QEMU with the devices of the tests"
    unmade test-qemu
    step test-qemu "Linking QEMU with the devices of the tests" \
        relink_qemu "$folder" "$source" -Wl,--wrap=qemu_guest_getrandom
    made test-qemu "$inputs"
fi
printf '%s\n' "$folder/bin/qemu-system-x86_64"
