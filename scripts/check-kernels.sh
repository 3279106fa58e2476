#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-kernels.sh [SERIES...]    (default: 7.3 7.2 6.12 6.8 6.6 6.1)
#
# Checks linux-patches/ on each Linux series whose source can be found: the patches for it apply without fuzz, the
# series' own checkpatch.pl is content, and what they touch and add compiles without a warning, with the self-test
# and without. Where they add Rust code, also: that code with its examples, rustfmt and clippy, and the driver
# (guest-module/) with hw_random as a module and without. Ends with a table and the counts; the status is 0 if nothing failed and
# something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lists.sh
. "$ROOT/scripts/lists.sh"
use_rust
use_kbuild
# The patches for the series being checked, and the Rust files that they add.
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
    # Standard error is what spdxcheck.py says without its Python package. A release's source has no history in which
    # to look up the commit of a "Fixes:" line.
    perl "$1/scripts/checkpatch.pl" --root="$1" --strict --quiet --no-summary --ignore UNKNOWN_COMMIT_ID \
        "${patches[@]}" 2>/dev/null
}

kbuild() { # kbuild TREE OUT TARGET...
    make -C "$1" "O=$2" "-j$JOBS" "${@:3}"
}

configure() { # configure TREE OUT [CONFIG=VALUE...]: the smallest kernel that has a PCI bus, and these
    local tree=$1 out=$2 option
    shift 2
    mkdir -p "$out"
    printf 'CONFIG_%s\n' 64BIT=y PCI=y PRINTK=y "$@" >"$out/wanted"
    kbuild "$tree" "$out" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig
    for option; do
        # Kconfig drops options that are unknown or lack a dependency, without a message.
        grep -qx "CONFIG_$option" "$out/.config" ||
            die "CONFIG_$option did not get into .config: does it depend on something new in this series?"
    done
}

compile() { # compile TREE OUT [CONFIG=VALUE...]
    local tree=$1 out=$2 objects=(init/main.o)
    shift 2
    configure "$tree" "$out" "$@"
    if (($#)); then objects+=(init/my_rng_selftest.o); fi
    rm -f "${objects[@]/#/"$out"/}"
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
            # The compiler's messages name the file.
            if grep -F -e "$file:" "$out/said"; then return 1; fi
        done
        # This code goes into vmlinux, which cannot link with a module's symbols.
        if [[ $core == m ]] && nm -u "$out"/rust/*.o | grep -w 'hwrng_[a-z]*'; then return 1; fi
    done
}

compile_module() { # compile_module TREE OUT: the driver, against what compile_rust left in OUT
    local tree=$1 out=$2 core
    use_bindgen
    for core in m n; do
        # compile_rust has left a kernel that has hw_random as a module.
        if [[ $core == n ]]; then configure "$tree" "$out" MODULES=y MODULE_UNLOAD=y RUST=y KUNIT=y; fi
        kbuild "$tree" "$out" modules_prepare
        rm -rf -- "$out/module"
        mkdir -- "$out/module"
        # No kernel was built, so modpost finds none of its symbols.
        make -C "$out" M="$ROOT/guest-module" MO="$out/module" "-j$JOBS" CLIPPY=1 \
            KBUILD_MODPOST_WARN=1 modules 2>&1 | tee "$out/said"
        # All that is compiled here is ours, so every warning counts.
        if grep -E '^warning|: warning:' "$out/said"; then return 1; fi
        if [[ $core == n ]] && nm -u "$out/module/my_rng.ko" | grep -w 'hwrng_[a-z]*'; then return 1; fi
    done
}

version() { # version TREE
    sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' "$1/Makefile" | paste -sd . -
}

try() { # try SERIES: adds a line to the table
    local series=$1 tree row kernel="kernel-$1" about="Linux $1:"
    need_space "$BUILD" 2500 "checking the patches on Linux $series"
    new_tmp "$BUILD"
    tree=$tmp/src
    step_may_fail "$kernel-source" "$about getting the source" "$ROOT/scripts/fetch.sh" linux "$series" "$tree"
    if ((status)); then
        skip "Linux $series" "$(last_line "$LOG/$kernel-source.log")"
        rm -rf -- "$tmp"
        return
    fi
    choose "$(version "$tree")"
    ((${#patches[@]})) || die "$ROOT/linux-patches/series has no patch for Linux $series: ask for another series."
    printf -v row '%-7s %-10s' "$series" "$(version "$tree")"
    row_part "$kernel" apply "$about applying the patches" apply "$tree"
    if ((status == 0)); then
        row_part "$kernel" checkpatch "$about checkpatch.pl" checkpatch "$tree"
        row_part "$kernel" with "$about compiling with the self-test" compile "$tree" "$tmp/out" MY_RNG_SELFTEST=y
        row_part "$kernel" without "$about compiling without it" compile "$tree" "$tmp/out"
        if ((${#rust[@]})); then
            sub "$ROOT/scripts/toolchain.sh" bindgen >/dev/null
            row_part "$kernel" rust "$about compiling the Rust code" compile_rust "$tree" "$tmp/out-rust"
            row_part "$kernel" module "$about compiling the driver" compile_module "$tree" "$tmp/out-rust"
        fi
    fi
    table+=("$row")
    # This takes its time: some 80000 files.
    step "$kernel-remove" "$about removing the copy" rm -rf -- "$tmp"
}

printf -v table '%-7s %-10s %s' series version passed
lock_build
(($#)) || set -- 7.3 7.2 6.12 6.8 6.6 6.1
for series; do try "$series"; done
finish_parts
((passed > 0))
