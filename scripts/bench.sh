#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/bench.sh: how long things take here:
#   from nothing to the demo's verdict   as it was when this checkout was first built; FRESH=1 measures it
#                                        now, in a clone with empty build and cache folders
#   from an edit of rust-dev to it       a line is added to rust-dev/src/lib.rs and taken off again
#   QEMU's start to END MY-RNG TEST      under TCG, the median of 5
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds() { # seconds MICROSECONDS
    printf '%d.%02d s' $(($1 / 1000000)) $(($1 % 1000000 / 10000))
}
now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

edited=$ROOT/rust-dev/src/lib.rs
original=$BUILD/bench-lib.rs.original
restore() { # puts the edited file back, with a time that tells cargo so; leaves the status as it was
    local status=$?
    if [[ -e $original ]]; then
        cat -- "$original" >"$edited"
        rm -f -- "$original"
    fi
    return "$status"
}
# A bench that was killed could not.
restore

if [[ ${FRESH:-} == 1 ]]; then
    need_space "$BUILD" 5000 "measuring a build from nothing"
    new_tmp "$BUILD"
    git -C "$ROOT" clone --quiet "$ROOT" "$tmp/clone"
    start=$(now)
    env -u BUILD XDG_CACHE_HOME="$tmp/cache" make -C "$tmp/clone" demo >"$LOG/bench-fresh.log" 2>&1 ||
        die "the demo in a fresh clone failed: see $LOG/bench-fresh.log"
    fresh="$(seconds $(($(now) - start))) (a clone with empty build and cache folders)"
    rm -rf -- "$tmp"
elif [[ -e $LOG/fresh ]]; then
    fresh="$(duration "$(<"$LOG/fresh")") (when this checkout was first built; FRESH=1 measures it anew)"
else
    fresh="not known: this checkout was not first built by make demo (FRESH=1 measures it)"
fi

sub "$ROOT/scripts/build.sh" all

say "Editing the device and running the demo"
cp -- "$edited" "$original.part"
mv -- "$original.part" "$original"
trap 'restore; at_exit' EXIT
# A symbol of its own, so that the library and QEMU really change.
printf '\n#[used]\nstatic MY_RNG_BENCH: u64 = %s;\n' "$EPOCHSECONDS" >>"$edited"
start=$(now)
"$ROOT/scripts/demo.sh" >"$LOG/bench-edit.log" 2>&1 &
running=("$!")
wait_for "$!"
running=()
edit=$(($(now) - start))
restore
trap at_exit EXIT
((status == 0)) || die "the demo after an edit failed: see $LOG/bench-edit.log"
sub "$ROOT/scripts/build.sh" qemu

say "Booting 5 times"
export ACCEL=tcg
times=()
for _ in 1 2 3 4 5; do
    took=
    start=$(now)
    exec {said}< <(exec "$BUILD/bin/vm-demo" 2>&1)
    guest=$!
    while IFS= read -r line <&"$said"; do
        if [[ $line == *"END MY-RNG TEST"* ]]; then
            took=$(($(now) - start))
            break
        fi
    done
    exec {said}<&-
    kill -TERM "$guest" 2>/dev/null || true
    wait "$guest" 2>/dev/null || true
    [[ -n $took ]] || die "the guest did not come to END MY-RNG TEST: see what make demo says."
    times+=("$took")
done
mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
stop_ticker

printf '%-42s %s\n' "from nothing to the demo's verdict:" "$fresh"
printf '%-42s %s\n' "from an edit of rust-dev to the verdict:" "$(seconds "$edit")"
printf '%-42s %s (median of 5; %s to %s)\n' "QEMU's start to END MY-RNG TEST, TCG:" \
    "$(seconds "${times[2]}")" "$(seconds "${times[0]}")" "$(seconds "${times[4]}")"
