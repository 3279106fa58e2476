#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots a disk with Ubuntu or another distribution, in the QEMU that has the device. Change the lines below,
# or set the variables on the command line:
#
#   MY_RNG_IMAGE=~/ubuntu.img vm/run-ubuntu.sh     with the kernel that is on the disk
#   MY_RNG_IMAGE=~/ubuntu.img MY_RNG_KERNEL=~/linux/arch/x86/boot/bzImage vm/run-ubuntu.sh     with your own kernel
#
# Arguments are passed to QEMU. Ctrl-A X ends a QEMU without a window.

HERE=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
BUILD=${MY_RNG_BUILD:-$HERE/build}

# QEMU: the one that `make` has built, or yours, as in ~/hw8/qemu-8.2.9/prefix/bin/qemu-system-x86_64
QEMU_BIN=${QEMU_BIN:-$BUILD/qemu/prefix/bin/qemu-system-x86_64}
# The disk: that of `make debian-vm`, or yours.
IMAGE=${MY_RNG_IMAGE:-$BUILD/debian/debian.img}
# A kernel for QEMU to start, and the partition with its root; if not set, the disk starts its own kernel.
KERNEL=${MY_RNG_KERNEL:-}
ROOT=${MY_RNG_ROOT:-/dev/vda1}

die() {
    echo "run-ubuntu.sh: $*" >&2
    exit 1
}

# The disk of `make debian-vm` has no kernel and no partitions. Changes to it are discarded on exit.
if [ "$IMAGE" -ef "$BUILD/debian/debian.img" ]; then
    KERNEL=${KERNEL:-$BUILD/linux/out/arch/x86/boot/bzImage} ROOT=/dev/vda
    # No hot-plug, so that lspci does not show a slot for each device.
    set -- -snapshot -global PIIX4_PM.acpi-root-pci-hotplug=off "$@"
    writable=no
fi
[ -x "$QEMU_BIN" ] || die "there is no QEMU at $QEMU_BIN: run make, or set QEMU_BIN= to yours."
[ -f "$IMAGE" ] || [ -b "$IMAGE" ] || die "there is no disk at $IMAGE: run make debian-vm, or set MY_RNG_IMAGE= to yours."
if [ ! -r "$IMAGE" ] || { [ ! -w "$IMAGE" ] && [ "${writable:-}" != no ]; }; then
    die "you may not read and write the disk $IMAGE: take it over with chown, or set MY_RNG_IMAGE= to another."
fi
[ -z "$KERNEL" ] || [ -r "$KERNEL" ] || die "there is no kernel at $KERNEL: run make, or set MY_RNG_KERNEL= to yours."

# The accelerator: KVM if a guest runs on it, else TCG; ACCEL=kvm or ACCEL=tcg sets it. vm-run knows how to find
# out, and which processor goes with each. Where `make` has not built it, cargo does.
vm_run=("$BUILD/bin/vm-run")
if [ ! -x "${vm_run[0]}" ]; then
    vm_run=(cargo run --quiet --manifest-path "$HERE/Cargo.toml" -p my-rng-vm --bin vm-run --)
fi
accel=$(MY_RNG_BUILD=$BUILD "${vm_run[@]}" --print-accel --qemu "$QEMU_BIN") || die "cannot choose an accelerator."
read -r -a accel <<<"$accel"

# Open a window if there is a screen and this QEMU can do it. The serial console is in this terminal.
screen=(-nographic)
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && "$QEMU_BIN" -display help | grep -q -x -e gtk -e sdl; then
    screen=(-serial mon:stdio)
fi

# The disk's format: raw and qcow2 are recognized; for another, set MY_RNG_FORMAT=vdi, vmdk and so on.
FORMAT=raw
if [ "$(head -c 3 -- "$IMAGE" | tr -d '\0')" = QFI ]; then FORMAT=qcow2; fi
FORMAT=${MY_RNG_FORMAT:-$FORMAT}

kernel=()
if [ -n "$KERNEL" ]; then
    kernel=(-kernel "$KERNEL" -append "root=$ROOT rw console=tty0 console=ttyS0")
fi

exec "$QEMU_BIN" \
    "${accel[@]}" -smp 2 -m 2G \
    -drive file="${IMAGE//,/,,}",format="$FORMAT",if=virtio \
    "${kernel[@]}" "${screen[@]}" \
    -device my_rng \
    "$@"
