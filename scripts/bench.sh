#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/bench.sh: measures, and ends with a table (build/bench/table.md; results.json has it all):
#   from nothing to the demo's verdict   as it was when this checkout was first built; FRESH=1 measures it
#                                        now, in a clone with empty build and cache folders
#   from an edit of rust-dev to it       a line is added to rust-dev/src/lib.rs, in a copy of this checkout
#   QEMU's start to END MY-RNG TEST      under TCG, the median of 5
#   all else                             by bench/: the device and the driver beside their twins in C, and
#                                        beside what else gives a guest bytes, ROUNDS=15 times
# QUICK=1 has fewer rounds and no edit; PUBLISH=1 writes docs/benchmarks.md and its charts, too.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

for switch in QUICK PUBLISH FRESH; do
    name=MY_RNG_$switch
    case ${!name:-0} in
        0 | 1) ;;
        *) die "$switch=${!name} is neither 0 nor 1: say $switch=1, or leave it out." ;;
    esac
done
rounds=15
if [[ ${MY_RNG_QUICK:-} == 1 ]]; then rounds=5; fi
rounds=${MY_RNG_ROUNDS:-$rounds}
[[ $rounds =~ ^[1-9][0-9]{0,2}$ ]] ||
    die "ROUNDS=$rounds is no number from 1 to 999: say ROUNDS=15, for example, or leave it out."

seconds() { # seconds MICROSECONDS
    printf '%d.%03d' $(($1 / 1000000)) $(($1 % 1000000 / 1000))
}
now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

if [[ ${MY_RNG_FRESH:-} == 1 ]]; then
    need_space "$BUILD" 5000 "measuring a build from nothing"
    new_tmp "$BUILD"
    git -C "$ROOT" clone --quiet "$ROOT" "$tmp/clone"
    start=$(now)
    env -u MY_RNG_BUILD XDG_CACHE_HOME="$tmp/cache" make -C "$tmp/clone" demo >"$LOG/bench-fresh.log" 2>&1 ||
        die "the demo in a fresh clone failed: see $LOG/bench-fresh.log"
    fresh="$(seconds $(($(now) - start))) in a clone with empty build and cache folders"
    rm -rf -- "$tmp"
elif [[ -e $LOG/fresh ]]; then
    fresh="$(<"$LOG/fresh") when this checkout was first built"
else
    fresh="- not known: this checkout was not first built by make demo (FRESH=1 measures it)"
fi

lock_build
sub "$ROOT/scripts/build.sh" all

edit="- not measured (QUICK=1)"
if [[ ${MY_RNG_QUICK:-} != 1 ]]; then
    # In a copy: this checkout is the user's. It builds in the same folder, where only what knows where the
    # checkout is has to be made again.
    new_tmp "$BUILD"
    pack_checkout | tar -C "$tmp" -xf -
    # Or ninja would go on watching the files of this checkout, for nothing has changed.
    touch -- "$tmp/qemu-8.2.9-overlay/hw/misc/qemu-pci/cargo-staticlib.py"
    say "Building once more, from a copy of this checkout"
    sub "$tmp/scripts/build.sh" all
    # A symbol of its own, so that the library and QEMU really change.
    printf '\n#[used]\nstatic MY_RNG_BENCH: u64 = %s;\n' "$EPOCHSECONDS" >>"$tmp/rust-dev/src/lib.rs"
    say "Editing the device in the copy and running the demo"
    start=$(now)
    "$tmp/scripts/demo.sh" >"$LOG/bench-edit.log" 2>&1 &
    running=("$!")
    wait_for "$!"
    running=()
    edit=$(seconds $(($(now) - start)))
    ((status == 0)) || die "the demo after an edit failed: see $LOG/bench-edit.log"
    rm -rf -- "$tmp"
    say "Building from this checkout again"
    sub "$ROOT/scripts/build.sh" all
fi

say "Booting 5 times"
accel=${ACCEL:-}
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
stop_ticker

# The program, with what build_programs of scripts/build-guest.sh has compiled already.
build_bench() {
    cd -- "$ROOT"
    env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --release --locked --target "$target" --target-dir "$BUILD/guest" --jobs "$JOBS" -p my-rng-bench
}
measure() {
    local publish=()
    if [[ ${MY_RNG_PUBLISH:-} == 1 ]]; then publish=(--publish "$ROOT/docs"); fi
    exec "$BUILD/guest/$target/release/my-rng-bench" --qemu "$BUILD/bench/bin/qemu-system-x86_64" \
        --modules "$BUILD/bench/module" --out "$BUILD/bench" --times "$BUILD/bench/times" --rounds "$rounds" \
        "${publish[@]}"
}
use_rust
target=x86_64-unknown-linux-gnu
if [[ -n $accel ]]; then export ACCEL=$accel; else unset ACCEL; fi
sub "$ROOT/scripts/bench-twins.sh"
step bench-build "Building the benchmark" build_bench
printf -v measured 'fresh %s\nedit %s' "$fresh" "$edit"
for took in "${times[@]}"; do printf -v measured '%s\nboot %s' "$measured" "$(seconds "$took")"; done
put "$BUILD/bench/times" <<<"$measured"
step bench "Measuring: $rounds rounds in one guest, each a few seconds" measure
stop_ticker
cat -- "$BUILD/bench/table.md"
