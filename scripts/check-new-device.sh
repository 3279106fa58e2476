#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-new-device.sh: does all that docs/new-device.md says, in a home folder made for it, and
# compares what is printed with what the page shows. The home stays, in BUILD/new-device, and with it what
# was compiled there: the first time takes as long as building QEMU, the next ones a minute or two.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

# As the page has them, whatever QEMU's version is.
home=$BUILD/new-device
repository=$home/my_rng
tree=$home/hw8/qemu-8.2.9
objects=$home/hw8/new-device

renew() { # renew FOLDER [KEEP]: makes FOLDER of a tar on standard input; only KEEP in it stays as it is
    mkdir -p -- "$1"
    find "$1" -mindepth 1 -maxdepth 1 ! -name "${2:-/}" -exec rm -rf -- {} +
    # With their times, by which cargo and ninja tell what is new.
    tar -C "$1" -xf -
}

copy_repository() {
    rm -rf -- "$home/my_devices"
    pack_checkout | renew "$repository" target
    # A clone without a change, for git status.
    git -C "$repository" init --quiet
    git -C "$repository" add --all
    git -C "$repository" -c user.name=nobody -c user.email=nobody@localhost -c commit.gpgsign=false \
        commit --quiet --message 'As cloned'
}

copy_tree() {
    tar -C "$QEMU_TREE" --exclude=./build --exclude=./GNUmakefile -cf - . | renew "$tree"
    # It was copied with the overlay of this checkout on it.
    "$BUILD/bin/qemu-overlay" remove "$tree"
    if ! cmp -s -- "$QEMU_TREE.source" "$home/source"; then
        rm -rf -- "$objects"
        cp -- "$QEMU_TREE.source" "$home/source"
    fi
}

try() {
    # The page's commands get another HOME, but the toolchain is where it is.
    export CARGO_HOME=${CARGO_HOME:-${HOME:-}/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-${HOME:-}/.rustup}
    NEW_DEVICE_HOME=$home cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test new_device -- \
        --include-ignored --nocapture
}

lock_build
sub "$ROOT/scripts/build.sh" toolchain programs qemu
LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
export LIBCLANG_PATH
need_space "$BUILD" 3000 "making a new device"
mkdir -p -- "$home"
step new-device-copy "Copying this checkout and QEMU's source to make a new device in" eval 'copy_repository; copy_tree'
step new-device "Making a new device, word for word as docs/new-device.md says" try
grep 'blocks of commands' -- "$LOG/new-device.log"
