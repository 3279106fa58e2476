#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/fuzz.sh [SECONDS] [TARGET...]    (default: MY_RNG_SECONDS or 60, and all of fuzz/fuzz_targets)
#
# Fuzzes the device models (see fuzz/src/lib.rs), each target SECONDS long, and ends with a table. A finding makes
# the status 1; its input is kept. What a run learns is kept in BUILD/fuzz/corpus, and the next run goes on from there.
# The corpus in fuzz/corpus is only read; to make it again: scripts/fuzz.sh cmin [TARGET...]
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

folder=$BUILD/fuzz

cargo_fuzz() { # cargo_fuzz COMMAND [ARG...]
    # Without a sanitizer: the fuzzed code is safe Rust, whose mistakes are panics; and sanitizers need an unstable
    # compiler. Without tracing comparisons, which takes half of the time: it finds the values that a device compares
    # with, but the targets know these, or have a dictionary.
    "$program" fuzz "$1" --sanitizer none --no-trace-compares --target-dir "$folder/target" "${@:2}"
}

build() {
    # cargo-fuzz would silently rewrite an outdated Cargo.lock.
    cargo fetch --locked --manifest-path fuzz/Cargo.toml
    cargo_fuzz build
}

fuzz() { # fuzz TARGET
    # Longer inputs take longer, and reach hardly more code.
    local options=("-max_total_time=$seconds" -max_len=512 -timeout=20 -print_final_stats=1
        "-artifact_prefix=$folder/findings/$1-")
    if [[ -e fuzz/dictionaries/$1 ]]; then options+=("-dict=fuzz/dictionaries/$1"); fi
    # It writes to the first folder only. A panic's message says enough without a backtrace.
    RUST_BACKTRACE=0 "$binaries/$1" "${options[@]}" "$folder/corpus/$1" "fuzz/corpus/$1"
}

minimise() { # minimise TARGET: keeps the fewest inputs that reach all the code that is reached
    mkdir -p -- "$tmp/$1" "$folder/corpus/$1"
    # Counting how often an edge is passed would keep hundreds of files.
    "$binaries/$1" -merge=1 -use_counters=0 -reduce_inputs=1 "$tmp/$1" "fuzz/corpus/$1" "$folder/corpus/$1"
    rm -rf -- "fuzz/corpus/$1"
    mv -- "$tmp/$1" "fuzz/corpus/$1"
}

figure() { # figure NAME: its last number in the log of $target
    sed -n "s/.*$1: *\([0-9]*\).*/\1/p" -- "$LOG/fuzz-$target.log" | tail -n 1 | grep . || echo -
}

run() { # run TARGET: adds a line to the table
    local target=$1 row
    mkdir -p -- "$folder/corpus/$target" "$folder/findings"
    part "fuzz-$target" "Fuzzing $target for $(duration "$seconds")" fuzz "$target"
    printf -v row '%-11s %12s %8s %9s %7s' "$target" "$(figure stat::number_of_executed_units)" "$(figure '\bcov')" \
        "$(figure '\bft')" "$(figure '\bcorp')"
    # libFuzzer prints the path of the input.
    ((status == 0)) ||
        row+=" $(sed -n 's/.*Test unit written to //p' -- "$LOG/fuzz-$target.log" | grep . || echo 'no input was kept')"
    table+=("$row")
}

action=run seconds=${MY_RNG_SECONDS:-60}
case ${1:-} in
    cmin) action=minimise && shift ;;
    [0-9]*) seconds=$1 && shift ;;
esac
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "$seconds is not a number of seconds: run scripts/fuzz.sh 60, for example."
targets=(fuzz/fuzz_targets/*.rs)
targets=("${targets[@]##*/}")
targets=("${targets[@]%.rs}")
(($#)) || set -- "${targets[@]}"
for target; do
    [[ " ${targets[*]} " == *" $target "* ]] || die "$target is neither a number of seconds" \
        "(make fuzz SECONDS=60) nor a target: those are ${targets[*]}."
done

lock_build
sub "$ROOT/scripts/toolchain.sh"
program=$("$ROOT/scripts/toolchain.sh" cargo-fuzz)
binaries=$folder/target/$(rustc -vV | sed -n 's/^host: //p')/release
step fuzz-build "Building the fuzz targets" build
if [[ $action == minimise ]]; then
    new_tmp "$folder"
    for target; do step "fuzz-cmin-$target" "Minimising the corpus of $target" minimise "$target"; done
    exit 0
fi
may_take=$seconds
printf -v table '%-11s %12s %8s %9s %7s %s' target executions edges features corpus finding
for target; do run "$target"; done
finish_parts || die "a device panics or misbehaves on these inputs: fix it, and check with: $binaries/TARGET FILE"
