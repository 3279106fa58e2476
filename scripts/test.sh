#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/test.sh [PART...]: every test; the parts, in this order: fmt shellcheck scripts clippy unit build overlay
# clippy-qemu asan checkpatch clippy-module qtest vmstate programs e2e debian. A part that fails does not keep the
# others from being run; the last line counts them. One more part, device-crash, takes long and runs only if it is
# named.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

# A workspace of its own.
fuzz=(--manifest-path fuzz/Cargo.toml --target-dir target/fuzz)

check_fmt() {
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    # The module is built by Kbuild, which cargo knows nothing of.
    rustfmt --check --edition 2021 guest-module/my_rng_main.rs
}

check_shell() {
    shellcheck scripts/*.sh tests/*.sh guest-module/*.sh .ci/run vm/run vm/run-ubuntu.sh vm/debian/setup.sh
}

check_clippy() {
    cargo clippy --workspace --all-targets --locked --jobs "$JOBS" -- -D warnings
    cargo clippy "${fuzz[@]}" --all-targets --locked --jobs "$JOBS" -- -D warnings
}

check_clippy_qemu() { # with the kit's glue, which needs QEMU's headers
    LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
    export LIBCLANG_PATH QEMU_BUILD_DIR=$QEMU_TREE/build
    cargo clippy -p my-rng-dev -p qemu-pci --features qemu --all-targets --locked --jobs "$JOBS" -- -D warnings
}

unit_tests() {
    cargo test --locked --jobs "$JOBS"
    # The inputs that the fuzzer has found, without the fuzzer.
    cargo test "${fuzz[@]}" --locked --jobs "$JOBS"
}

e2e_tests() {
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e
}

debian_tests() {
    "$ROOT/scripts/debian-vm.sh" image
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test debian
}

listing() { # listing TREE: every file, with its mode and contents
    (
        cd -- "$1"
        find . -printf '%P %y %m %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    )
}

overlay_on_and_off() { # overlay_on_and_off FOLDER, which holds a pristine tree
    local tree=$1/tree overlay=$BUILD/bin/qemu-overlay libclang
    listing "$tree" >"$1/before"
    "$overlay" apply "$tree"
    "$overlay" status "$tree"
    listing "$tree" >"$1/on"
    if cmp -s -- "$1/before" "$1/on"; then echo "laying the overlay on changed nothing" && return 1; fi
    "$overlay" apply "$tree"
    listing "$tree" | diff -- "$1/on" - || { echo "laying it on twice made this difference" && return 1; }
    "$overlay" remove "$tree"
    listing "$tree" | diff -- "$1/before" - || { echo "taking it off left this difference" && return 1; }
    if "$overlay" status "$tree"; then echo "the overlay is said to be on a tree that it was taken off" && return 1; fi
    # Copies, in a tree that then needs nothing of this checkout; and the patch that makes just them.
    # patch gives files the modes that the patch names, and the copies get what the umask leaves.
    umask 022
    "$overlay" patch "$tree" >"$1/qemu.patch"
    "$overlay" apply --copy "$tree"
    listing "$tree" >"$1/on"
    if grep -F -e "$ROOT" -- "$1/on"; then echo "this leads into the checkout" && return 1; fi
    # Its lock file fits, and apply got the crates.
    (cd -- "$tree/hw/misc/qemu-pci-devices/rust-dev" && cargo fetch --offline --locked --target x86_64-unknown-linux-gnu)
    # They are complete: a compiler takes them, with the headers of the QEMU that was built.
    libclang=$("$ROOT/scripts/toolchain.sh" libclang)
    (cd -- "$tree/hw/misc/qemu-pci-devices/rust-dev" && QEMU_BUILD_DIR=$QEMU_TREE/build LIBCLANG_PATH=$libclang \
        cargo check --offline --locked --features qemu --target-dir "$1/target")
    CARGO_HOME=$1/no-crates CARGO_NET_OFFLINE=true "$overlay" apply "$tree" 2>&1 | grep 'not all crates'
    "$overlay" remove "$tree"
    listing "$tree" | diff -- "$1/before" - || { echo "taking the copies off left this difference" && return 1; }
    patch -d "$tree" -p1 --no-backup-if-mismatch <"$1/qemu.patch"
    listing "$tree" | diff -- "$1/on" - || { echo "the patch made this difference" && return 1; }
    "$overlay" remove "$tree"
    local foreign
    for foreign in not-qemu other-series; do
        mkdir -p -- "$1/$foreign"
        if [[ $foreign == other-series ]]; then
            (cd -- "$tree" && cp --parents VERSION include/qemu/osdep.h hw/misc/Kconfig hw/misc/meson.build "$1/$foreign")
            echo 9.1.0 >"$1/$foreign/VERSION"
        fi
        listing "$1/$foreign" >"$1/before"
        if "$overlay" apply "$1/$foreign"; then echo "$foreign was not refused" && return 1; fi
        listing "$1/$foreign" | diff -- "$1/before" - || { echo "$foreign was changed" && return 1; }
    done
}

overlay_tests() {
    local tmp id
    # The very source that was built, even where it is not given any more.
    id=$(sed -n 's/^id=//p' -- "$QEMU_TREE.source")
    case $id in
        tree:*)
            id=${id#tree:}
            export QEMU_SRC=${id%:*}
            ;;
        tarball:*)
            id=${id#tarball:}
            id=${id%:*}
            export QEMU_TARBALL=${id%:*}
            ;;
    esac
    need_space "$BUILD" 1000 "the test of the overlay"
    new_tmp "$BUILD"
    sub "$ROOT/scripts/fetch.sh" qemu "$tmp/tree"
    part overlay "Laying the overlay on a pristine tree, twice, and taking it off" overlay_on_and_off "$tmp"
    rm -rf -- "$tmp"
}

check_style() { # the overlay's C and the driver, as QEMU and Linux want them
    local files said status=0
    # Comments, like all others of this project, may be a little longer.
    perl "$LINUX_TREE/scripts/checkpatch.pl" --root="$LINUX_TREE" --strict --terse --no-summary \
        --max-line-length=110 -f guest-module/*.rs guest-module/gaps/* guest-module/Kbuild
    # By their paths in QEMU's tree: it has other rules for tests.
    cd -- "$ROOT/qemu-8.2.9-overlay"
    mapfile -t files < <(find . -name '*.[ch]' -printf '%P\n' | sort)
    printf '%s\n' "${files[@]}"
    # It takes __has_include for an architecture's, which it is not; there is no other way to say where
    # a header is that has moved from version to version.
    said=$(perl "$QEMU_TREE/scripts/checkpatch.pl" --no-tree --terse --no-summary -f "${files[@]}") || status=$?
    # 1: it has something to say.
    ((status <= 1)) || { echo "checkpatch.pl ended with status $status" && return 1; }
    ! grep -v 'qemu-pci/qemu-pci\.h:[0-9]*: WARNING: architecture specific defines should be avoided$' <<<"$said" | grep .
}

check_module() { # the driver, by the kernel's own clippy, in a folder of its own
    local out=$BUILD/module-clippy
    # What was compiled already would not be looked at.
    rm -rf -- "$out"
    mkdir -p -- "$out"
    make -C "$LINUX_OUT" M="$ROOT/guest-module" MO="$out" CLIPPY=1 W=e -j"$JOBS" modules
}

qtests() { # those of the devices, and two of QEMU's
    local own
    mapfile -t own < <(device_qtests)
    "$ROOT/scripts/qtest.sh" "$QEMU_TREE/build" "${own[@]}" device-introspect-test qom-test
}

asan_tests() { # the devices' qtests, and what they do not reach, with AddressSanitizer
    local own qemu names ours status=0 reports=$LOG/asan-reports
    mapfile -t own < <(device_qtests)
    qemu=$("$ROOT/scripts/test-qemu.sh" asan)
    rm -rf -- "$reports"
    mkdir -- "$reports"
    # Errors abort QEMU. Leaks do not: it has some of its own. Stacks are to be of code without frame pointers.
    export ASAN_OPTIONS=abort_on_error=1:exitcode=0:fast_unwind_on_malloc=0:log_path=$reports/report
    QTEST_QEMU_BINARY=$qemu "$ROOT/scripts/qtest.sh" "$QEMU_TREE/build" "${own[@]}" || status=1
    cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test glue || status=1
    # A leak is ours if there is Rust on its stack: a name that C does not have, or a C function of a device.
    names=$(sed -n 's/^pub mod \(.*\);$/|\1_/p' "$ROOT/rust-dev/src/devices.rs")
    ours=$(cat -- "$reports"/* | awk -v RS= -v rust="\n +#[0-9]+ 0x[0-9a-f]+ in ([^ ]*::|_R|_ZN${names//$'\n'/})" \
        '/ERROR: AddressSanitizer/ || (/leak of/ && $0 ~ rust)')
    printf '%s\n' "$ours"
    [[ -z $ours ]] && ((status == 0))
}

vmstate() {
    "$ROOT/scripts/check-vmstate.sh" "$QEMU_TREE/build"
}

device_crash() { # QEMU's own: each device in every machine that this QEMU has
    local device devices
    mapfile -t devices < <(sed -n 's/^pub mod \(.*\);$/\1/p' "$ROOT/rust-dev/src/devices.rs")
    cd -- "$QEMU_TREE/build"
    for device in "${devices[@]}"; do
        PYTHONPATH=$QEMU_TREE/python pyvenv/bin/python3 -B "$QEMU_TREE/scripts/device-crash-test" --tcg-only \
            -t "device=$device" -- ./qemu-system-x86_64
    done | tee device-crash-test.log
    # It skips machines without a PCI bus silently. For others that fail it prints a line, but still exits with 0.
    ! grep -q -i 'failed:' device-crash-test.log
}

passed=0 failures=() skipped=()
part() { # part NAME WHAT COMMAND...: as step, but a failure is only counted
    local status took name=$1
    run_step "$@"
    # The runners' own words and counts.
    grep -E -e '^(test |running |test result:|vmstate: )|^ +(Running|Doc-tests) ' \
        -e '^[a-z-]+: [0-9]+ passed, |^INFO: Total: ' -- "$LOG/$name.log" |
        grep -v -e '^running 0 tests' -e '^test result: ok. 0 passed' || true
    if ((status == 0)); then
        passed=$((passed + 1))
        say "   $name: passed in $(duration "$took")"
    else
        failures+=("$name")
        printf 'FAILED: %s (exit status %s). The last lines of its log:\n' "$name" "$status" >&2
        tail -n 80 -- "$LOG/$name.log" | sed 's/^/    /' >&2
        printf 'The whole log: %s\n' "$LOG/$name.log" >&2
        disk_full_sentence "$LOG/$name.log"
    fi
}

skip() { # skip NAME WHY
    skipped+=("$1")
    loudly "$1: skipped, for $2"
}

lint() { # as part, but only with the pinned compiler: each has lints of its own
    local version channel
    version=$(rustc --version | cut -d ' ' -f 2) channel=$(pinned channel)
    if [[ $version == "$channel" ]]; then
        part "$@"
    else
        skip "$1" "this code is kept free of the warnings of Rust $channel, and this is $version"
    fi
}

(($#)) || set -- fmt shellcheck scripts clippy unit build overlay clippy-qemu asan checkpatch clippy-module qtest vmstate programs e2e debian
lock_build
sub "$ROOT/scripts/packages.sh" test
sub "$ROOT/scripts/toolchain.sh"
for name; do
    case $name in
        fmt) part fmt "Checking the format of the Rust code" check_fmt ;;
        shellcheck) part shellcheck "Checking the scripts with shellcheck" check_shell ;;
        scripts) part scripts "Testing the Makefile and the scripts" tests/scripts.sh ;;
        clippy) lint clippy "Checking the Rust code with clippy" check_clippy ;;
        unit) part unit "Running the unit tests" unit_tests ;;
        # Without what is built, the rest has nothing to test.
        build) sub "$ROOT/scripts/build.sh" all ;;
        overlay) overlay_tests ;;
        clippy-qemu) lint clippy-qemu "Checking the kit's glue with clippy" check_clippy_qemu ;;
        asan) part asan "Testing the devices in QEMU with AddressSanitizer" asan_tests ;;
        checkpatch) part checkpatch "Checking C code and driver with QEMU's and Linux's checkpatch.pl" check_style ;;
        clippy-module) lint clippy-module "Checking the driver with the kernel's clippy" check_module ;;
        qtest) part qtest "Running QEMU's own kind of tests" qtests ;;
        vmstate) part vmstate "Comparing the format of the device's saved state with the published one" vmstate ;;
        programs)
            part programs "Running Linux's sample of a PCI driver on rust_testdev" scripts/check-programs.sh linux
            if [[ -n ${KUT:-} ]]; then
                part programs-kut "Running kvm-unit-tests on both examples" scripts/check-programs.sh kut
            else
                skip programs-kut "KUT names no folder with kvm-unit-tests"
            fi
            if [[ -n ${EDU_DRIVER:-} ]]; then
                part programs-edu "Running the Linux driver of edu on rust_edu" scripts/check-programs.sh edu
            else
                skip programs-edu "EDU_DRIVER names no folder with that driver"
            fi
            ;;
        device-crash) part device-crash "Trying the devices in every machine of QEMU's" device_crash ;;
        e2e) part e2e "Running the end-to-end tests" e2e_tests ;;
        debian)
            if "$ROOT/scripts/debian-vm.sh" mirror >/dev/null; then
                part debian "Making a disk with Debian, and running the tests in it" debian_tests
            else
                # As on Ubuntu, which has no packages of Debian's.
                skip debian "the reason above"
            fi
            ;;
        *) die "there is no part $name: see the head of scripts/test.sh." ;;
    esac
done
stop_ticker
((${#failures[@]} == 0)) || printf 'FAILED: %s\n' "${failures[*]}"
((${#skipped[@]} == 0)) || printf 'skipped: %s\n' "${skipped[*]}"
printf 'parts: %d passed, %d failed\n' "$passed" "${#failures[@]}"
((${#failures[@]} == 0))
