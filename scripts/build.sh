#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build.sh [all]     builds everything that is not built as it now should be
# scripts/build.sh STEP...   just these: packages toolchain programs qemu linux module initramfs where
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

run() { # run STEP
    case $1 in
        packages) sub "$ROOT/scripts/packages.sh" build ;;
        toolchain) sub "$ROOT/scripts/toolchain.sh" ;;
        programs | initramfs | where) sub "$ROOT/scripts/build-guest.sh" "$1" ;;
        qemu) sub "$ROOT/scripts/build-qemu.sh" ;;
        linux) sub "$ROOT/scripts/build-linux.sh" ;;
        module) sub "$ROOT/scripts/build-linux.sh" module ;;
        all)
            # What is wrong with them is better told now than in the middle.
            sub "$ROOT/scripts/fetch.sh" --check qemu
            sub "$ROOT/scripts/fetch.sh" --check linux
            run packages
            run toolchain
            # Side by side, for neither keeps all processors busy all the time.
            together "$ROOT/scripts/build.sh programs qemu" "$ROOT/scripts/build.sh linux module"
            run initramfs
            run where
            ;;
        *) die "there is no step $1: see the head of scripts/build.sh." ;;
    esac
}

lock_build
(($#)) || set -- all
for what; do run "$what"; done
