#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/cross-qemu.sh [SERIES [OPTION...]]: as scripts/build-qemu.sh, but builds a QEMU that runs on a machine of $arch,
# another architecture than this machine's. scripts/build.sh has installed what that takes.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

[[ -n $cross ]] || die "ARCH=$arch is this machine's own: run scripts/build-qemu.sh."
root=$("$ROOT/scripts/foreign-root.sh" qemu)
# There may be no $cross-pkg-config. The libraries are not where their .pc files say.
export PKG_CONFIG=pkg-config PKG_CONFIG_SYSROOT_DIR=$root \
    PKG_CONFIG_LIBDIR=$root/usr/lib/$arch_gnu/pkgconfig:$root/usr/share/pkgconfig
exec "$ROOT/scripts/build-qemu.sh" "${1:-}" "${@:2}" --cross-prefix="$cross" --extra-cflags="--sysroot=$root"
