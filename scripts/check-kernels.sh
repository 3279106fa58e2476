#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-kernels.sh [SERIES...]    (default: 7.3 7.2 6.12 6.1)
#
# For each Linux series whose source can be had: do the patches that linux-patches/series has for it
# apply without fuzz, is the series' own checkpatch.pl content, and does what they touch and add compile
# without a warning: with the self-test and without, and where they add Rust code, that with its examples,
# rustfmt and clippy, and the driver, guest-module/, with them and without? Ends with a table and the count;
# the status is 0 if nothing failed and something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/patches.sh
. "$ROOT/scripts/patches.sh"
use_rust
# Those of the series that is being checked, and the Rust files that they add.
patches=() rust=()

choose() { # choose VERSION
    local list
    list=$(linux_patches "$1")
    patches=() rust=()
    [[ -n $list ]] || return 0
    mapfile -t patches <<<"$list"
    list=$(sed -n '/^--- \/dev\/null$/{n;s|^+++ b/\(rust/.*\.rs\)$|\1|p}' -- "${patches[@]}")
    if [[ -n $list ]]; then mapfile -t rust <<<"$list"; fi
}

apply() { # apply TREE
    local patch
    for patch in "${patches[@]}"; do patch -d "$1" -p1 -F0 --no-backup-if-mismatch <"$patch" || return; done
}

checkpatch() { # checkpatch TREE
    # Of Python, only spdxcheck.py wants a package that few have: what it would say is left out. A release's
    # source has no history in which to look up the commit of a "Fixes:" line.
    perl "$1/scripts/checkpatch.pl" --root="$1" --strict --quiet --no-summary --ignore UNKNOWN_COMMIT_ID \
        "${patches[@]}" 2>/dev/null
}

kbuild() { # kbuild TREE OUT TARGET...
    make -C "$1" "O=$2" ARCH=x86_64 "-j$JOBS" "${@:3}"
}

configure() { # configure TREE OUT [CONFIG=VALUE...]: the smallest kernel that has a PCI bus, and these
    local tree=$1 out=$2 option
    shift 2
    mkdir -p "$out"
    printf 'CONFIG_%s\n' 64BIT=y PCI=y PRINTK=y "$@" >"$out/wanted"
    kbuild "$tree" "$out" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig
    for option; do
        # One that is unknown, or lacks something, is dropped without a word.
        grep -qx "CONFIG_$option" "$out/.config" ||
            die "CONFIG_$option did not get into .config: does it depend on something new in this series?"
    done
}

