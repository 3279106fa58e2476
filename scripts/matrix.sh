#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/matrix.sh: builds QEMU with the device in several ways, and tests it. QEMU_CONFIGURATIONS says how
# QEMU is configured:
#   plain     one QEMU of each series that QEMU_VERSIONS names (by default, those of
#             qemu-8.2.9-overlay/series) and whose source can be had: does it build, does the overlay's qtest
#             pass, do the end-to-end tests? A series that is not on the list is tried as with FORCE=1.
#   the rest  see options_of below; each with the first of these series (rust: with 10.2): does it build, does
#             the qtest pass? With dtrace: does every probe fire? cross must be refused.
# Each is built in build/matrix/SERIES or build/matrix/SERIES-CONFIGURATION, and stays there. Ends with a table
# and the count; the status is 0 if nothing failed and something passed.
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

options_of() { # options_of CONFIGURATION: what QEMU's configure is given for it, one a line
    case $1 in
        plain) ;;
        lto) echo --enable-lto ;;
        dtrace) echo --enable-trace-backends=log,dtrace ;;
        debug) echo --enable-debug ;;
        modules) echo --enable-modules ;;
        # One without system devices, and one that has no machine for qtests of PCI devices, among them.
        targets) printf '%s\n' --enable-linux-user \
            --target-list=x86_64-softmmu,i386-softmmu,s390x-softmmu,x86_64-linux-user ;;
        rust) echo --enable-rust ;;
        # This machine's own compiler, by its full name.
        cross) echo "--cross-prefix=$(gcc -dumpmachine)-" ;;
        *) die "QEMU_CONFIGURATIONS=$1 is unknown: use some of $all_configurations." ;;
    esac
}
all_configurations="plain lto dtrace debug modules targets rust cross"

build() { # build FOLDER SERIES OPTION...
    in_build "$1" "$ROOT/scripts/build-qemu.sh" "${@:2}"
}

refused() { # refused FOLDER SERIES OPTION...: is it, in a sentence that says how to go on?
    local log=$1/log/qemu-configure.log
    if build "$@"; then echo "configure should have refused: ${*:3}" && return 1; fi
    grep -e 'ERROR: .*configure QEMU without --cross-prefix' -- "$log"
}

