#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-kernel.sh KDIR [without-crates]: prints the path of the Rust compiler that built the kernel in KDIR, because it
# has to build the module, too: RUSTC if that is set, otherwise one that is found. If the module cannot be built for that
# kernel, prints one sentence that says why. With "without-crates", the kernel's Rust crates may be missing.
set -eu

oldest=7.3
kdir=$1
config=$kdir/include/config

fail() {
    echo "error: $*" >&2
    exit 1
}

compilers() { # where this machine may have some
    command -v rustc || true
    IFS=:
    for folder in $PATH; do
        printf '%s\n' "$folder"/rustc "$folder"/rustc-[0-9]*
    done
    printf '%s\n' "${RUSTUP_HOME:-${HOME:-}/.rustup}"/toolchains/*/bin/rustc /usr/bin/rustc /usr/lib/rust-*/bin/rustc
}

release=$(cat "$config/kernel.release" 2>/dev/null) ||
    fail "KDIR=$kdir holds no built kernel: set KDIR= to the folder in which one was built."
[ "$(printf '%s\n' "$oldest" "$release" | sort -V | head -n 1)" = "$oldest" ] ||
    fail "$kdir is for Linux $release, and the driver needs $oldest or newer: use such a kernel."
if ! grep -qx 'CONFIG_RUST=y' "$config/auto.conf" || ! grep -q '^CONFIG_RUSTC_VERSION_TEXT=' "$config/auto.conf"; then
    fail "the kernel of $kdir was built without Rust: use one that was built with CONFIG_RUST" \
        "(\`make rustavailable\` says what that needs)."
fi
[ "${2:-}" = without-crates ] || [ -e "$kdir/rust/libkernel.rmeta" ] ||
    fail "$kdir lacks the kernel's Rust crates (rust/libkernel.rmeta): set KDIR= to the folder in which the kernel" \
        "was built."
version=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT=//p' "$config/auto.conf" | tr -d '"')
number=${version#rustc }
number=${number%% *}

# rustup's rustc runs the compiler that is set for the folder; it must not install one.
export RUSTUP_AUTO_INSTALL=0
of_the_kernel() { # of_the_kernel RUSTC: if it is the kernel's, prints it, or the compiler that rustup runs
    [ "$("$1" --version 2>/dev/null)" = "$version" ] || return 1
    real=$("$1" --print sysroot)/bin/rustc
    if [ -x "$real" ]; then printf '%s\n' "$real"; else printf '%s\n' "$1"; fi
}

if [ -n "${RUSTC:-}" ]; then
    of_the_kernel "$RUSTC" ||
        fail "\"$version\" built the kernel in $kdir, and RUSTC=$RUSTC is another compiler: set RUSTC= to the path of" \
            "that compiler, or leave it unset to search for one."
    exit
fi
compilers | while read -r rustc; do
    if [ -x "$rustc" ] && of_the_kernel "$rustc"; then break; fi
done | grep . ||
    fail "\"$version\" built the kernel in $kdir, and was not found: install that compiler" \
        "(\`rustup toolchain install $number\`, or the distribution's package), or set RUSTC= to its path."
