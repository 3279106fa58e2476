#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/fuzz.sh [SECONDS] [TARGET...]    (default: MY_RNG_SECONDS or 60, and all of fuzz/fuzz_targets)
#
# Fuzzes the device models (fuzz/src/lib.rs says with what), each target SECONDS
# long, and ends with a table. A finding makes the status 1; the input that shows it is kept. What a
# run learns stays in BUILD/fuzz/corpus, from where the next one goes on; the corpus in fuzz/corpus is
# read only, and is made anew by: scripts/fuzz.sh cmin [TARGET...]
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

folder=$BUILD/fuzz

cargo_fuzz() { # cargo_fuzz COMMAND [ARG...]
    local command=$1
    shift
    # Without a sanitizer: the fuzzed half of rust-dev has no unsafe code, so a mistake is a panic, which is a
    # finding already. Besides, only an unstable compiler has sanitizers.
    # Without a call for each comparison, which takes half of the time. It would help to find the values that the
    # device compares with, but the targets know these (or have a dictionary).
    "$program" fuzz "$command" --sanitizer none --no-trace-compares --target-dir "$folder/target" "$@"
}

build() {
    # cargo-fuzz would rewrite a Cargo.lock that does not fit.
    cargo fetch --locked --manifest-path fuzz/Cargo.toml
    cargo_fuzz build
}

fuzz() { # fuzz TARGET
    # Longer inputs take longer, and reach hardly more.
    local options=("-max_total_time=$seconds" -max_len=512 -timeout=20 -print_final_stats=1
        "-artifact_prefix=$folder/findings/$1-")
    if [[ -e fuzz/dictionaries/$1 ]]; then options+=("-dict=fuzz/dictionaries/$1"); fi
    # The first folder is the one that it writes to.
    # Where it panics says more than the way there.
    RUST_BACKTRACE=0 "$binaries/$1" "${options[@]}" "$folder/corpus/$1" "fuzz/corpus/$1"
}

minimise() { # minimise TARGET: the fewest inputs that reach all that is known to be reached
    mkdir -p -- "$tmp/$1" "$folder/corpus/$1"
    # How often an edge is passed would make it hundreds of files.
    "$binaries/$1" -merge=1 -use_counters=0 -reduce_inputs=1 "$tmp/$1" "fuzz/corpus/$1" "$folder/corpus/$1"
    rm -rf -- "fuzz/corpus/$1"
    mv -- "$tmp/$1" "fuzz/corpus/$1"
}

told() { # told WHAT: the last number that the log has for it
    local number
    number=$(sed -n "s/.*$1: *\([0-9]*\).*/\1/p" -- "$log" | tail -n 1)
    printf '%s\n' "${number:--}"
}

run() { # run TARGET: adds a line to the table
    local status took target=$1 log=$LOG/fuzz-$1.log found count=0
    mkdir -p -- "$folder/corpus/$target" "$folder/findings"
    : >"$folder/findings/.since"
    step_may_fail "fuzz-$target" "Fuzzing $target for $(duration "$seconds")" fuzz "$target"
    while read -r found; do
        count=$((count + 1))
        findings+=("$target: $found")
    done < <(find "$folder/findings" -name "$target-*" -newer "$folder/findings/.since")
    if ((status != 0 && count == 0)); then
        count=1
        findings+=("$target: no input was kept")
    fi
    table+=("$(printf '%-11s %12s %8s %9s %7s %9s' "$target" "$(told stat::number_of_executed_units)" \
        "$(told '\bcov')" "$(told '\bft')" "$(told '\bcorp')" "$count")")
    if ((status != 0)); then
        tail -n 30 -- "$log" | sed 's/^/    /' >&2
        say "   The whole log: $log"
        disk_full_sentence "$log"
    fi
}

action=run seconds=${MY_RNG_SECONDS:-60}
case ${1:-} in
    cmin) action=minimise && shift ;;
    [0-9]*) seconds=$1 && shift ;;
esac
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "$seconds is no number of seconds: say, for example: scripts/fuzz.sh 60"
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
findings=() may_take=$seconds
table=("$(printf '%-11s %12s %8s %9s %7s %9s' target executions edges features corpus findings)")
for target; do run "$target"; done
stop_ticker

printf '%s\n' "${table[@]}"
if ((${#findings[@]})); then
    printf 'FOUND: %s\n' "${findings[@]}"
    die "the fuzzer found ${#findings[@]} input(s) on which a device panics, or does not do what it should:" \
        "fix what is wrong, and see with: $binaries/TARGET FILE"
fi
