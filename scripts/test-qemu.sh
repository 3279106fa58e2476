#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/test-qemu.sh [asan]: the QEMU that was built, linked once more with the devices that tests need
# (tests/qemu/test-devices.c); prints its path. The tests call it by themselves. With asan, the devices in Rust and the
# kit are compiled again for that QEMU, with AddressSanitizer. QEMU's own C is not, but its malloc is the sanitizer's
# too: so every access of the Rust code to any memory of QEMU's is checked.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/relink-qemu.sh
. "$ROOT/scripts/relink-qemu.sh"
use_rust

compile_devices() { # compile_devices FOLDER: the static library, in FOLDER/TARGET/release
    LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
    export LIBCLANG_PATH QEMU_BUILD_DIR=$QEMU_TREE/build
    # The options are not stable. The variable makes the compiler take them; a nightly one would be another compiler to
    # install, and not the one whose output is used. The sanitizer's library is gcc's, for gcc links QEMU; the
    # distribution's rustc has none. CFLAGS are for the few C functions of the kit.
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Zexternal-clangrt' CFLAGS=-fsanitize=address
    cargo build --release --locked --jobs "$JOBS" --target "$host" --target-dir "$1" --manifest-path "$ROOT/Cargo.toml" \
        -p my-rng-dev --lib --features qemu
}

name=test-qemu devices='' flags=('-Wl,--wrap=qemu_guest_getrandom')
# make test has the lock already, and what it starts has it with it. Tests that are started by hand have none.
lock_build
case ${1:-} in
    '') ;;
    asan)
        name=asan-qemu
        host=$(rustc -vV | sed -n 's/^host: //p')
        step asan-devices "Compiling the devices with AddressSanitizer" compile_devices "$BUILD/$name/cargo"
        devices=$BUILD/$name/cargo/$host/release/libmy_rng_dev.a
        # First of all libraries, so that it takes the place of malloc.
        flags+=(-fsanitize=address)
        ;;
    *) die "usage: scripts/test-qemu.sh [asan]" ;;
esac
folder=$BUILD/$name source=$ROOT/tests/qemu/test-devices.c
inputs="$(relink_inputs "$folder" "$source") $devices ${devices:+$(digest "$devices")}"
if ! is_made "$name" "$inputs" || [[ ! -x $folder/bin/qemu-system-x86_64 ]]; then
    need_space "$BUILD" 200 "linking QEMU with the devices of the tests"
    unmade "$name"
    step "$name" "Linking QEMU with the devices of the tests" relink_qemu "$folder" "$source" "${flags[@]}"
    made "$name" "$inputs"
fi
printf '%s\n' "$folder/bin/qemu-system-x86_64"
