#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/clean.sh        removes what was built (the folder build/, or BUILD's)
# scripts/clean.sh all    removes the downloads in the cache as well, and cargo's target/
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# BUILD may be any folder: only what is known to be ours is removed.
exec {lock}>>"$BUILD/lock"
flock -n "$lock" || die "another make is at work in this checkout: wait for it to end, or stop it."
for name in bench bin debian fuzz guest initramfs.cpio linux linux-debug log lock matrix module module-clippy new-device qemu share stamp where bench-lib.rs.original; do
    rm -rf -- "${BUILD:?}/$name"
done
rm -rf -- "$BUILD"/.tmp.*
rmdir -- "$BUILD" 2>/dev/null || true
if [[ ${1:-} == all ]]; then rm -rf -- "$CACHE" "$ROOT/target"; fi
