#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/screenshots.sh: takes the pictures of docs/pictures/ anew. A program of the end-to-end tests boots
# Debian, types at its keyboard, and has QEMU save what is on its screen once that can be read there.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

pictures=$ROOT/docs/pictures

take() { # take FOLDER
    cd -- "$ROOT"
    cargo run --locked --jobs "$JOBS" -p my-rng-e2e --bin screenshots -- "$1"
}

sub "$ROOT/scripts/debian-vm.sh" image
new_tmp "$BUILD"
step screenshots "Taking pictures of the guest's screen" take "$tmp"
mkdir -p -- "$pictures"
# All of them or none.
for name in part_1.1.png part_1.2.png part_1.3.png; do
    [[ -s $tmp/$name ]] || die "QEMU saved no $name: see $LOG/screenshots.log."
done
for name in "$tmp"/*.png; do put "$pictures/${name##*/}" <"$name"; done
say "The pictures are in $pictures."
