#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/qtest.sh BUILD_DIR TEST...
#
# Builds tests of QEMU's own (tests/qtest/TEST) in a folder in which QEMU is built, and runs them against
# the qemu-system-x86_64 there, or against $QTEST_QEMU_BINARY. Prints what TAP says of each test case, a line for each test, and the
# total; all that a test said is in BUILD_DIR/tests/qtest/TEST.log. The status is 0 if nothing failed and
# something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

(($# >= 2)) || die "usage: scripts/qtest.sh BUILD_DIR TEST..."
build=$1
shift
[[ -x $build/qemu-system-x86_64 ]] ||
    die "there is no qemu-system-x86_64 in $build: build QEMU there first."
cd -- "$build"
build=$PWD

# For the ones that hang: QEMU's own slow tests may take so long.
deadline=900

tap() { # tap LOG STATUS: sets passed, failed, skipped and, if the test was not as it should be, trouble
    local line plan='' number=0
    passed=0 failed=0 skipped=0 trouble=
    while IFS= read -r line; do
        case $line in
            "1.."*) plan=${line#1..} ;;
            "not ok "*) failed=$((failed + 1)) number=$((number + 1)) ;;
            "ok "*\#*[Ss][Kk][Ii][Pp]*) skipped=$((skipped + 1)) number=$((number + 1)) ;;
            "ok "*) passed=$((passed + 1)) number=$((number + 1)) ;;
        esac
    done <"$1"
    if (($2 == 124 || $2 == 137)); then
        trouble="it hung for $(duration "$deadline") and was ended"
    elif (($2)); then
        trouble="it ended with status $2"
    elif [[ $plan != "$number" ]]; then
        trouble="$number of its ${plan:-?} test cases came to an end"
    fi
}

targets=("${@/#/tests/qtest/}")
ninja -j"$JOBS" "${targets[@]}" >"$build/tests/qtest/.ninja.log" 2>&1 || {
    tail -n 30 -- "$build/tests/qtest/.ninja.log" || true
    die "these tests of QEMU could not be built in $build: $*"
}

# As QEMU's own build calls them.
export QTEST_QEMU_BINARY=${QTEST_QEMU_BINARY:-./qemu-system-x86_64} PYTHON=$build/pyvenv/bin/python3
if [[ -x qemu-img ]]; then export QTEST_QEMU_IMG=./qemu-img; fi

all_passed=0 all_failed=0 all_skipped=0 bad=()
for name; do
    log=$build/tests/qtest/$name.log started=$EPOCHSECONDS status=0
    # In our process group, to be ended with us; a QEMU ends with the test that started it.
    timeout --foreground --kill-after=10 "$deadline" "tests/qtest/$name" --tap -k >"$log" 2>&1 </dev/null || status=$?
    tap "$log" "$status"
    grep -a -E '^(ok|not ok|Bail out!)' -- "$log" || true
    # One that was cut off in the middle did not say so itself.
    if [[ -n $trouble ]] && ((failed == 0)); then failed=1; fi
    took=$(duration $((EPOCHSECONDS - started)))
    printf '%s: %d passed, %d failed, %d skipped in %s\n' "$name" "$passed" "$failed" "$skipped" "$took"
    if ((failed)); then
        bad+=("$name")
        tail -n 20 -- "$log" | sed 's/^/    /'
        printf '%s: %s; all that it said is in %s\n' "$name" "${trouble:-it ended with status 0 all the same}" "$log"
    fi
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed)) all_skipped=$((all_skipped + skipped))
done
printf 'qtest: %d passed, %d failed, %d skipped' "$all_passed" "$all_failed" "$all_skipped"
if ((${#bad[@]})); then printf '; FAILED: %s' "${bad[*]}"; fi
printf '\n'
((${#bad[@]} == 0 && all_passed > 0))
