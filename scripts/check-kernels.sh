#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-kernels.sh [SERIES...]    (default: 7.3 6.12 6.1)
#
# For each Linux series whose source can be had: do the patches of linux-patches/ apply without fuzz,
# do what they touch and add compile without a warning, with the self-test and without, and is the
# series' own checkpatch.pl content? Ends with a table and the count; the status is 0 if nothing failed
# and something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

patches=("$ROOT"/linux-patches/[0-9]*.patch)
[[ -e ${patches[0]} ]] || die "there is no patch in $ROOT/linux-patches: check this checkout out anew."

apply() { # apply TREE
    local patch
    for patch in "${patches[@]}"; do patch -d "$1" -p1 -F0 --no-backup-if-mismatch <"$patch" || return; done
}

checkpatch() { # checkpatch TREE
    # Of Python, only spdxcheck.py wants a package that few have: what it would say is left out.
    perl "$1/scripts/checkpatch.pl" --root="$1" --strict --quiet --no-summary "${patches[@]}" 2>/dev/null
}

compile() { # compile TREE OUT [CONFIG...]: on the smallest kernel that has a PCI bus
    local tree=$1 out=$2 make option objects=(init/main.o)
    shift 2
    make=(make -C "$tree" "O=$out" ARCH=x86_64 "-j$JOBS")
    mkdir -p "$out"
    printf 'CONFIG_%s=y\n' 64BIT PCI PRINTK "$@" >"$out/wanted"
    "${make[@]}" KCONFIG_ALLCONFIG="$out/wanted" allnoconfig
    for option; do
        # One that is unknown, or lacks something, is dropped without a word.
        grep -qx "CONFIG_$option=y" "$out/.config" ||
            die "CONFIG_$option did not get into .config: does it depend on something new in this series?"
    done
    if (($#)); then objects+=(init/my_rng_selftest.o); fi
    rm -f "${objects[@]/#/$out/}"
    "${make[@]}" "${objects[@]}" 2>&1 | tee "$out/said"
    ! grep -E 'init/(main|my_rng_selftest)\.[ch]:.*warning:' "$out/said"
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
    line=$(printf '%-7s %-10s' "$series" "$(version "$tree")")
    for what in apply checkpatch with without; do
        case $what in
            apply) step_may_fail "kernel-$series-$what" "Linux $series: applying the patches" apply "$tree" ;;
            checkpatch) step_may_fail "kernel-$series-$what" "Linux $series: checkpatch.pl" checkpatch "$tree" ;;
            with) step_may_fail "kernel-$series-$what" "Linux $series: compiling with the self-test" \
                compile "$tree" "$tmp/out" MY_RNG_SELFTEST ;;
            without) step_may_fail "kernel-$series-$what" "Linux $series: compiling without it" \
                compile "$tree" "$tmp/out" ;;
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
table=("$(printf '%-7s %-10s %-10s %-10s %-10s %-10s' series version applies checkpatch with without)")
(($#)) || set -- 7.3 6.12 6.1
for series; do check "$series"; done

printf '%s\n' "${table[@]}"
count="$passed passed, $failed failed"
if ((skipped)); then count+=", $skipped skipped"; fi
printf '%s\n' "$count"
((failed == 0 && passed > 0))
