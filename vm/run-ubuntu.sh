#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots a disk with Ubuntu, or another distribution, in the QEMU that has the device. Change the lines below,
# or say the same before the command:
#
#   MY_RNG_IMAGE=~/ubuntu.img vm/run-ubuntu.sh     with the kernel that is on the disk
#   MY_RNG_IMAGE=~/ubuntu.img MY_RNG_KERNEL=~/linux/arch/x86/boot/bzImage vm/run-ubuntu.sh     with one of your own
#
# What comes after the command is more options for QEMU. Ctrl-A X ends a QEMU without a window.

HERE=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
BUILD=${MY_RNG_BUILD:-$HERE/build}

# QEMU, as `make` has built it, or yours: ~/hw8/qemu-8.2.9/prefix/bin/qemu-system-x86_64
QEMU_BIN=${QEMU_BIN:-$BUILD/qemu/prefix/bin/qemu-system-x86_64}
# The disk: that of `make debian-vm`, or yours.
IMAGE=${MY_RNG_IMAGE:-$BUILD/debian/debian.img}
# A kernel that QEMU starts by itself, and the partition that is its root; without, the disk starts its own.
KERNEL=${MY_RNG_KERNEL:-}
ROOT=${MY_RNG_ROOT:-/dev/vda1}

die() {
    echo "run-ubuntu.sh: $*" >&2
    exit 1
}

# The disk of `make debian-vm` has no kernel and no partitions. It stays as it was made: what is written to it
# is forgotten at the end.
if [ "$IMAGE" -ef "$BUILD/debian/debian.img" ]; then
    KERNEL=${KERNEL:-$BUILD/linux/out/arch/x86/boot/bzImage} ROOT=/dev/vda
    # Without slots that devices can be plugged into, which lspci would name.
    set -- -snapshot -global PIIX4_PM.acpi-root-pci-hotplug=off "$@"
    writable=no
fi
[ -x "$QEMU_BIN" ] || die "there is no QEMU at $QEMU_BIN: run make, or say QEMU_BIN= with yours."
[ -f "$IMAGE" ] || [ -b "$IMAGE" ] || die "there is no disk at $IMAGE: run make debian-vm, or say MY_RNG_IMAGE= with yours."
if [ ! -r "$IMAGE" ] || { [ ! -w "$IMAGE" ] && [ "${writable:-}" != no ]; }; then
    die "you may not read and write the disk $IMAGE: give it to yourself (chown), or say MY_RNG_IMAGE= with another."
fi
[ -z "$KERNEL" ] || [ -r "$KERNEL" ] || die "there is no kernel at $KERNEL: run make, or say MY_RNG_KERNEL= with yours."

# KVM, where a guest really gets through its firmware on it; that /dev/kvm is there says little. One with
# nothing to boot restarts, and that ends this QEMU. If it crashes, that is for nobody to see.
# For tests of this script: MY_RNG_KVM=FILE stands for /dev/kvm.
kvm_works() {
    [ -w "${MY_RNG_KVM:-/dev/kvm}" ] && (
        timeout -k 1 6 "$QEMU_BIN" -accel kvm -cpu host -nodefaults -display none -no-reboot -boot reboot-timeout=0
        exit $?
    ) >/dev/null 2>&1
}
ACCEL=${ACCEL:-auto}
if [ "$ACCEL" = auto ]; then
    if kvm_works; then ACCEL=kvm; else ACCEL=tcg; fi
fi
case $ACCEL in
    kvm) cpu=host ;;
    # These features promise what is slow under TCG.
    tcg) cpu=max,erms=off,fsrm=off,fsrs=off ;;
    *) die "ACCEL=$ACCEL is none of auto, kvm and tcg." ;;
esac

# A window where there is a screen and this QEMU can open one; the serial console is in this terminal.
screen=(-nographic)
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && "$QEMU_BIN" -display help | grep -q -x -e gtk -e sdl; then
    screen=(-serial mon:stdio)
fi

# The disk's format. These two are recognized; for another, say MY_RNG_FORMAT=vdi, vmdk and so on.
FORMAT=raw
if [ "$(head -c 3 -- "$IMAGE" | tr -d '\0')" = QFI ]; then FORMAT=qcow2; fi
FORMAT=${MY_RNG_FORMAT:-$FORMAT}

kernel=()
if [ -n "$KERNEL" ]; then
    kernel=(-kernel "$KERNEL" -append "root=$ROOT rw console=tty0 console=ttyS0")
fi

exec "$QEMU_BIN" \
    -accel "$ACCEL" -cpu "$cpu" -smp 2 -m 2G \
    -drive file="${IMAGE//,/,,}",format="$FORMAT",if=virtio \
    "${kernel[@]}" "${screen[@]}" \
    -device my_rng \
    "$@"
