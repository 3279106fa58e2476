#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-qemu.sh [SERIES [OPTION...]]: builds QEMU with the devices from build/qemu/src into build/qemu/prefix,
# for this architecture and those that were built before, which share most of its code; the options are for QEMU's
# configure. The source comes from scripts/fetch.sh. QEMU's own build finds what is out of date.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

# Only what the virtual machine uses, and PNG for pictures of its screen: this halves the build time. -g1 keeps line
# numbers for gdb (make debug), without the rest of what -g costs in time and space.
# For fdt=system, see scripts/packages.sh.
options=(--prefix="$QEMU_PREFIX" --without-default-features
    --enable-system --enable-tcg --enable-kvm --enable-fdt=system --enable-pixman --enable-png --enable-slirp
    --disable-docs --disable-debug-info --extra-cflags=-g1)
# The distribution's Python: scripts/packages.sh installs its venv module.
[[ -x /usr/bin/python3 ]] && options+=(--python=/usr/bin/python3)

configure() { # configure [OLD...]: without these, which could be of an interrupted or different configuration
    cd -- "$QEMU_TREE"
    rm -rf -- "$@"
    ./configure "${options[@]}" "${target_options[@]}"
    made qemu-targets "${target_options[*]}"
}

install() {
    local targets
    cd -- "$QEMU_TREE/build"
    # As make install, but builds only what is installed: not QEMU's tests, a third of the time.
    mapfile -t targets < <(pyvenv/bin/python3 -c '
import json, os
for target in json.load(open("meson-info/intro-targets.json")):
    if target["installed"]:
        for name in target["filename"]:
            print(os.path.relpath(name))')
    ((${#targets[@]}))
    ninja -j"$JOBS" "${targets[@]}"
    pyvenv/bin/meson install --no-rebuild --only-changed
    # The empty firmware files of scripts/fetch.sh.
    find "$QEMU_PREFIX/share/qemu" -type f -size 0 -delete
}

sub "$ROOT/scripts/fetch.sh" qemu ${1:+"$1"} "$QEMU_TREE"
use_libclang # for the kit's bindings of QEMU's headers

apply_overlay() { "$BUILD/bin/qemu-overlay" apply "$QEMU_TREE" >"$LOG/overlay.log" 2>&1; }
if ! apply_overlay; then
    # The overlay on it is of an earlier version of this project. The tree is ours to remove.
    say "Getting QEMU's source again, because another overlay is on it"
    rm -rf -- "$QEMU_TREE" "$QEMU_TREE.source"
    sub "$ROOT/scripts/fetch.sh" qemu ${1:+"$1"} "$QEMU_TREE"
    apply_overlay || die "the overlay cannot be applied to $QEMU_TREE: $(last_line "$LOG/overlay.log")"
fi

# The targets are those for which there are devices' lists of ours: QEMU's default devices, and those in Rust that are off
# by default, which the tests need. With --target-list among the options, those of that list.
list=all-in-rust.mak
switches=$(echo 'include default.mak' && sed -n 's/^config \(.*\)/CONFIG_\1=y/p' "$ROOT/rust-dev/Kconfig")
mapfile -t targets < <({
    echo "$arch_qemu-softmmu"
    find "$QEMU_TREE/configs/devices" -name "$list" -printf '%P\n' | sed 's,/.*,,'
    printf '%s\n' "${@:2}" | sed -n 's/^--target-list=//p' | tr , '\n' | grep -e '-softmmu$' || true
} | sort -u)
target_options=("--target-list=$(IFS=, && printf %s "${targets[*]}")")
for target in "${targets[@]}"; do
    file=$QEMU_TREE/configs/devices/$target/$list
    if [[ ! -e $file || $(<"$file") != "$switches" ]]; then put "$file" <<<"$switches"; fi
    target_options+=("--with-devices-${target%-softmmu}=${list%.mak}")
done
target_options+=("${@:2}")

update qemu-configure "$(digest "$QEMU_TREE.source") ${options[*]}" "$QEMU_TREE/build" 1500 "Configuring QEMU" \
    configure build GNUmakefile "$QEMU_PREFIX"
update qemu-targets "${target_options[*]}" "$QEMU_TREE/build" 500 "Configuring QEMU for ${targets[*]}" configure
# Is nothing that the builds of QEMU and of the devices read newer than what was built?
if [[ -e $STAMPS/qemu && -x $QEMU && $STAMPS/qemu -nt $STAMPS/qemu-configure && $STAMPS/qemu -nt $STAMPS/qemu-targets ]] &&
    [[ -z $(find "$QEMU_TREE" "$ROOT/rust-dev" "$ROOT/qemu-8.2.9-overlay" "$ROOT/abi" "$ROOT"/Cargo.* \
        -path "$QEMU_TREE/build" -prune -o -newer "$STAMPS/qemu" \( -type f -o -type d \) -print -quit) ]]; then
    exit 0
fi
started=$STAMPS/.tmp.$$.qemu # as old as the start of the build, to notice edits during it
temporary+=("$started")
: >"$started" || die "$STAMPS cannot be written: is the disk full?"
step qemu "Building QEMU and the device" install
mv -f -- "$started" "$STAMPS/qemu"
