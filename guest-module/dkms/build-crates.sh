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

fail() {
    echo "error: $*" >&2
    exit 1
}

trap 'rm -rf -- linux "$archive.part"' EXIT
trap 'exit 1' INT TERM HUP

mib=2500
[ "$(df --output=avail -m . | tail -n 1)" -ge "$mib" ] ||
    fail "unpacking $source needs $mib MiB in $PWD: free some room there, and build again."
mkdir -- linux
tar -x --strip-components=1 -C linux -f "$source"
cp -- "$headers/.config" "$headers/.kernelvariables" linux/
cd -- linux

# Debian's makefiles take the kernel's release and compiler from .kernelvariables. Its other programs take that compiler,
# too: there may be no `gcc`.
# shellcheck disable=SC2016  # make's
cc=$(printf 'print:\n\t@echo $(CC)\ninclude .kernelvariables\n' | make -s -f -)
kbuild() { make -j"$(nproc)" HOSTCC="$cc" RUSTC="$rustc" HOSTRUSTC="$rustc" "$@"; }

kbuild olddefconfig
changed=$(diff "$headers/.config" .config | grep '^> ' | grep -v '^> CONFIG_CC_VERSION_TEXT=' | head -n 1)
[ -z "$changed" ] ||
    fail "the tools on this machine give the kernel another configuration (\"${changed#> }\"): use the distribution's tools."
kbuild prepare

nm -- rust/*.o | awk '$2 ~ /[A-Z]/ {print $3}' >symbols
missing=$(awk 'NR == FNR {has[$1]; next} $2 ~ /^_R/ && !($2 in has) {print $2; exit}' symbols "$headers/Module.symvers")
[ -z "$missing" ] ||
    fail "the crates that were built lack the kernel's symbol $missing: use the distribution's Rust and bindgen."

mkdir -p -- "$(dirname -- "$archive")"
tar -c --zstd -f "$archive.part" rust/*.rmeta rust/*.so scripts/target.json
cd -- ..
mv -- "$archive.part" "$archive"
