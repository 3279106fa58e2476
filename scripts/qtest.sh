#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/qtest.sh BUILD_DIR [TEST...]
#
# Builds the devices' qtests, and those of QEMU's own that are named, in a folder in which QEMU was built. Runs them
# by QEMU's `meson test` against each qemu-system-ARCH there (ARCH/TEST: against that one), or only against
# $QTEST_QEMU_BINARY. meson fails if a test hangs or does not run all that it planned; BUILD_DIR/meson-logs/testlog.txt
# has all that the tests print.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

(($#)) || die "usage: scripts/qtest.sh BUILD_DIR [TEST...]"
cd -- "$1"
mapfile -t targets < <(find . -maxdepth 1 -type f -executable -name 'qemu-system-*' -printf '%f\n' | sort)
[[ -z ${QTEST_QEMU_BINARY:-} ]] || targets=("$QTEST_QEMU_BINARY")
((${#targets[@]})) || die "there is no qemu-system-* in $1: build QEMU there first."
tests=("$ROOT"/qemu-8.2.9-overlay/tests/qtest/*-test.c)
tests=("${tests[@]##*/}")
tests=("${tests[@]%.c}" "${@:2}")
runs=()
for target in "${targets[@]##*-}"; do
    for test in "${tests[@]}"; do
        if [[ $test != */* || $test == "$target"/* ]]; then runs+=("qtest-$target/${test##*/}"); fi
    done
done
tests=("${tests[@]##*/}")
wrapper=()
if [[ -n ${QTEST_QEMU_BINARY:-} ]]; then wrapper=(--wrapper "env QTEST_QEMU_BINARY=$QTEST_QEMU_BINARY"); fi
new_tmp "$BUILD"

ninja -j"$JOBS" "${tests[@]/#/tests/qtest/}" >"$tmp/ninja" 2>&1 || {
    tail -n 30 -- "$tmp/ninja"
    die "these tests of QEMU could not be built in $1: ${tests[*]}"
}
status=0
# A busy machine needs more than QEMU's time limits.
pyvenv/bin/meson test --no-rebuild --verbose --num-processes "$JOBS" --timeout-multiplier 5 \
    ${wrapper[@]+"${wrapper[@]}"} "${runs[@]}" </dev/null | tee "$tmp/said" || status=$?
passed=$(grep -c -E '^▶ .* OK ' -- "$tmp/said") || true
printf 'qtest: %d passed, %d failed, %d skipped\n' "$passed" \
    "$(grep -c -E '^▶ .* (FAIL|ERROR|UNEXPECTEDPASS)' -- "$tmp/said")" "$(grep -c -E '^▶ .* SKIP' -- "$tmp/said")"
((status == 0 && passed > 0))
