#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/matrix.sh: builds QEMU with the devices in several configurations, and tests it. QEMU_CONFIGURATIONS names
# some of them:
#   plain     one QEMU of each series in QEMU_VERSIONS whose source can be found: builds it, runs the overlay's
#             qtests and the end-to-end tests. By default those of qemu-8.2.9-overlay/series, the newest that can be
#             found of $newer, and what QEMU_SRC or QEMU_TARBALL give. An unlisted series is tried as with FORCE=1.
#   the rest  see options_of below; each with the first of these series (rust: with 10.2): builds it and runs the
#             qtests. dtrace: does every probe fire? cross runs on another architecture, here by qemu-user.
# Each is built in build/matrix/SERIES or build/matrix/SERIES-CONFIGURATION, and stays there. Ends with a table and
# the counts; the status is 0 if nothing failed and something passed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lists.sh
. "$ROOT/scripts/lists.sh"
use_rust

make_folder() { # make_folder FOLDER: a build folder that shares all but QEMU with this one
    local name
    claim "$1"
    mkdir -p -- "$1/$arch"
    for name in bin "$arch"/{bin,linux,module,initramfs.cpio} linux; do ln -sfn -- "$BUILD/$name" "$1/$name"; done
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
        # Little-endian and big-endian, of 32 and 64 bits, and one without system devices.
        targets) printf '%s\n' --enable-fdt=system --enable-linux-user \
            --target-list="$(printf '%s-softmmu,' "${targets[@]}")x86_64-linux-user" ;;
        rust) echo --enable-rust ;;
        cross) ;; # by scripts/cross-qemu.sh
        *) die "QEMU_CONFIGURATIONS=$1 is unknown: use some of $all_configurations." ;;
    esac
}
targets=(x86_64 i386 arm aarch64 riscv64 loongarch64 mips mips64el ppc64 s390x)
all_configurations="plain lto dtrace debug modules targets rust cross"
newer="11.1 11.0" # series that are not in the list yet

build() { # build FOLDER SERIES OPTION...
    in_build "$1" "$ROOT/scripts/build-qemu.sh" "${@:2}"
}

foreign=arm64
[[ $host != arm64 ]] || foreign=x86_64
in_foreign() (export MY_RNG_ARCH=$foreign && "$@") # in_foreign COMMAND...: for the architecture of the cross build

cross_needs() {
    in_foreign scripts/build.sh build-deps toolchain
    # Debian 12's qemu-user, which is not static, fails with threads.
    scripts/packages.sh install qemu-user-static
    in_foreign scripts/foreign-root.sh qemu
    find_arch "$foreign"
    has_std || die "this Rust has no library for $foreign: use rustup."
}

cross_build() { # cross_build FOLDER SERIES
    in_foreign in_build "$1" scripts/cross-qemu.sh "$2"
}

