#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/install.sh: builds what is not built, then copies it to $PREFIX (and below $DESTDIR, if given):
#   bin/ libexec/ share/   QEMU, which finds its firmware by its own place; the app my-rng, its manual page,
#                          and the completions of its command line
#   include/my_rng.h       the header for programs in C
#   lib/my_rng/            kernel, module and initramfs for a guest
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

[[ -n ${PREFIX:-} ]] || die "no place is given: say make install PREFIX=/usr/local, for example."
[[ $PREFIX == /* ]] || die "PREFIX=$PREFIX is no absolute path: give one."
sub "$ROOT/scripts/build.sh" all
target=${DESTDIR:-}$PREFIX

copy() {
    mkdir -p -- "$target/bin" "$target/include" "$target/lib/my_rng" "$target/share"
    cp -R -- "$QEMU_PREFIX/." "$target/"
    cp -- "$BUILD/bin/my-rng" "$target/bin/"
    cp -R -- "$BUILD/share/." "$target/share/"
    cp -- "$ROOT/guest-app/include/my_rng.h" "$target/include/"
    cp -- "$LINUX_OUT/arch/x86/boot/bzImage" "$BUILD/module/my_rng.ko" "$BUILD/initramfs.cpio" "$target/lib/my_rng/"
}

{ mkdir -p -- "$target" 2>/dev/null && [[ -w $target ]]; } ||
    die "$target cannot be written: run this as root once all is built, or choose another PREFIX."
need_space "$target" 150 "installing"
step install "Installing into $target" copy
say "Installed: $PREFIX/bin/qemu-system-x86_64 -device my_rng, $PREFIX/bin/my-rng (man my-rng)," \
    "$PREFIX/include/my_rng.h, and $PREFIX/lib/my_rng/"
