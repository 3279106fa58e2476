#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots a disk with Ubuntu or another distribution, in the QEMU that has the device. Change the lines below,
# or set the variables on the command line:
#
#   MY_RNG_IMAGE=~/ubuntu.qcow2 vm/run-ubuntu.sh     with the kernel that is on the disk
#   MY_RNG_IMAGE=~/ubuntu.img MY_RNG_KERNEL=~/linux/arch/x86/boot/bzImage vm/run-ubuntu.sh     with your own kernel
#   MY_RNG_IMAGE=~/noble-server-cloudimg-amd64.img MY_RNG_CLOUD=1 vm/run-ubuntu.sh     a cloud image, with a login
#
# Arguments are passed to QEMU. Ctrl-A X ends a QEMU without a window. vm/README.md explains the rest.

die() {
    echo "run-ubuntu.sh: $*" >&2
    exit 1
}

HERE=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
BUILD=${MY_RNG_BUILD:-$HERE/build}
# The disk's architecture: MY_RNG_ARCH=arm64, for example; this machine's if not set.
# shellcheck source=scripts/arch.sh
. "$HERE/scripts/arch.sh"

# QEMU: the one that `make` has built, or yours, as in ~/hw8/qemu-8.2.9/prefix/bin/qemu-system-x86_64
QEMU_BIN=${QEMU_BIN:-$BUILD/qemu/prefix/bin/qemu-system-$arch_qemu}
# The disk: that of `make debian-vm`, or yours. Only the guest writes to it. With MY_RNG_SNAPSHOT=1, its changes are discarded
# on exit.
IMAGE=${MY_RNG_IMAGE:-$BUILD/$arch/debian/debian.img}
SNAPSHOT=${MY_RNG_SNAPSHOT:-0}
# What the guest sees: virtio (/dev/vda) or, on a PC without virtio drivers, ide (/dev/sda, QEMU's -hda).
DISK=${MY_RNG_DISK:-virtio}
# A kernel for QEMU to start, and the partition with its root; if not set, the disk starts its own kernel.
KERNEL=${MY_RNG_KERNEL:-}
ROOT=${MY_RNG_ROOT:-}
# 1 for a disk that UEFI starts, with Debian's firmware; or the path of another such firmware. Only a PC has a BIOS: on
# other machines, UEFI starts every disk whose kernel is on it.
UEFI=${MY_RNG_UEFI:-}
# 1 for a cloud image: makes this login at its first start, and lets your SSH keys in.
CLOUD=${MY_RNG_CLOUD:-0}
LOGIN=${MY_RNG_LOGIN:-user} PASSWORD=${MY_RNG_PASSWORD:-my_rng}
# A port of localhost that leads to the guest's SSH server; for a cloud image, 2222 if not set.
SSH=${MY_RNG_SSH:-}
# How the names of files that the script makes begin: beside the disk, or here if that is /dev/sdb, for example.
BESIDE=${MY_RNG_BESIDE:-${IMAGE/#\/dev\//./}}

may_not_write() { die "cannot write $1: set MY_RNG_BESIDE=/path/to/name to have it made elsewhere."; }

# The disk of `make debian-vm` has no kernel and no partitions. There is no hot-plug for it, so that lspci does not show
# a slot for each device.
hotplug=(--hotplug)
if [ "$IMAGE" -ef "$BUILD/$arch/debian/debian.img" ]; then
    KERNEL=${KERNEL:-$BUILD/$arch/linux/$arch_image} ROOT=/dev/vda SNAPSHOT=1 hotplug=()
fi
[ -x "$QEMU_BIN" ] || die "there is no QEMU at $QEMU_BIN: run $arch_make, or set QEMU_BIN= to yours."
[ -f "$IMAGE" ] || [ -b "$IMAGE" ] || die "there is no disk at $IMAGE: run $arch_make debian-vm, or set MY_RNG_IMAGE= to yours."
[ -r "$IMAGE" ] || die "you may not read the disk $IMAGE: take it over with chown, or set MY_RNG_IMAGE= to another."
[ -w "$IMAGE" ] || [ "$SNAPSHOT" = 1 ] ||
    die "you may not write the disk $IMAGE: take it over with chown, or set MY_RNG_SNAPSHOT=1 to discard all changes."
[ -z "$KERNEL" ] || [ -r "$KERNEL" ] || die "there is no kernel at $KERNEL: run $arch_make, or set MY_RNG_KERNEL= to yours."
case $arch_pc$DISK in
    virtio | 1virtio) device=/dev/vda ;;
    1ide) device=/dev/sda ;;
    ide) die "only a PC has IDE disks, and this machine is of $arch: set MY_RNG_DISK=virtio." ;;
    *) die "MY_RNG_DISK=$DISK is unknown: set it to virtio or ide." ;;
esac