compile() { # compile TREE OUT [CONFIG=VALUE...]
    local tree=$1 out=$2 objects=(init/main.o)
    shift 2
    configure "$tree" "$out" "$@"
    if (($#)); then objects+=(init/my_rng_selftest.o); fi
    rm -f "${objects[@]/#/$out/}"
    kbuild "$tree" "$out" "${objects[@]}" 2>&1 | tee "$out/said"
    ! grep -E 'init/(main|my_rng_selftest)\.[ch]:.*warning:' "$out/said"
}

compile_rust() { # compile_rust TREE OUT: the kernel crate, and its examples
    local tree=$1 out=$2 core file
    use_bindgen
    (cd -- "$tree" && rustfmt --check --edition 2021 "${rust[@]}")
    for core in y m; do
        configure "$tree" "$out" MODULES=y MODULE_UNLOAD=y RUST=y KUNIT=y RUST_KERNEL_DOCTESTS=y "HW_RANDOM=$core"
        rm -f -- "$out/rust/kernel.o"
        kbuild "$tree" "$out" CLIPPY=1 rust/ drivers/char/hw_random/ 2>&1 | tee "$out/said"
        if grep -E 'drivers/char/hw_random/.*warning:' "$out/said"; then return 1; fi
        for file in "${rust[@]}"; do
            # What the compiler has to say of a file comes with the place in it.
            if grep -F -e "$file:" "$out/said"; then return 1; fi
        done
        # All this goes into vmlinux, which would not link if it wanted something of a module.
        if [[ $core == m ]] && nm -u "$out"/rust/*.o | grep -w 'hwrng_[a-z]*'; then return 1; fi
    done
}

compile_module() { # compile_module TREE OUT: the driver, against what compile_rust left in OUT
    local tree=$1 out=$2 core
    use_bindgen
    kbuild "$tree" "$out" modules_prepare
    # Without hw_random, the driver is that of a kernel without the patch for it.
    for core in m ''; do
        rm -rf -- "$out/module"
        mkdir -- "$out/module"
        # There is no kernel that could have the symbols: modpost says so of each.
        make -C "$out" M="$ROOT/guest-module" MO="$out/module" ARCH=x86_64 "-j$JOBS" CLIPPY=1 \
            CONFIG_HW_RANDOM="$core" KBUILD_MODPOST_WARN=1 modules 2>&1 | tee "$out/said"
        # All that is compiled here is ours.
        if grep -E '^warning|: warning:' "$out/said"; then return 1; fi
    done
}

version() { # version TREE
    sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' "$1/Makefile" | paste -sd . -
}

check() { # check SERIES: adds a line to the table
    local series=$1 status took tree line what result=passed
    new_tmp "$BUILD"
    tree=$tmp/src
    need_space "$tmp" 2500 "checking the patches on Linux $series"
    step_may_fail "kernel-$series-source" "Getting the source of Linux $series" \
        "$ROOT/scripts/fetch.sh" linux "$series" "$tree"
    if ((status)); then
        skipped=$((skipped + 1))
        table+=("$(printf '%-7s %-10s %s' "$series" - "skipped: $(last_line "$LOG/kernel-$series-source.log")")")
        rm -rf -- "$tmp"
        return
    fi
    choose "$(version "$tree")"
    ((${#patches[@]})) || die "$ROOT/linux-patches/series has no patch for Linux $series: ask for another series."
    line=$(printf '%-7s %-10s' "$series" "$(version "$tree")")
    for what in apply checkpatch with without rust module; do
        if [[ $what == rust || $what == module ]]; then
            if ((${#rust[@]} == 0)); then
                line+=$(printf ' %-10s' -)
                continue
            fi
            sub "$ROOT/scripts/toolchain.sh" bindgen >/dev/null
        fi
        case $what in
            apply) step_may_fail "kernel-$series-$what" "Linux $series: applying the patches" apply "$tree" ;;
            checkpatch) step_may_fail "kernel-$series-$what" "Linux $series: checkpatch.pl" checkpatch "$tree" ;;
            with) step_may_fail "kernel-$series-$what" "Linux $series: compiling with the self-test" \
                compile "$tree" "$tmp/out" MY_RNG_SELFTEST=y ;;
            without) step_may_fail "kernel-$series-$what" "Linux $series: compiling without it" \
                compile "$tree" "$tmp/out" ;;
            rust) step_may_fail "kernel-$series-$what" "Linux $series: compiling the Rust code" \
                compile_rust "$tree" "$tmp/out-rust" ;;
            module) step_may_fail "kernel-$series-$what" "Linux $series: compiling the driver" \
                compile_module "$tree" "$tmp/out-rust" ;;
        esac
        if ((status == 0)); then
            line+=$(printf ' %-10s' ok)
            continue
        fi
        line+=$(printf ' %-10s' FAILED)
        result=failed
        tail -n 20 -- "$LOG/kernel-$series-$what.log" | sed 's/^/    /' >&2
        say "   The whole log: $LOG/kernel-$series-$what.log"
        # What was only half patched tells nothing.
        [[ $what != apply ]] || break
    done
    if [[ $result == passed ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    table+=("$line")
    # Takes its time: some 80000 files.
    step "kernel-$series-remove" "Linux $series: removing the copy" rm -rf -- "$tmp"
}

passed=0 failed=0 skipped=0
table=("$(printf '%-7s %-10s %-10s %-10s %-10s %-10s %-10s %s' series version applies checkpatch with without rust module)")
lock_build
(($#)) || set -- 7.3 7.2 6.12 6.1
for series; do check "$series"; done

printf '%s\n' "${table[@]}"
count="$passed passed, $failed failed"
if ((skipped)); then count+=", $skipped skipped"; fi
printf '%s\n' "$count"
((failed == 0 && passed > 0))
