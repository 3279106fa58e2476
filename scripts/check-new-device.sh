#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-new-device.sh: does all that docs/new-device.md says, in a home folder made for it, and
# compares what is printed with what the page shows. Then builds QEMU with the device of another repository, which
# has the kit from git, and without ours. The home stays, in BUILD/new-device, and with it what
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
    rm -rf -- "$home/my_devices" "$home/from_git"
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

own_repository() { # one that has the kit from the clone's git repository
    local overlay=$BUILD/bin/qemu-overlay devices=$home/from_git help
    "$overlay" new from_git --devices "$devices" --kit "file://$repository"
    (cd -- "$devices" && cargo test)
    # The page left those of another repository on the tree.
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
LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang)
export LIBCLANG_PATH
need_space "$BUILD" 3000 "making a new device"
mkdir -p -- "$home"
step new-device-copy "Copying this checkout and QEMU's source to make a new device in" eval 'copy_repository; copy_tree'
step new-device "Making a new device, word for word as docs/new-device.md says" try
grep 'blocks of commands' -- "$LOG/new-device.log"
step new-repository "Building QEMU with the device of a repository that has the kit from git" own_repository
