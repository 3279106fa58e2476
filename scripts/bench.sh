#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/bench.sh: measures, and ends with a table (build/bench/table.md; results.json has everything):
#   from nothing to the demo's PASS   as it was when this checkout was first built; FRESH=1 measures it now, in a
#                                     clone with empty build and cache folders
#   from an edit of rust-dev to it    adds a line to rust-dev/src/lib.rs, in a copy of this checkout
#   QEMU's start to END MY-RNG TEST   under TCG, the median of 5
#   all else                          by bench/: the device and the driver beside their twins in C, and beside other
#                                     sources of bytes for a guest, ROUNDS=15 times; and the driver's ioctls once more,
#                                     in a kernel that inlines C helpers into Rust code, if it can be built
# QUICK=1 takes fewer rounds and skips the edit; PUBLISH=1 also writes docs/benchmarks.md and its charts.
# BASELINE=FILE compares with the results.json of an earlier run.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

for switch in QUICK PUBLISH FRESH; do
    name=MY_RNG_$switch
    [[ ${!name:-0} =~ ^[01]$ ]] || die "$switch=${!name} is neither 0 nor 1: set $switch=1, or leave it out."
done
quick=
if [[ ${MY_RNG_QUICK:-} == 1 ]]; then quick=1; fi
# 6 is the least for which there is a confidence interval.
rounds=${MY_RNG_ROUNDS:-${quick:+6}}
rounds=${rounds:-15}
[[ $rounds =~ ^[1-9][0-9]{0,2}$ ]] ||
    die "ROUNDS=$rounds is not a number from 1 to 999: set ROUNDS=15, for example, or leave it out."
baseline=${MY_RNG_BASELINE:-}
if [[ -n $baseline ]]; then
    [[ -f $baseline && -r $baseline ]] ||
        die "BASELINE=$baseline is not a file that can be read: set it to the results.json of an earlier make bench."
    baseline=$(realpath -- "$baseline")
fi

now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }
since() { # since START: in seconds, with three digits
    local took=$(($(now) - $1))
    printf '%d.%03d' $((took / 1000000)) $((took % 1000000 / 1000))
}

# ---- from nothing ----

fresh="- not known: make demo did not first build this checkout (FRESH=1 measures it)"
if [[ ${MY_RNG_FRESH:-} == 1 ]]; then
    need_space "$BUILD" 5000 "measuring a build from nothing"
    new_tmp "$BUILD"
    git -C "$ROOT" clone --quiet "$ROOT" "$tmp/clone"
    start=$(now)
    child env -u MY_RNG_BUILD XDG_CACHE_HOME="$tmp/cache" make -C "$tmp/clone" demo >"$LOG/bench-fresh.log" 2>&1
    ((status == 0)) || die "the demo in a fresh clone failed: see $LOG/bench-fresh.log"
    fresh="$(since "$start") in a clone with empty build and cache folders"
    rm -rf -- "$tmp"
elif [[ -e $LOG/fresh ]]; then
    fresh="$(<"$LOG/fresh") when this checkout was first built"
fi

lock_build
sub "$ROOT/scripts/build.sh" all

# ---- from an edit ----

edit="- not measured (QUICK=1)"
if [[ -z $quick ]]; then
    # In a copy: this checkout is the user's. The copy builds in the same folder, so it builds again only what depends
    # on the checkout's path.
    new_tmp "$BUILD"
    pack_checkout | tar -C "$tmp" -xf -
    # Without a change here, ninja would keep watching this checkout's files.
    touch -- "$tmp/qemu-8.2.9-overlay/hw/misc/qemu-pci/cargo-staticlib.py"
    say "Building once more, from a copy of this checkout"
    sub "$tmp/scripts/build.sh" all
    # A new symbol, so that the library and QEMU really change.
    printf '\n#[used]\nstatic MY_RNG_BENCH: u64 = %s;\n' "$EPOCHSECONDS" >>"$tmp/rust-dev/src/lib.rs"
    say "Editing the device in the copy and running the demo"
    start=$(now)
    child "$tmp/scripts/task.sh" demo >"$LOG/bench-edit.log" 2>&1
    edit=$(since "$start")
    ((status == 0)) || die "the demo after an edit failed: see $LOG/bench-edit.log"
    rm -rf -- "$tmp"
    say "Building from this checkout again"
    sub "$ROOT/scripts/build.sh" all
