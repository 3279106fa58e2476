#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/test.sh [PART...]: tests everything. The parts are in the case at the end; `make test` runs those of
# $usual, `make check-long` those of $long. The rest runs even if a part fails; the last line counts them.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

usual=(fmt shellcheck scripts clippy unit build overlay clippy-qemu asan checkpatch clippy-module qtest vmstate programs
    e2e "${others[@]/#/short-}" packages debian)
long=("${others[@]/#/e2e-}" docs debug tsan fuzz parallel device-crash libvirt disks new-device debug-kernel kernels dkms
    bare-trixie bare-bookworm)

# ---- code ----

# A workspace of its own.
fuzz=(--manifest-path fuzz/Cargo.toml --target-dir target/fuzz)

fmt() {
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    # Kbuild builds the module; cargo does not know it.
    rustfmt --check --edition 2021 guest-module/my_rng_main.rs
}

shell() {
    shellcheck scripts/*.sh tests/*.sh tests/scripts/*.sh guest-module/*.sh guest-module/dkms/* .ci/run vm/run \
        vm/run-ubuntu.sh vm/debian/setup.sh vm/cloud/setup.sh
}

clippy() {
    cargo clippy --workspace --all-targets --locked --jobs "$JOBS" -- -D warnings
    cargo clippy "${fuzz[@]}" --all-targets --locked --jobs "$JOBS" -- -D warnings
}

clippy_qemu() { # with the kit's glue, which needs QEMU's headers
    use_libclang
    QEMU_BUILD_DIR=$QEMU_TREE/build cargo clippy -p my-rng-dev -p qemu-pci --features qemu --all-targets --locked \
        --jobs "$JOBS" -- -D warnings
}

clippy_module() { # the driver, by the kernel's clippy, in a folder of its own
    local out=$BUILD/module-clippy
    # clippy does not look at what is compiled already.
    rm -rf -- "$out"
    mkdir -p -- "$out"
    use_kbuild
    make -C "$LINUX_OUT" M="$ROOT/guest-module" MO="$out" CLIPPY=1 W=e -j"$JOBS" modules
}

lint() { # lint NAME ...: as part, but only with the pinned compiler: each has lints of its own
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    if [[ $version == "$(pinned channel)" ]]; then
        part "$@"
    else
        skip "$1" "this code is free of the warnings of Rust $(pinned channel), and this is $version"
    fi
}

checkpatch() { # the overlay's C and the driver, in the styles of QEMU and Linux
    local files said status=0
    perl "$LINUX_TREE/scripts/checkpatch.pl" --root="$LINUX_TREE" --strict --terse --no-summary \
        --max-line-length=120 -f guest-module/*.rs guest-module/gaps/* guest-module/Kbuild
    # By their paths in QEMU's tree, which has other rules for tests.
    cd -- "$ROOT/qemu-8.2.9-overlay"
    mapfile -t files < <(find . -name '*.[ch]' -printf '%P\n' | sort)
    printf '%s\n' "${files[@]}"
    # It takes __has_include for an architecture's define. Headers that move between versions need it.
    said=$(perl "$QEMU_TREE/scripts/checkpatch.pl" --no-tree --terse --no-summary -f "${files[@]}") || status=$?
    # 1: it has something to say.
    ((status <= 1)) || { echo "checkpatch.pl ended with status $status" && return 1; }
    ! grep -v 'qemu-pci/qemu-pci\.h:[0-9]*: WARNING: architecture specific defines should be avoided$' <<<"$said" | grep .
}

unit() {
    cargo test --locked --jobs "$JOBS"
    # The inputs that the fuzzer has found, without the fuzzer.
    cargo test "${fuzz[@]}" --locked --jobs "$JOBS"
}

# ---- the overlay ----

listing() { # listing TREE: every file, with its mode and contents
    (
        cd -- "$1"
        find . -printf '%P %y %m %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    )
}

same() { # same TREE LISTING MESSAGE: fails with the message, and the difference, unless TREE is as in LISTING
    listing "$1" | diff -- "$2" - || { echo "$3" && return 1; }
}

overlay_on_and_off() { # overlay_on_and_off FOLDER, which holds a pristine tree
    local tree=$1/tree overlay=$BUILD/bin/qemu-overlay foreign
    listing "$tree" >"$1/before"
    "$overlay" apply "$tree"
    "$overlay" status "$tree"
    listing "$tree" >"$1/on"
    if cmp -s -- "$1/before" "$1/on"; then echo "apply changed nothing" && return 1; fi
    "$overlay" apply "$tree"
    same "$tree" "$1/on" "a second apply changed the tree"
    "$overlay" remove "$tree"
    same "$tree" "$1/before" "remove left something behind"
    if "$overlay" status "$tree"; then echo "status says that the removed overlay is on the tree" && return 1; fi
    # With --copy, the tree needs nothing of this checkout. The patch makes the same files.
    # patch gives files the modes that the patch names; copies get the umask's.
    umask 022
    "$overlay" patch "$tree" >"$1/qemu.patch"
    "$overlay" apply --copy "$tree"
    listing "$tree" >"$1/on"
    if grep -F -e "$ROOT" -- "$1/on"; then echo "this leads into the checkout" && return 1; fi
    # Its lock file fits, apply got the crates, and a compiler takes the files with the built QEMU's headers.
    use_libclang
    (
        cd -- "$tree/hw/misc/qemu-pci-devices/rust-dev"
        cargo fetch --offline --locked --target "$arch_rust"
        QEMU_BUILD_DIR=$QEMU_TREE/build cargo check --offline --locked --features qemu --target-dir "$1/target"
    )
    CARGO_HOME=$1/no-crates CARGO_NET_OFFLINE=true "$overlay" apply "$tree" 2>&1 | grep 'not all crates'
    "$overlay" remove "$tree"
    same "$tree" "$1/before" "remove left some of the copies behind"
    patch -d "$tree" -p1 --no-backup-if-mismatch <"$1/qemu.patch"
    same "$tree" "$1/on" "the patch makes other files than apply --copy"
    "$overlay" remove "$tree"
    for foreign in not-qemu other-series; do
        mkdir -p -- "$1/$foreign"
        if [[ $foreign == other-series ]]; then
            (cd -- "$tree" && cp --parents VERSION include/qemu/osdep.h hw/misc/Kconfig hw/misc/meson.build "$1/$foreign")
            echo 9.1.0 >"$1/$foreign/VERSION"
        fi
        listing "$1/$foreign" >"$1/before"
        if "$overlay" apply "$1/$foreign"; then echo "$foreign was not refused" && return 1; fi
        same "$1/$foreign" "$1/before" "$foreign was changed"
    done
}

overlay() {
    local tmp id
    # The source that was built, even if QEMU_SRC or QEMU_TARBALL is not set any more.
    id=$(sed -n 's/^id=//p' -- "$QEMU_TREE.source")
    case $id in
        tree:*) id=${id#*:} && export QEMU_SRC=${id%:*} ;;
        tarball:*) id=${id#*:} && id=${id%:*} && export QEMU_TARBALL=${id%:*} ;;
    esac
    need_space "$BUILD" 1000 "the test of the overlay"
    new_tmp "$BUILD"
    sub scripts/fetch.sh qemu "$tmp/tree"
    part overlay "Applying the overlay to a pristine tree, twice, and removing it" overlay_on_and_off "$tmp"
    rm -rf -- "$tmp"
}

# ---- the built system ----

asan() { # the devices' qtests, and what they do not reach, with AddressSanitizer
    local qemu names ours status=0 reports=$LOG/asan-reports
    qemu=$(scripts/build-extra.sh asan)
    rm -rf -- "$reports"
    mkdir -- "$reports"
    # Errors abort QEMU. Leaks do not: QEMU has some. Stacks include code without frame pointers.
    export ASAN_OPTIONS=abort_on_error=1:exitcode=0:fast_unwind_on_malloc=0:log_path=$reports/report
    QTEST_QEMU_BINARY=$qemu scripts/qtest.sh "$QEMU_TREE/build" || status=1
    # Its tester has a PC's addresses.
    [[ -z $arch_pc ]] || cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test glue || status=1
    # A leak is ours if Rust is on its stack: a name that C does not have, or a C function of a device.
    names=$(devices | sed 's/.*/|&_/')
    ours=$(cat -- "$reports"/* | awk -v RS= -v rust="\n +#[0-9]+ 0x[0-9a-f]+ in ([^ ]*::|_R|_ZN${names//$'\n'/})" \
        '/ERROR: AddressSanitizer/ || (/leak of/ && $0 ~ rust)')
    printf '%s\n' "$ours"
    [[ -z $ours ]] && ((status == 0))
}

tsan() { # many threads, with ThreadSanitizer
    local ours status=0 reports=$LOG/tsan-reports
    rm -rf -- "$reports"
    mkdir -- "$reports"
    TSAN_OPTIONS=exitcode=0:log_path=$reports/report \
        cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test threads -- --test-threads 1 || status=1
    # It sees only some accesses of QEMU's C, and not all that orders them. Reports with Rust on a stack are ours.
    ours=$(cat -- "$reports"/* | awk -v RS='==================\n' '/ThreadSanitizer/ && /\n +#[0-9]+ [^ ]*::/')
    printf '%s\n' "$ours"
    [[ -z $ours ]] && ((status == 0))
}

devices() { sed -n 's/^pub mod \(.*\);$/\1/p' "$ROOT/rust-dev/src/devices.rs"; }

programs() { # programs that others wrote for the devices of the examples
    part programs "Running Linux's sample of a PCI driver on rust_testdev" scripts/check-programs.sh linux
    if [[ -z ${KUT:-} ]]; then
        skip programs-kut "set KUT to a folder with kvm-unit-tests"
    elif [[ -z $arch_pc ]]; then
        skip programs-kut "kvm-unit-tests uses these devices on a PC only: set ARCH=x86_64"
    else
        part programs-kut "Running kvm-unit-tests on both examples" scripts/check-programs.sh kut
    fi
    if [[ -n ${EDU_DRIVER:-} ]]; then
        part programs-edu "Running the Linux driver of edu on rust_edu" scripts/check-programs.sh edu
    else
        skip programs-edu "set EDU_DRIVER to a folder with that driver"
    fi
}

guests_of() { # guests_of ARCH [TEST...]: the end-to-end tests that boot, or some of them, in guests of an architecture
    MY_RNG_ARCH=$1 cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test e2e -- "${@:2}"
}

few() { # few ARCH: some tests in guests of another architecture, if they are built; this builds nothing
    if [[ ! -e $BUILD/$1/where ]]; then
        skip "short-$1" "make ARCH=$1 has not built its guest"
    elif ! MY_RNG_ARCH=$1 MY_RNG_CHECK=1 scripts/build.sh programs module initramfs 2>/dev/null; then
        skip "short-$1" "its guest is older than its source: run make ARCH=$1"
    else
        part "short-$1" "Running some end-to-end tests in guests of $1" guests_of "$1" \
            demo::demo_passes boot::the_self_test pci:: classic:: read:: bulk::chacha20 unplug:: iommu:: \
            migration::live_migration_goes_on_in_the_stream_of_chacha20
    fi
}

all() { # all ARCH: the same with all of them; this builds the guests
    MY_RNG_ARCH=$1 check "build-$1" scripts/build.sh all
    ((status)) || part "e2e-$1" "Running the end-to-end tests in guests of $1" guests_of "$1"
}

e2e() {
    use_kbuild # one of the tests builds the driver
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

parallel() { # migrations, unplugs and resets during transfers
    export MY_RNG_PARALLEL_COUNT=${MY_RNG_PARALLEL_COUNT:-1000}
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test e2e -- --include-ignored parallel:: rings::
}

debian() {
    scripts/debian-vm.sh image
    scripts/stock-disk.sh image
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test debian
}

device_crash() { # QEMU's own: each device in every machine that this QEMU has
    local device
    cd -- "$QEMU_TREE/build"
    for device in $(devices); do
        PYTHONPATH=$QEMU_TREE/python pyvenv/bin/python3 -B "$QEMU_TREE/scripts/device-crash-test" --tcg-only \
            -t "device=$device" -- "./${QEMU##*/}"
    done | tee device-crash-test.log
    # It skips machines without a PCI bus. If another machine fails, it prints so, but exits with 0.
    ! grep -q -i 'failed:' device-crash-test.log
}