probes() { # probes FOLDER: does each of the device's probes (a nop that a debugger may stop at) fire?
    local name names=(reset write seed read guest_error transfer) commands=()
    for name in "${names[@]}"; do commands+=(-ex "tbreak -probe-stap qemu:my_rng_$name"); done
    commands+=(-ex run)
    for name in "${names[@]}"; do commands+=(-ex continue); done
    # Puts the BAR at 0xe0000000, switches memory and DMA on, seeds, reads, reads badly, has a word filled, and
    # ends QEMU, so that a probe that does not fire keeps nobody waiting.
    printf '%s\n' >"$1/probes.qtest" 'outl 0xcf8 0x80002010' 'outl 0xcfc 0xe0000000' 'outl 0xcf8 0x80002004' \
        'outw 0xcfc 0x6' 'writel 0xe0000004 0x42' 'readl 0xe0000000' 'readb 0xe0000000' \
        'writel 0x100004 0x1' 'writeq 0x100010 0x200000' 'writel 0x100018 0x4' 'writel 0xe000000c 0x100' \
        'outb 0x501 0x0'
    # The test comes through a chardev: gdb's "run <FILE" would drop the arguments that --args gave.
    timeout --foreground --kill-after=10 300 gdb -nx -batch -ex 'handle SIGUSR1 nostop noprint' "${commands[@]}" \
        --args "$1/qemu/src/build/qemu-system-x86_64" -display none -nodefaults -accel qtest \
        -chardev "file,id=qtest,path=$1/probes.answers,input-path=$1/probes.qtest" -qtest chardev:qtest \
        -device isa-debug-exit -device my_rng,addr=4 </dev/null 2>&1 | tee "$1/probes.log"
    (($(grep -c '^Thread .* hit Temporary breakpoint' -- "$1/probes.log") == ${#names[@]}))
}

qtest() { # qtest FOLDER
    local own
    mapfile -t own < <(device_qtests)
    in_build "$1" "$ROOT/scripts/qtest.sh" "$1/qemu/src/build" "${own[@]}"
}

end_to_end() { # end_to_end FOLDER
    cd -- "$ROOT"
    in_build "$1" "$ROOT/scripts/build-guest.sh" where
    in_build "$1" cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

line() { # line NAME VERSION SOURCE WORD...: adds one to the table
    local row
    printf -v row '%-12s %-8s %-50s %s' "${@:1:3}" "${*:4}"
    table+=("$row")
}

recorded() { # recorded KEY: what $record says of the source
    sed -n "s/^$1=//p" -- "$record"
}

check() { # check SERIES CONFIGURATION: whether its source could be had goes to $had
    local series=$1 configuration=$2 name=$1 folder record options=()
    local what steps words=() result=passed status took
    mapfile -t options < <(options_of "$configuration")
    [[ $configuration == plain ]] || name+=-$configuration
    folder=$BUILD/matrix/$name record=$folder/qemu/src.source
    case $configuration in
        plain) steps=(build qtest end_to_end) ;;
        dtrace) steps=(build qtest probes) ;;
        cross) steps=(refused) ;;
        *) steps=(build qtest) ;;
    esac
    had=
    # A FORCE of the user's is for the QEMU that the others build.
    export MY_RNG_FORCE=
    qemu_is_known "$series" || MY_RNG_FORCE=1
    make_folder "$folder"
    step_may_fail "matrix-$name-source" "QEMU $name: getting the source" \
        in_build "$folder" "$ROOT/scripts/fetch.sh" qemu "$series" "$folder/qemu/src"
    if ((status)); then
        skipped=$((skipped + 1))
        notes+=("QEMU $series could not be had: $(last_line "$LOG/matrix-$name-source.log" | sed 's/^error: //')")
        line "$name" - - skipped
        return
    fi
    had=yes
    # QEMU's releases have these crates, packed, and git checkouts unpacked. A distribution's source has none.
    if [[ $configuration == rust && -z $(find "$folder/qemu/src/subprojects" -maxdepth 2 \
        \( -path '*/packagecache/syn-*' -o -path '*/syn-*/meson.build' \) -print -quit) ]]; then
        skipped=$((skipped + 1))
        notes+=("QEMU $series: no crates for --enable-rust in this source; give the release with QEMU_TARBALL=FILE")
        line "$name" "$(recorded version)" "$(recorded source)" skipped
        return
    fi
    if [[ -n $MY_RNG_FORCE ]]; then
        notes+=("QEMU $series is not on the list of the known (qemu-8.2.9-overlay/series): tried as with FORCE=1.")
    fi
    for what in "${steps[@]}"; do
        case $what in
            build) step_may_fail "matrix-$name-build" "QEMU $name: building it with the device" \
                build "$folder" "$series" "${options[@]}" ;;
            refused) step_may_fail "matrix-$name-refused" "QEMU $name: is it refused?" \
                refused "$folder" "$series" "${options[@]}" ;;
            qtest) step_may_fail "matrix-$name-qtest" "QEMU $name: QEMU's own kind of test" \
                qtest "$folder" ;;
            probes) step_may_fail "matrix-$name-probes" "QEMU $name: the probes" probes "$folder" ;;
            end_to_end) step_may_fail "matrix-$name-end_to_end" "QEMU $name: the end-to-end tests" \
                end_to_end "$folder" ;;
        esac
        if ((status == 0)); then
            words+=("$what")
            continue
        fi
        words+=("$what:FAILED")
        result=failed
        tail -n 20 -- "$LOG/matrix-$name-$what.log" | sed 's/^/    /' >&2
        say "   The whole log: $LOG/matrix-$name-$what.log"
        disk_full_sentence "$LOG/matrix-$name-$what.log"
        # Without a QEMU there is nothing to test.
        [[ $what != build ]] || break
    done
    if [[ $result == passed ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    line "$name" "$(recorded version)" "$(recorded source)" "${words[@]}"
}

versions=${QEMU_VERSIONS:-$(qemu_series)}
# shellcheck disable=SC2086  # words
set -- $versions
for series; do
    [[ $series =~ ^[0-9]+\.[0-9]+$ ]] ||
        die "QEMU_VERSIONS has $series: give series of QEMU, such as QEMU_VERSIONS='8.2 10.0'."
done
configurations=${QEMU_CONFIGURATIONS:-$all_configurations}
for configuration in $configurations; do options_of "$configuration" >/dev/null; done
lock_build
parts=(packages toolchain programs)
case " $configurations " in *" plain "*) parts+=(linux module initramfs) ;; esac
sub "$ROOT/scripts/build.sh" "${parts[@]}"
case " $configurations " in *" dtrace "*) sub "$ROOT/scripts/packages.sh" install gdb systemtap-sdt-dev ;; esac
# For QEMU's own Rust code.
case " $configurations " in *" rust "*) use_bindgen ;; esac

passed=0 failed=0 skipped=0 notes=() table=()
line name version source passed
for configuration in $configurations; do
    case $configuration in
        plain) for series; do check "$series" plain; done ;;
        rust) check 10.2 rust ;;
        *) for series; do
            check "$series" "$configuration"
            if [[ -n $had ]]; then break; fi
        done ;;
    esac
done
stop_ticker

printf '%s\n' "${table[@]}" ${notes[@]+"${notes[@]}"}
count="$passed passed, $failed failed"
if ((skipped)); then count+=", $skipped skipped"; fi
printf '%s\n' "$count"
((failed == 0 && passed > 0))