fi

# ---- booting ----

say "Booting 5 times"
times=()
for _ in 1 2 3 4 5; do
    took=
    start=$(now)
    exec {said}< <(ACCEL=tcg exec "$BUILD/bin/vm-demo" 2>&1)
    guest=$!
    while IFS= read -r line <&"$said"; do
        if [[ $line == *"END MY-RNG TEST"* ]]; then
            took=$(since "$start")
            break
        fi
    done
    exec {said}<&-
    kill -TERM "$guest" 2>/dev/null || true
    wait "$guest" 2>/dev/null || true
    [[ -n $took ]] || die "the guest did not print END MY-RNG TEST: see what make demo prints."
    times+=("boot $took")
done

# ---- all else ----

# Prints a toolchain whose LLVM is that of an installed clang. This project's comes first.
inline_toolchain() {
    local toolchain about llvm source
    {
        printf '%s\n' "${RUSTUP_TOOLCHAIN:-}"
        if command -v rustup >/dev/null; then rustup toolchain list | cut -d ' ' -f 1; fi
    } | while IFS= read -r toolchain; do
        about=$(RUSTUP_TOOLCHAIN=$toolchain rustc -vV 2>/dev/null) || continue
        # No nightly; and 1.85.0 is the oldest for Linux 7.3.
        [[ $about =~ release:\ ([0-9.]+)$'\n' ]] || continue
        at_least "${BASH_REMATCH[1]}" 1.85.0 || continue
        [[ $about =~ LLVM\ version:\ ([0-9]+) ]] || continue
        llvm=${BASH_REMATCH[1]}
        type -P "clang-$llvm" "ld.lld-$llvm" "llvm-link-$llvm" >/dev/null || continue
        source=$(RUSTUP_TOOLCHAIN=$toolchain rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs
        [[ ! -e $source ]] || {
            printf '%s\n' "$toolchain"
            break
        }
    done
}

rust_host=$(find_arch "$host" && printf %s "$arch_rust")

build_bench() { # reuses what build.sh has compiled
    find_arch "$host"
    build_static -p my-rng-bench
}

measure() {
    local more=()
    if [[ ${MY_RNG_PUBLISH:-} == 1 ]]; then more+=(--publish "$ROOT/docs"); fi
    more+=("${inline[@]}")
    if [[ -n $baseline ]]; then more+=(--baseline "$baseline"); fi
    exec "$BUILD/guest/$rust_host/release/my-rng-bench" --qemu "$BUILD/bench/bin/${QEMU##*/}" \
        --modules "$BUILD/bench/$arch" --out "$BUILD/bench" --times "$BUILD/bench/times" --rounds "$rounds" \
        "${more[@]}"
}

sub "$ROOT/scripts/build-extra.sh" twins >/dev/null
inline=(--no-inline "not measured (QUICK=1)")
if [[ -z $quick ]]; then
    toolchain=$(inline_toolchain)
    if [[ -n $toolchain ]]; then
        RUSTUP_TOOLCHAIN=$toolchain sub "$ROOT/scripts/build-linux.sh" inline
        RUSTUP_TOOLCHAIN=$toolchain sub "$ROOT/scripts/build-linux.sh" inline module
        RUSTUP_TOOLCHAIN=$toolchain sub "$ROOT/scripts/build-extra.sh" inline
        inline=(--inline "$BUILD/linux-inline/$arch")
    else
        inline=(--no-inline "not measured (no clang and rustc with the same LLVM)")
    fi
fi
step bench-build "Building the benchmark" build_bench
put "$BUILD/bench/times" printf '%s\n' "fresh $fresh" "edit $edit" "${times[@]}"
step bench "Measuring: $rounds rounds in one guest, each a few seconds" measure
cat -- "$BUILD/bench/table.md"
