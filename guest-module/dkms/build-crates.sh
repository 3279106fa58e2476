#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-crates.sh HEADERS SOURCE ARCHIVE: builds the Rust crates of the kernel in HEADERS, from the tarball SOURCE that
# the kernel was built from, and writes to ARCHIVE what HEADERS lack: metadata of the crates, procedural macros, and the
# compiler's target. Works in the current folder. Leaves nothing behind if it fails.
set -eu

headers=$1
source=$2
archive=$3
rustc=$(sh check-kernel.sh "$headers" without-crates)
tree=$PWD/linux

fail() {
    echo "error: $*" >&2
    exit 1
}

trap 'rm -rf -- "$tree" "$archive.part"' EXIT
trap 'exit 1' INT TERM HUP

mkdir -- "$tree"
# The drivers' code is two thirds of Linux.
top=$(basename -- "$source" .tar.xz)
tar -x --strip-components=1 -C "$tree" -f "$source" --anchored --wildcards \
    --exclude="$top/drivers/*.c" --exclude="$top/drivers/gpu/*.h" ||
    fail "$source cannot be unpacked: install its package again."
cd -- "$tree"
cp -- "$headers/.config" "$headers/.kernelvariables" .

# Debian's makefiles take the kernel's release and compiler from .kernelvariables. Its other programs take that compiler,
# too: there may be no `gcc`.
# shellcheck disable=SC2016  # make's
cc=$(printf 'print:\n\t@echo $(CC)\ninclude .kernelvariables\n' | make -s -f -)
kbuild() { make -j"$(nproc)" HOSTCC="$cc" RUSTC="$rustc" HOSTRUSTC="$rustc" "$@"; }

kbuild olddefconfig || fail "the kernel's configuration cannot be read, as the errors above show: report this."
changed=$(diff "$headers/.config" .config | grep '^[<>] .*CONFIG_' |
    grep -v '^[<>] CONFIG_CC_VERSION_TEXT=' | head -n 1)
[ -z "$changed" ] ||
    fail "the tools on this machine give the kernel another configuration (${changed#??}): use the distribution's tools."
kbuild prepare || fail "the kernel's Rust crates cannot be built, as the errors above show: report this."

nm -- rust/*.o >all || fail "the crates that were built cannot be read, as the errors above show: report this."
awk '$2 ~ /[A-Z]/ {print $3}' all >symbols
missing=$(awk 'NR == FNR {has[$1]; next} $2 ~ /^_R/ && !($2 in has) {print $2; exit}' symbols "$headers/Module.symvers")
[ -z "$missing" ] ||
    fail "the crates that were built lack the kernel's symbol $missing: use the distribution's Rust and bindgen."

mkdir -p -- "$(dirname -- "$archive")"
# Only on x86 does the compiler's target come from a file.
set -- rust/*.rmeta rust/*.so
[ ! -e scripts/target.json ] || set -- "$@" scripts/target.json
tar -c --zstd -f "$archive.part" "$@"
mv -- "$archive.part" "$archive"
