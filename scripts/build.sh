#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build.sh [STEP...]: builds what is not up to date; without a STEP, everything
#   build-deps  the distribution's packages that building needs
#   toolchain   the Rust toolchain
#   programs    build/bin: the app and init for the guest; vm-run and others, and qemu-overlay, for the host.
#               build/share: the app's manual page and completions
#   qemu        QEMU with the devices
#   linux       the guest's kernel
#   module      the driver
#   initramfs   the guest's files, packed
#   where       build/where: what is built, where it is, and where its source came from
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# ---- programs ----

compile_programs() {
    local target=x86_64-unknown-linux-gnu program
    cd -- "$ROOT"
    # In one build, for the same target: so shared crates are compiled once.
    env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --release --locked --target "$target" --target-dir "$BUILD/guest" --jobs "$JOBS" \
        -p my-rng -p my-rng-vm -p qemu-overlay --bins
    mkdir -p -- "$BUILD/bin"
    for program in my-rng vm-init vm-run vm-initramfs vm-demo qemu-overlay; do
        cmp -s -- "$BUILD/guest/$target/release/$program" "$BUILD/bin/$program" && continue
        cp -- "$BUILD/guest/$target/release/$program" "$BUILD/bin/.$program"
        mv -f -- "$BUILD/bin/.$program" "$BUILD/bin/$program"
    done
    share man/man1/my-rng.1 man
    share bash-completion/completions/my-rng completions bash
    share zsh/site-functions/_my-rng completions zsh
    share fish/vendor_completions.d/my-rng.fish completions fish
}

share() { # share FILE ARGUMENT...: what the app prints, into that file of build/share
    local file=$BUILD/share/$1
    mkdir -p -- "${file%/*}"
    put "$file" "$BUILD/bin/my-rng" "${@:2}"
}

build_programs() {
    local inputs
    use_rust
    inputs=$(digest "$ROOT"/{guest-app,vm,qemu-8.2.9-overlay,rust-dev/qemu-pci/examples,abi,Cargo.toml,Cargo.lock,rust-toolchain.toml})
    inputs+=" $(rustc --version) $ROOT"
    update programs "$inputs" "$BUILD/bin/vm-run" 500 "Building the app, and the programs around the virtual machine" \
        compile_programs
}

# ---- the guest's files ----

build_initramfs() {
    local inputs
    inputs="$(digest "$BUILD"/bin/{my-rng,vm-init,vm-initramfs} "$BUILD/module/my_rng.ko")"
    inputs+=" $(stat -c %Y:%s "$(command -v busybox)" "$(command -v lspci)" 2>&1)"
    update initramfs "$inputs" "$BUILD/initramfs.cpio" 100 "Packing the guest's initramfs" "$BUILD/bin/vm-initramfs" \
        --init "$BUILD/bin/vm-init" --app "$BUILD/bin/my-rng" --module "$BUILD/module/my_rng.ko" \
        --output "$BUILD/initramfs.cpio"
}

recorded() { sed -n "s/^$2=//p" -- "$1.source"; } # recorded TREE KEY: by scripts/fetch.sh

write_where() {
    put "$BUILD/where" <<END
qemu=$QEMU_PREFIX/bin/qemu-system-x86_64
kernel=$LINUX_OUT/arch/x86/boot/bzImage
module=$BUILD/module/my_rng.ko
initramfs=$BUILD/initramfs.cpio
app=$BUILD/bin/my-rng
qemu_source=$(recorded "$QEMU_TREE" source)
qemu_version=$(recorded "$QEMU_TREE" version)
linux_source=$(recorded "$LINUX_TREE" source)
linux_version=$(recorded "$LINUX_TREE" version)
END
}

# ---- all of it ----

build() { # build STEP
    case $1 in
        build-deps) sub "$ROOT/scripts/packages.sh" build ;;
        toolchain) sub "$ROOT/scripts/toolchain.sh" ;;
        programs) build_programs ;;
        qemu) sub "$ROOT/scripts/build-qemu.sh" ;;
        linux) sub "$ROOT/scripts/build-linux.sh" ;;
        module) sub "$ROOT/scripts/build-linux.sh" module ;;
        initramfs) build_initramfs ;;
        where) write_where ;;
        all)
            # What the user gives is checked first, not in the middle of a long build.
            sub "$ROOT/scripts/fetch.sh" --check qemu
            sub "$ROOT/scripts/fetch.sh" --check linux
            build build-deps
            build toolchain
            # At the same time: neither keeps all processors busy throughout.
            together "$ROOT/scripts/build.sh programs qemu" "$ROOT/scripts/build.sh linux module"
            build initramfs
            build where
            ;;
        *) die "there is no step $1: see the top of scripts/build.sh." ;;
    esac
}

lock_build
(($#)) || set -- all
for name; do build "$name"; done
