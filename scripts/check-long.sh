#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-long.sh: the checks that take longer than make test does. One that fails does not keep the
# others from being run; the last line counts them.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

passed=0 failures=()
check() { # check SCRIPT [ARG...]
    local status
    "$ROOT/scripts/$1" "${@:2}" &
    running=("$!")
    wait_for "$!"
    running=()
    if ((status == 0)); then passed=$((passed + 1)); else failures+=("$*"); fi
}

lock_build
sub "$ROOT/scripts/packages.sh" test
sub "$ROOT/scripts/build.sh" all
start_ticker
check fuzz.sh 60
check test.sh device-crash
check check-libvirt.sh
check check-new-device.sh
check check-debug-kernel.sh 180
check check-kernels.sh
check check-bare-debian.sh trixie
check check-bare-debian.sh bookworm
stop_ticker
((${#failures[@]} == 0)) || printf 'FAILED: %s\n' "${failures[@]}"
printf 'checks: %d passed, %d failed\n' "$passed" "${#failures[@]}"
((${#failures[@]} == 0))