cross_qtest() { # cross_qtest FOLDER: meson would skip tests that this machine cannot run by itself
    local test run status=0
    find_arch "$foreign"
    run="qemu-$arch_qemu-static -L $(in_foreign scripts/foreign-root.sh qemu)"
    cd -- "$1/qemu/src/build"
    for test in "$ROOT"/qemu-8.2.9-overlay/tests/qtest/*-test.c; do
        test=tests/qtest/$(basename -- "$test" .c)
        ninja -j"$JOBS" "$test"
        # shellcheck disable=SC2086  # a list of words
        QTEST_QEMU_BINARY="$run ./qemu-system-$arch_qemu" timeout --kill-after=10 600 $run "$test" || status=1
    done
    return "$status"
}

probes() { # probes FOLDER: does each of the device's probes (a nop that a debugger may stop at) fire?
    local name names=(reset write seed read guest_error transfer) commands=()
    for name in "${names[@]}"; do commands+=(-ex "tbreak -probe-stap qemu:my_rng_$name"); done
    commands+=(-ex run)
    for name in "${names[@]}"; do commands+=(-ex continue); done
    # Puts the BAR at 0xe0000000, switches memory and DMA on, seeds, reads, reads badly, has a word filled, and
    # ends QEMU: so gdb does not wait for a probe that does not fire.
    printf '%s\n' >"$1/probes.qtest" 'outl 0xcf8 0x80002010' 'outl 0xcfc 0xe0000000' 'outl 0xcf8 0x80002004' \
        'outw 0xcfc 0x6' 'writel 0xe0000004 0x42' 'readl 0xe0000000' 'readb 0xe0000000' \
        'writel 0x100004 0x1' 'writeq 0x100010 0x200000' 'writel 0x100018 0x4' 'writel 0xe000000c 0x100' \
        'outb 0x501 0x0'
    # The test comes through a chardev: gdb's "run <FILE" would drop the arguments that --args gave.
    timeout --foreground --kill-after=10 300 gdb -nx -batch -ex 'handle SIGUSR1 nostop noprint' "${commands[@]}" \
        --args "$1/qemu/src/build/${QEMU##*/}" -display none -nodefaults -accel qtest \
        -chardev "file,id=qtest,path=$1/probes.answers,input-path=$1/probes.qtest" -qtest chardev:qtest \
        -device isa-debug-exit -device my_rng,addr=4 </dev/null 2>&1 | tee "$1/probes.log"
    (($(grep -c '^Thread .* hit Temporary breakpoint' -- "$1/probes.log") == ${#names[@]}))
}

end_to_end() { # end_to_end FOLDER
    cd -- "$ROOT"
    in_build "$1" "$ROOT/scripts/build.sh" where
    in_build "$1" cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

recorded() { sed -n "s/^$1=//p" -- "$record"; } # recorded KEY: of the source

try() { # try SERIES CONFIGURATION: whether its source was found goes to $found
    local series=$1 configuration=$2 name=$1 folder record options=() row
    mapfile -t options < <(options_of "$configuration")
    [[ $configuration == plain ]] || name+=-$configuration
    folder=$BUILD/matrix/$name record=$folder/qemu/src.source found=
    # A FORCE of the user's is for the QEMU that the others build.
    export MY_RNG_FORCE=
    qemu_is_known "$series" || MY_RNG_FORCE=1
    make_folder "$folder"
    step_may_fail "matrix-$name-source" "QEMU $name: getting the source" \
        in_build "$folder" scripts/fetch.sh qemu "$series" "$folder/qemu/src"
    if ((status)); then
        skip "$name" "no source: $(last_line "$LOG/matrix-$name-source.log" | sed 's/^error: //')"
        return
    fi
    found=yes
    # QEMU's releases have these crates, packed, and git checkouts unpacked. A distribution's source has none.
    if [[ $configuration == rust && -z $(find "$folder/qemu/src/subprojects" -maxdepth 2 \
        \( -path '*/packagecache/syn-*' -o -path '*/syn-*/meson.build' \) -print -quit) ]]; then
        skip "$name" "this source has no crates for --enable-rust: set QEMU_TARBALL= to the release"
        return
    fi
    if [[ $configuration == cross ]]; then
        step_may_fail "matrix-$name-needs" "QEMU $name: getting what building it for $foreign needs" cross_needs
        if ((status)); then
            skip "$name" "$(last_line "$LOG/matrix-$name-needs.log" | sed 's/^error: //')"
            return
        fi
    fi
    [[ -z $MY_RNG_FORCE ]] || say "QEMU $series is not in qemu-8.2.9-overlay/series: trying it as with FORCE=1"
    printf -v row '%-12s %-8s %-50s' "$name" "$(recorded version)" "$(recorded source)"
    if [[ $configuration == cross ]]; then
        row_part "matrix-$name" build "QEMU $name: building it for $foreign" cross_build "$folder" "$series"
        if ((status == 0)); then
            row_part "matrix-$name" qtest "QEMU $name: the qtests, by qemu-user" cross_qtest "$folder"
        fi
    else
        row_part "matrix-$name" build "QEMU $name: building it with the devices" \
            build "$folder" "$series" "${options[@]}"
        if ((status == 0)); then
            row_part "matrix-$name" qtest "QEMU $name: the qtests" \
                in_build "$folder" scripts/qtest.sh "$folder/qemu/src/build" device-introspect-test
            case $configuration in
                plain) row_part "matrix-$name" end_to_end "QEMU $name: the end-to-end tests" end_to_end "$folder" ;;
                # By a PC's ports.
                dtrace) [[ -z $arch_pc ]] || row_part "matrix-$name" probes "QEMU $name: the probes" probes "$folder" ;;
            esac
        fi
    fi
    table+=("$row")
}

cd -- "$ROOT"
read -r -d '' -a versions <<<"${QEMU_VERSIONS:-$(qemu_series)}" || true
given=$(scripts/fetch.sh --given qemu)
if [[ -z ${QEMU_VERSIONS:-} && -n $given ]]; then
    # A development version, 10.2.50 for example, is of no series.
    series=$(qemu_series_of "$given")
    [[ " ${versions[*]} $newer " == *" ${series:-$given} "* ]] || versions+=("${series:-$given}")
fi
for series in "${versions[@]}"; do
    [[ $series =~ ^[0-9]+\.[0-9]+(\.[0-9]+)?$ ]] ||
        die "QEMU_VERSIONS has $series: give series of QEMU, such as QEMU_VERSIONS='8.2 10.0'."
done
configurations=${QEMU_CONFIGURATIONS:-$all_configurations}
for configuration in $configurations; do options_of "$configuration" >/dev/null; done
lock_build
parts=(build-deps toolchain programs)
case " $configurations " in *" plain "*) parts+=(linux module initramfs) ;; esac
sub scripts/build.sh "${parts[@]}"
case " $configurations " in *" dtrace "*) sub scripts/packages.sh install gdb systemtap-sdt-dev ;; esac
# For QEMU's own Rust code.
case " $configurations " in *" rust "*) use_bindgen ;; esac

printf -v table '%-12s %-8s %-50s %s' name version source passed
for configuration in $configurations; do
    case $configuration in
        plain)
            for series in "${versions[@]}"; do try "$series" plain; done
            [[ -z ${QEMU_VERSIONS:-} ]] || continue
            for series in $newer; do
                try "$series" plain
                if [[ -n $found ]]; then break; fi
            done
            ;;
        rust) try 10.2 rust ;;
        *) for series in "${versions[@]}"; do
            try "$series" "$configuration"
            if [[ -n $found ]]; then break; fi
        done ;;
    esac
done
finish_parts
((passed > 0))
