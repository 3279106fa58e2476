#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build.sh [STEP...]: builds what is not up to date; without a STEP, everything
#   build-deps  the distribution's packages that building needs
#   toolchain   the Rust toolchain
#   programs    build/bin: vm-run and others, qemu-overlay and the app, for this machine. build/ARCH/bin: the app and
#               init, for the guest. build/share: the app's manual page and completions
#   qemu        QEMU with the devices
#   linux       the guest's kernel
#   module      the driver
#   initramfs   the guest's files, packed
#   where       build/ARCH/where: what is built, where it is, and where its source came from
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# ---- programs ----

compile() { # compile FOLDER PROGRAM...: linked statically, for $arch
    local folder=$1 program
    shift
    build_static -p my-rng -p my-rng-vm -p qemu-overlay "${@/#/--bin=}"
    mkdir -p -- "$folder"
    for program; do
        cmp -s -- "$BUILD/guest/$arch_rust/release/$program" "$folder/$program" && continue
        cp -- "$BUILD/guest/$arch_rust/release/$program" "$folder/.$program"
        mv -f -- "$folder/.$program" "$folder/$program"
    done
}

compile_host() {
    find_arch "$host"
    # In one build, for the same target: so shared crates are compiled once.
    compile "$BUILD/bin" my-rng vm-init vm-run vm-initramfs vm-demo qemu-overlay
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
        compile_host
    update "programs-$arch" "$inputs" "$GUEST/bin/vm-init" 500 "Building the guest's programs for $arch" \
        compile "$GUEST/bin" my-rng vm-init
}

# ---- the guest's files ----

build_initramfs() {
    local inputs
    inputs=$(digest "$GUEST"/bin/{my-rng,vm-init} "$BUILD/bin/vm-initramfs" "$MODULE")
    inputs+=" $(stat -c %Y:%s "$(command -v busybox)" "$(command -v lspci)" 2>&1)"
    update "initramfs-$arch" "$inputs" "$GUEST/initramfs.cpio" 100 "Packing the guest's initramfs for $arch" \
        pack_initramfs "$MODULE" "$GUEST/initramfs.cpio"
}

recorded() { sed -n "s/^$2=//p" -- "$1.source"; } # recorded TREE KEY: by scripts/fetch.sh

write_where() {
    put "$GUEST/where" <<END
qemu=$QEMU
kernel=$KERNEL
module=$MODULE
initramfs=$GUEST/initramfs.cpio
app=$GUEST/bin/my-rng
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
            sub "$ROOT/scripts/foreign-root.sh" guest >/dev/null
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
