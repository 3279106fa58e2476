#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/matrix.sh: builds and tests the device in one QEMU of each series that QEMU_VERSIONS names (by
# default, those of qemu-8.2.9-overlay/series) and whose source can be had: does QEMU build, does the
# overlay's qtest pass, do the end-to-end tests? A series that is not on the list is tried as with FORCE=1.
# Each is built in build/matrix/SERIES, and stays there. Ends with a table and the count; the status is 0
# if nothing failed and something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/series.sh
. "$ROOT/scripts/series.sh"
use_rust

make_folder() { # make_folder FOLDER: a build folder that shares all but QEMU with this one
    local name
    claim "$1"
    for name in bin linux module initramfs.cpio; do ln -sfn -- "$BUILD/$name" "$1/$name"; done
}

in_build() { # in_build FOLDER COMMAND...: with FOLDER as the build folder
    env MY_RNG_BUILD="$1" "${@:2}"
}

build() { # build FOLDER SERIES
    in_build "$1" "$ROOT/scripts/build-qemu.sh" "$2"
    in_build "$1" "$ROOT/scripts/build-guest.sh" where
}

qtest() { # qtest FOLDER
    in_build "$1" "$ROOT/scripts/qtest.sh" "$1/qemu/src/build" my-rng-test
}

end_to_end() { # end_to_end FOLDER
    cd -- "$ROOT"
    in_build "$1" cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

line() { # line SERIES VERSION SOURCE WORD...: adds one to the table
    local word row
    printf -v row '%-7s %-8s %-50s' "${@:1:3}"
    for word in "${@:4}"; do printf -v row '%s %-7s' "$row" "$word"; done
    table+=("${row%"${row##*[! ]}"}")
}

check() { # check SERIES
    local series=$1 folder=$BUILD/matrix/$1 record=$BUILD/matrix/$1/qemu/src.source
    local what words=() result=passed status took
    # A FORCE of the user's is for the QEMU that the others build.
    export MY_RNG_FORCE=
    qemu_is_known "$series" || MY_RNG_FORCE=1
    make_folder "$folder"
    step_may_fail "matrix-$series-source" "QEMU $series: getting the source" \
        in_build "$folder" "$ROOT/scripts/fetch.sh" qemu "$series" "$folder/qemu/src"
    if ((status)); then
        skipped=$((skipped + 1))
        notes+=("QEMU $series could not be had: $(last_line "$LOG/matrix-$series-source.log" | sed 's/^error: //')")
        line "$series" - - skipped
        return
    fi
    if [[ -n $MY_RNG_FORCE ]]; then
        notes+=("QEMU $series is not on the list of the known (qemu-8.2.9-overlay/series): tried as with FORCE=1.")
    fi
    for what in build qtest end_to_end; do
        case $what in
            build) step_may_fail "matrix-$series-build" "QEMU $series: building it with the device" \
                build "$folder" "$series" ;;
            qtest) step_may_fail "matrix-$series-qtest" "QEMU $series: QEMU's own kind of test" \
                qtest "$folder" ;;
            end_to_end) step_may_fail "matrix-$series-end_to_end" "QEMU $series: the end-to-end tests" \
                end_to_end "$folder" ;;
        esac
        if ((status == 0)); then
            words+=(ok)
            continue
        fi
        words+=(FAILED)
        result=failed
        tail -n 20 -- "$LOG/matrix-$series-$what.log" | sed 's/^/    /' >&2
        say "   The whole log: $LOG/matrix-$series-$what.log"
        disk_full_sentence "$LOG/matrix-$series-$what.log"
        # Without a QEMU there is nothing to test.
        [[ $what != build ]] || break
    done
    if [[ $result == passed ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    line "$series" "$(sed -n 's/^version=//p' -- "$record")" "$(sed -n 's/^source=//p' -- "$record")" "${words[@]}"
}

versions=${QEMU_VERSIONS:-$(qemu_series)}
# shellcheck disable=SC2086  # words
set -- $versions
for series; do
    [[ $series =~ ^[0-9]+\.[0-9]+$ ]] ||
        die "QEMU_VERSIONS has $series: give series of QEMU, such as QEMU_VERSIONS='8.2 10.0'."
done
lock_build
sub "$ROOT/scripts/build.sh" packages toolchain programs linux module initramfs

passed=0 failed=0 skipped=0 notes=() table=()
line series version source builds qtest e2e
for series; do check "$series"; done
stop_ticker

printf '%s\n' "${table[@]}" ${notes[@]+"${notes[@]}"}
count="$passed passed, $failed failed"
if ((skipped)); then count+=", $skipped skipped"; fi
printf '%s\n' "$count"
((failed == 0 && passed > 0))
