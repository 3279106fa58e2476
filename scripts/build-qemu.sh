#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-qemu.sh [SERIES [OPTION...]]: QEMU with the device in it, from build/qemu/src into
# build/qemu/prefix; the options are for QEMU's configure. Its source comes from scripts/fetch.sh. QEMU's own
# build finds out what to do again.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

# Only what the virtual machine uses, and pictures of its screen: this halves the time of the build. -g1 is source
# lines for gdb (make debug), without the rest of what -g takes time and space for.
options=(--prefix="$QEMU_PREFIX" --target-list=x86_64-softmmu --without-default-features
    --enable-system --enable-tcg --enable-kvm --enable-pixman --enable-png --enable-slirp
    --with-devices-x86_64=all-in-rust --disable-docs --disable-debug-info --extra-cflags=-g1 "${@:2}")
# The distribution's Python, which has the venv module and which the packages are for.
[[ -x /usr/bin/python3 ]] && options+=(--python=/usr/bin/python3)

configure() {
    cd -- "$QEMU_TREE"
    # A configuration that was ended half-way, or was for something else, would be taken for this one.
    rm -rf -- build GNUmakefile "$QEMU_PREFIX"
    ./configure "${options[@]}"
}

install() {
    local targets
    cd -- "$QEMU_TREE/build"
    # As make install does, but only what is installed: that leaves out QEMU's own tests, a third of it.
    mapfile -t targets < <(pyvenv/bin/python3 -c '
import json, os
for target in json.load(open("meson-info/intro-targets.json")):
    if target["installed"]:
        for name in target["filename"]:
            print(os.path.relpath(name))')
    ((${#targets[@]}))
    ninja -j"$JOBS" "${targets[@]}"
    pyvenv/bin/meson install --no-rebuild --only-changed
    # The firmware that only stands in (see scripts/fetch.sh).
    find "$QEMU_PREFIX/share/qemu" -type f -size 0 -delete
}

sub "$ROOT/scripts/fetch.sh" qemu ${1+"$1"} "$QEMU_TREE"
LIBCLANG_PATH=$("$ROOT/scripts/toolchain.sh" libclang) # for the device's bindings of QEMU's headers
export LIBCLANG_PATH

lay_on() { "$BUILD/bin/qemu-overlay" apply "$QEMU_TREE" >"$LOG/overlay.log" 2>&1; }
if ! lay_on; then
    # One that was laid on by an earlier state of this project; the tree is nobody's but ours.
    say "Taking QEMU's source anew, for the overlay on it is another one"
    rm -rf -- "$QEMU_TREE" "$QEMU_TREE.source"
    sub "$ROOT/scripts/fetch.sh" qemu ${1+"$1"} "$QEMU_TREE"
    lay_on || die "the overlay cannot be laid on $QEMU_TREE: $(last_line "$LOG/overlay.log")"
fi

# QEMU's default devices, and those in Rust that are off by default: the tests want them.
config=$QEMU_TREE/configs/devices/x86_64-softmmu/all-in-rust.mak
switches=$(echo 'include default.mak' && sed -n 's/^config \(.*\)/CONFIG_\1=y/p' "$ROOT/rust-dev/Kconfig")
if [[ ! -e $config || $(<"$config") != "$switches" ]]; then put "$config" <<<"$switches"; fi

inputs="$(digest "$QEMU_TREE.source") ${options[*]}"
if ! is_made qemu-configure "$inputs"; then
    need_space "$BUILD" 1500 "building QEMU"
    unmade qemu-configure
    step qemu-configure "Configuring QEMU" configure
    made qemu-configure "$inputs"
fi
# Nothing that either build reads is newer than what was built?
if [[ -e $STAMPS/qemu && -x $QEMU_PREFIX/bin/qemu-system-x86_64 && $STAMPS/qemu -nt $STAMPS/qemu-configure ]] &&
    [[ -z $(find "$QEMU_TREE" "$ROOT/rust-dev" "$ROOT/qemu-8.2.9-overlay" "$ROOT/abi" "$ROOT"/Cargo.* \
        -path "$QEMU_TREE/build" -prune -o -newer "$STAMPS/qemu" \( -type f -o -type d \) -print -quit) ]]; then
    exit 0
fi
started=$STAMPS/.tmp.$$.qemu # as old as the start of the build, for what is edited meanwhile
temporary+=("$started")
: >"$started" || die "$STAMPS cannot be written: is the disk full?"
step qemu "Building QEMU and the device" install
mv -f -- "$started" "$STAMPS/qemu"