# The machine, its accelerator (KVM if a guest runs on it, else TCG; ACCEL=kvm or ACCEL=tcg sets it) and its processor:
# vm-run knows them, and prints how to name the console for the kernel, too. Where `make` has not built it, cargo does.
vm_run=("$BUILD/bin/vm-run")
if [ ! -x "${vm_run[0]}" ]; then
    vm_run=(cargo run --quiet --manifest-path "$HERE/Cargo.toml" -p my-rng-vm --bin vm-run --)
fi
lines=$(MY_RNG_BUILD=$BUILD "${vm_run[@]}" --print-machine "${hotplug[@]}" --qemu "$QEMU_BIN") ||
    die "cannot choose an accelerator."
{ read -r -a machine && read -r console _; } <<<"$lines"

# Open a window if there is a screen and this QEMU can do it. The serial console is in this terminal.
options=(-nographic)
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && "$QEMU_BIN" -display help | grep -q -x -e gtk -e sdl; then
    options=(-serial mon:stdio)
fi

snapshot=
if [ "$SNAPSHOT" = 1 ]; then snapshot=,snapshot=on; fi

drive() { # drive FILE OPTIONS
    options+=(-drive "file=${1//,/,,},$2")
}

# The disk's format: raw and qcow2 are recognized; for another, set MY_RNG_FORMAT=vdi, vmdk and so on.
format=raw
if [ "$(head -c 3 -- "$IMAGE" | tr -d '\0')" = QFI ]; then format=qcow2; fi
drive "$IMAGE" "format=${MY_RNG_FORMAT:-$format},if=$DISK$snapshot"

if [ -n "$KERNEL" ]; then
    options+=(-kernel "$KERNEL" -append "root=${ROOT:-${device}1} rw console=tty0 $console")
fi

# The firmware keeps its settings in a file, of which each disk gets a copy.
if [ -z "$UEFI$KERNEL$arch_pc" ]; then UEFI=1; fi
if [ -n "$UEFI" ]; then
    if [ "$UEFI" = 1 ]; then UEFI=$arch_uefi; fi
    template=$(dirname -- "$UEFI")/$(basename -- "$UEFI" | sed s/CODE/VARS/)
    settings=$BESIDE.$(basename -- "$template")
    if [ ! -r "$UEFI" ] || [ ! -r "$template" ] || [ "$template" = "$UEFI" ]; then
        die "there is no UEFI firmware at $UEFI and $template: install $arch_firmware, or set MY_RNG_UEFI= to the" \
            "path of another's code."
    fi
    [ -e "$settings" ] || cp -- "$template" "$settings" || may_not_write "$settings"
    drive "$UEFI" format=raw,if=pflash,unit=0,readonly=on
    drive "$settings" "format=raw,if=pflash,unit=1$snapshot"
fi

# Makes a disk for cloud-init, which finds it by its label. cloud-init does its work once for each instance-id.
make_seed() ( # make_seed FILE
    # Nobody else may read the password.
    umask 077
    tmp=$(mktemp -d) && trap 'rm -rf -- "$tmp"' EXIT || exit
    keys=$(cat ~/.ssh/id_*.pub 2>/dev/null)
    cat >"$tmp/user-data" <<END
#cloud-config
users:
  - name: '$LOGIN'
    plain_text_passwd: '${PASSWORD//\'/\'\'}'
    lock_passwd: false
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: [$(sed "s/'/''/g; s/..*/'&',/" <<<"$keys" | paste -sd ' ')]
# With your keys, it needs no password.
ssh_pwauth: $(if [ -n "$keys" ]; then echo false; else echo true; fi)
END
    echo "instance-id: my_rng-$(sha256sum "$tmp/user-data" | head -c 16)" >"$tmp/meta-data"
    mformat -C -f 1440 -v CIDATA -i "$tmp/seed" :: && mcopy -i "$tmp/seed" "$tmp"/*-data :: && mv -f -- "$tmp/seed" "$1"
)
if [ "$CLOUD" = 1 ]; then
    command -v mformat >/dev/null || die "cannot make the disk for cloud-init: install mtools."
    make_seed "$BESIDE.seed" || may_not_write "$BESIDE.seed"
    drive "$BESIDE.seed" format=raw,if=virtio,readonly=on
    echo "run-ubuntu.sh: log in as $LOGIN, with the password $PASSWORD" >&2
    SSH=${SSH:-2222} login=$LOGIN@
fi

if [ -n "$SSH" ]; then
    "$QEMU_BIN" -netdev help | grep -q -x user ||
        die "this QEMU has no user network: install libslirp-dev, and configure it again with --enable-slirp."
    ! (: </dev/tcp/127.0.0.1/"$SSH") 2>/dev/null ||
        die "port $SSH of localhost is in use: set MY_RNG_SSH= to another."
    options+=(-nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$SSH-:22")
    echo "run-ubuntu.sh: ssh -p $SSH -o NoHostAuthenticationForLocalhost=yes ${login:-}localhost" >&2
fi

exec "$QEMU_BIN" "${machine[@]}" -smp 2 -m 2G "${options[@]}" -device my_rng "$@"
