#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-new-device.sh: runs the commands of docs/new-device.md in a home folder of its own, and compares what
# they print with what the page shows. Then builds QEMU with the device of another repository, which gets the kit from
# git, and without our devices. The home, BUILD/new-device, stays with what was compiled there: the first run takes as
# long as building QEMU, the next ones a minute or two.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust
cd -- "$ROOT"

# As on the page, whatever QEMU's version is. Its QEMU emulates a PC, on any machine.
home=$BUILD/new-device
repository=$home/my_rng
tree=$home/hw8/qemu-8.2.9
objects=$home/hw8/new-device

renew() { # renew FOLDER [KEEP]: replaces what is in FOLDER, except KEEP, by a tar on standard input
    mkdir -p -- "$1"
    find "$1" -mindepth 1 -maxdepth 1 ! -name "${2:-/}" -exec rm -rf -- {} +
    # With the files' times, by which cargo and ninja see what is new.
    tar -C "$1" -xf -
}

copy_repository() {
    rm -rf -- "$home/my_devices" "$home/from_git"
    pack_checkout | renew "$repository" target
    # git status must show no changes.
    git -C "$repository" init --quiet
    git -C "$repository" add --all
    git -C "$repository" -c user.name=nobody -c user.email=nobody@localhost -c commit.gpgsign=false \
        commit --quiet --message 'As cloned'
}

copy_tree() {
    tar -C "$QEMU_TREE" --exclude=./build --exclude=./GNUmakefile -cf - . | renew "$tree"
    # The copy has the overlay of this checkout on it.
    "$BUILD/bin/qemu-overlay" remove "$tree"
    if ! cmp -s -- "$QEMU_TREE.source" "$home/source"; then
        rm -rf -- "$objects"
        cp -- "$QEMU_TREE.source" "$home/source"
    fi
}

try() {
    # The page's commands get another HOME, but this toolchain.
    export CARGO_HOME=${CARGO_HOME:-${HOME:-}/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-${HOME:-}/.rustup}
    NEW_DEVICE_HOME=$home cargo test --locked --jobs "$JOBS" -p my-rng-e2e --test new_device -- \
        --include-ignored --nocapture
}

own_repository() { # a device in a repository that gets the kit from the clone's git repository
    local overlay=$BUILD/bin/qemu-overlay devices=$home/from_git help
    "$overlay" new from_git --devices "$devices" --kit "file://$repository"
    (cd -- "$devices" && cargo test)
    # The devices of the page's repository are still on the tree.
    if "$overlay" apply --devices "$devices" "$tree"; then echo "a second repository was not refused" && return 1; fi
    "$overlay" remove "$tree"
    "$overlay" apply --devices "$devices" "$tree"
    cd -- "$objects"
    ninja -j"$JOBS" qemu-system-x86_64
    help=$(./qemu-system-x86_64 -device help)
    grep '^name "from_git", bus PCI' <<<"$help"
    if grep '^name "\(my_\|rust_\)' <<<"$help"; then echo "devices of this repository are in it" && return 1; fi
    "$overlay" remove "$tree"
}

lock_build
sub "$ROOT/scripts/build.sh" toolchain programs qemu
use_libclang
need_space "$BUILD" 3000 "making a new device"
mkdir -p -- "$home"
step new-device-copy "Copying this checkout and QEMU's source to make a new device in" eval 'copy_repository; copy_tree'
step new-device "Making a new device, word for word as docs/new-device.md says" try
grep 'blocks of commands' -- "$LOG/new-device.log"
step new-repository "Building QEMU with the device of a repository that gets the kit from git" own_repository
