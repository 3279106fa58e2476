# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What building for an architecture needs; vm/src/arch.rs says what a machine of it needs. lib.sh and vm/run-ubuntu.sh
# source this file.
# shellcheck disable=SC2034  # for the scripts that source it

arches=(x86_64 arm64 riscv64)

# find_arch ARCH: sets what others call it. $arch_gnu: GNU's name, of which the first part, $arch_qemu, is QEMU's;
# $arch_linux: Linux's; $arch_image: its kernel; $arch_cc: what compiles a kernel with Rust; $arch_rust: rustc's target;
# $arch_debian: Debian's name. $arch_pc: set if its machines are PCs, with a BIOS and IDE disks. $arch_uefi: the UEFI
# firmware, from Debian's package $arch_firmware; $arch_efi: the file that it starts. $cross: what precedes the names of
# the compiler and its tools here. $arch_make: the command that builds for it.
find_arch() {
    case $1 in
        x86_64)
            arch_gnu=x86_64-linux-gnu arch_rust=x86_64-unknown-linux-gnu arch_debian=amd64
            arch_linux=x86_64 arch_image=arch/x86/boot/bzImage arch_cc=gcc
            arch_pc=1 arch_firmware=ovmf arch_uefi=/usr/share/OVMF/OVMF_CODE_4M.fd arch_efi=BOOTX64.EFI
            ;;
        arm64)
            arch_gnu=aarch64-linux-gnu arch_rust=aarch64-unknown-linux-gnu arch_debian=arm64
            arch_linux=arm64 arch_image=arch/arm64/boot/Image arch_cc=gcc
            arch_pc='' arch_firmware=qemu-efi-aarch64 arch_uefi=/usr/share/AAVMF/AAVMF_CODE.fd arch_efi=BOOTAA64.EFI
            ;;
        riscv64)
            arch_gnu=riscv64-linux-gnu arch_rust=riscv64gc-unknown-linux-gnu arch_debian=riscv64
            # arch/riscv/Kconfig has Rust with clang only.
            arch_linux=riscv arch_image=arch/riscv/boot/Image arch_cc=clang
            arch_pc='' arch_firmware=qemu-efi-riscv64 arch_uefi=/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd
            arch_efi=BOOTRISCV64.EFI
            ;;
        *) die "there is nothing for the architecture $1, only for ${arches[*]}: set ARCH= to one of these." ;;
    esac
    arch_qemu=${arch_gnu%%-*} cross=$arch_gnu-
    [[ $1 != "$host" ]] || cross=
    arch_make=make${cross:+ ARCH=$1}
}

# The architectures of this machine, and of the guest; and those that are not this machine's.
host=$(uname -m)
host=${host/aarch64/arm64}
mapfile -t others < <(printf '%s\n' "${arches[@]}" | grep -vx "$host")
arch=${MY_RNG_ARCH:-$host}
find_arch "$arch"
export MY_RNG_ARCH=$arch