# of_debian NAME COMMAND...: runs COMMAND, or skips NAME if there are no packages of Debian (on Ubuntu, for example)
of_debian() {
    if scripts/debian-vm.sh mirror >/dev/null; then "${@:2}"; else skip "$1" "no mirror of Debian, see above"; fi
}

# ---- all of it ----

case ${1:-} in
    '') set -- "${usual[@]}" ;;
    long) set -- build "${long[@]}" ;;
esac
lock_build
sub scripts/packages.sh test
sub scripts/toolchain.sh
for name; do
    case $name in
        fmt) part fmt "Checking the format of the Rust code" fmt ;;
        shellcheck) part shellcheck "Checking the scripts with shellcheck" shell ;;
        scripts) part scripts "Testing the Makefile and the scripts" tests/scripts.sh ;;
        clippy) lint clippy "Checking the Rust code with clippy" clippy ;;
        unit) part unit "Running the unit tests" unit ;;
        # The parts below need what it builds.
        build) sub scripts/build.sh all ;;
        overlay) overlay ;;
        clippy-qemu) lint clippy-qemu "Checking the kit's glue with clippy" clippy_qemu ;;
        asan) part asan "Testing the devices in QEMU with AddressSanitizer" asan ;;
        tsan)
            if [[ -z $arch_pc ]]; then
                skip tsan "its replacement of QEMU's coroutines is for x86_64: set ARCH=x86_64"
            elif [[ -n $(find "$(rustc --print sysroot)/lib/rustlib" -name 'librustc*_rt.tsan.a') ]]; then
                part tsan "Using a device on many threads with ThreadSanitizer" tsan
            else
                skip tsan "this Rust has no ThreadSanitizer"
            fi
            ;;
        checkpatch) part checkpatch "Checking C code and driver with QEMU's and Linux's checkpatch.pl" checkpatch ;;
        clippy-module) lint clippy-module "Checking the driver with the kernel's clippy" clippy_module ;;
        qtest) part qtest "Running the devices' qtests, and two of QEMU's" \
            scripts/qtest.sh "$QEMU_TREE/build" device-introspect-test "$arch_qemu/qom-test" ;;
        vmstate) part vmstate "Comparing the format of the device's saved state with the published one" \
            "$QEMU_TREE/build/pyvenv/bin/python3" -B scripts/check-vmstate.py "$QEMU_TREE/build" ;;
        programs) programs ;;
        short-*) few "${name#short-}" ;;
        # Some of a guest's programs are Debian's.
        e2e-*) of_debian "$name" all "${name#e2e-}" ;;
        e2e) part e2e "Running the end-to-end tests" e2e ;;
        packages)
            if command -v apt-get >/dev/null; then
                check packages scripts/check-packages.sh lintian
            else
                skip packages "Debian packages are made on Debian, Ubuntu and their derivatives"
            fi
            of_debian packages-debian check packages-debian scripts/check-packages.sh debian
            ;;
        debian) of_debian debian part debian "Making disks with Debian, and running the tests in them" debian ;;
        dkms) of_debian dkms check dkms scripts/stock-disk.sh check long ;;
        docs) check docs scripts/docs.sh ;;
        debug) check debug scripts/debug.sh check ;;
        fuzz) check fuzz scripts/fuzz.sh 60 ;;
        parallel) part parallel "Migrating, unplugging and resetting devices during parallel transfers" parallel ;;
        device-crash) part device-crash "Testing the devices in every machine of QEMU" device_crash ;;
        libvirt | new-device | disks | kernels) check "$name" "scripts/check-$name.sh" ;;
        debug-kernel) check debug-kernel scripts/check-debug-kernel.sh 180 ;;
        bare-trixie | bare-bookworm) check "$name" scripts/check-bare-debian.sh "${name#bare-}" ;;
        *) die "there is no part $name: see the end of scripts/test.sh." ;;
    esac
done
finish_parts
