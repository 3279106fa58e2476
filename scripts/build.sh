#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build.sh [all]     builds everything that is not built as it now should be
# scripts/build.sh STEP...   just these: packages toolchain programs qemu linux module initramfs where
#
# One at a time in a checkout: a second one waits for the first.
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
            together "$ROOT/scripts/build.sh --part programs qemu" "$ROOT/scripts/build.sh --part linux module"
            run initramfs
            run where
            ;;
        *) die "there is no step $1: see the head of scripts/build.sh." ;;
    esac
}

if [[ ${1:-} == --part ]]; then
    shift
else
    exec {lock}>>"$BUILD/lock" || die "$BUILD cannot be written: is the disk full?"
    if ! flock -n "$lock"; then
        say "Another make is at work in this checkout: waiting for it to end"
        flock "$lock" &
        wait_for "$!"
    fi
    sweep "$BUILD" "$BUILD"/*
fi
(($#)) || set -- all
for what; do run "$what"; done
