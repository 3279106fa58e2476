#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-disks.sh: boots a cloud image with vm/run-ubuntu.sh in each of its ways: by UEFI and, on a PC, by BIOS,
# from a virtio disk and, on a PC, from an IDE disk, with the disk's kernel and with ours. Logs in by SSH and on the
# serial console, and looks for the device there.
#
# The image is made here, of Debian's packages, with vm/cloud/setup.sh: Debian's kernel, GRUB, cloud-init, and an SSH
# server. Debian has such a kernel for x86_64 and arm64. DEBIAN_MIRROR and DEBIAN_SUITE are as for scripts/debian-vm.sh.
# Loop devices are not needed.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"
config=$ROOT/vm/cloud
# shellcheck source=scripts/debian.sh
. "$ROOT/scripts/debian.sh"

image=$BUILD/disks/cloud-$arch.qcow2
limit=900 # seconds for each wait: far more than one takes, also without KVM on a busy machine

# ---- the image ----

# cloud-init grows the file system with e2fsprogs, which Debian 13 does not always have.
packages=(systemd-sysv udev dbus kmod "linux-image-cloud-$arch_debian" initramfs-tools zstd ${arch_pc:+grub-pc-bin}
    "grub-efi-$arch_debian-bin" cloud-init e2fsprogs openssh-server sudo iproute2 pciutils)

# The partitions, as in the distributions' cloud images, with their first sectors.
gpt=(
    "first-lba: 34"
    "start=34, size=2014, type=21686148-6449-6E6F-744E-656564454649" # GRUB for BIOS
    "start=2048, size=8192, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B" # the EFI system partition
    "start=10240, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4" # the root
)

bootstrap() { # bootstrap TARBALL
    debian_tar --variant=minbase --include="${packages[*]}" "${without_documentation[@]}" "${set_up[@]}" \
        "$suite" - "deb $mirror $suite main" >"$1"
}

sectors() { # sectors FIRST: dd from standard input to these sectors of the disk
    dd of="$tmp/disk" bs=512 seek="$1" conv=notrunc status=none
}

address() { # address OFFSET SECTOR: writes its number, of 8 bytes, where GRUB looks for it
    local byte bytes=
    for byte in {0..7}; do bytes+=$(printf '\\x%02x' $(($2 >> 8 * byte & 255))); done
    printf '%b' "$bytes" | dd of="$tmp/disk" bs=1 seek="$1" conv=notrunc status=none
}

make_image() {
    local boot=$tmp/root/boot/grub
    bootstrap "$tmp/tar"
    truncate -s 2G "$tmp/disk"
    printf '%s\n' 'label: gpt' "${gpt[@]}" | sfdisk --quiet --no-reread "$tmp/disk"
    # Debian's files have several owners, which fakeroot can remember.
    # shellcheck disable=SC2016  # the inner shell's
    fakeroot -- bash -euc 'mkdir "$1/root"
        tar -x --exclude="./dev/*" -C "$1/root" -f "$1/tar"
        mke2fs -q -F -t ext4 -L root -d "$1/root" -E offset=$((10240 * 512)) "$1/disk" 2000M' disk "$tmp"
    # BIOS loads the first sector of the disk. That loads the first sector of core.img, and that the rest.
    if [[ -n $arch_pc ]]; then
        head -c 440 "$boot/boot.img" | sectors 0
        sectors 34 <"$boot/core.img"
        address $((0x5c)) 34
        address $((34 * 512 + 500)) 35
    fi
    # UEFI loads a file.
    mformat -C -T 8192 -i "$tmp/esp" ::
    mmd -i "$tmp/esp" ::/EFI ::/EFI/BOOT
    mcopy -i "$tmp/esp" "$boot/boot.efi" "::/EFI/BOOT/$arch_efi"
    sectors 2048 <"$tmp/esp"
    qemu-img convert -O qcow2 "$tmp/disk" "$image"
}

# ---- a run of it ----

die_with_console() { # die_with_console WORD...
    tail -n 30 -- "$folder/console" | tr -d '\r'
    cat -- "$folder/said"
    die "$@"
}

try() { # try WHAT COMMAND...
    "${@:2}" || {
        is_alive "$qemu" || die_with_console "QEMU ended while the check waited for this: $1"
        false
    }
}

await() { # await WHAT COMMAND...: tries COMMAND until it succeeds
    retry "$limit" try "$@" || die_with_console "within $limit seconds, this did not happen: $1"
}

start() { # start VARIABLE=VALUE...: for vm/run-ubuntu.sh
    mkfifo "$folder/keyboard"
    exec {keyboard}<>"$folder/keyboard"
    env HOME="$folder" MY_RNG_IMAGE="$disk" "$@" "$ROOT/vm/run-ubuntu.sh" -no-reboot <"$folder/keyboard" \
        >"$folder/console" 2>"$folder/said" &
    qemu=$!
}

has_ended() { ! is_alive "$qemu"; }

end() { # the guest is powering off
    retry "$limit" has_ended || die_with_console "within $limit seconds, the guest did not power off"
    wait "$qemu" || die_with_console "QEMU ended with status $?"
    exec {keyboard}>&-
    rm -- "$folder/keyboard"
}

type_in() { printf '%s\n' "$1" >&"$keyboard"; } # type_in LINE: on the serial console

on_console() { tr -d '\r' <"$folder/console" | grep -q -e "$1"; } # on_console PATTERN

in_guest() { # in_guest COMMAND: by the command for ssh that vm/run-ubuntu.sh has printed
    local ssh
    read -r -a ssh < <(sed -n 's/^run-ubuntu.sh: \(ssh .*\)/\1/p' -- "$folder/said")
    ((${#ssh[@]}))
    "${ssh[@]}" -F none -i "$folder/.ssh/id_ed25519" -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$1"
}

is() { # is WANTED COMMAND: what it prints in the guest
    local said
    said=$(in_guest "$2")
    [[ $said == "$1" ]] || die_with_console "in the guest, \`$2\` printed this, and not '$1': $said"
}

has_device() { # as lspci shows it in README.md
    in_guest 'lspci -n -d 1234:cafe' | grep -E '^00:[0-9a-f]{2}\.0 00ff: 1234:cafe \(rev 10\)$'
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

cloud_init_ended() { # its status goes to $said; cloud-init restarts the SSH server, so this may have to be tried again
    said=$(in_guest 'cloud-init status --wait --long' || true)
    [[ $said == *status:* ]]
}

by_ssh() { # by_ssh VARIABLE=VALUE...: boots the disk
    local said
    start MY_RNG_CLOUD=1 MY_RNG_SSH="$(free_port)" "$@"
    await "a login by SSH, and the end of cloud-init" cloud_init_ended
    [[ $said == *'status: done'* ]] || die_with_console "cloud-init failed in the guest: $said"
    has_device
    is user whoami
    is root 'sudo whoami'
}

# The disk is new: cloud-init makes the login, and new keys of the host.
uefi_virtio() {
    by_ssh MY_RNG_UEFI=1
    is UEFI 'test ! -e /sys/firmware/efi || echo UEFI'
    is /dev/vda3 'findmnt -n -o SOURCE /'
    in_guest 'echo kept >here'
    in_guest 'sudo poweroff' || true
    end
    cmp -- "$uefi_vars" "$folder/vars"
    [[ -e $disk.${uefi_vars##*/} ]]
}

# Nothing of the disk may change.
bios_ide() {
    local before
    before=$(sha256sum <"$disk")
    by_ssh MY_RNG_DISK=ide MY_RNG_SNAPSHOT=1
    is '' 'test ! -e /sys/firmware/efi || echo UEFI'
    is /dev/sda3 'findmnt -n -o SOURCE /'
    is kept 'cat here'
    in_guest 'echo discarded >here && sync'
    in_guest 'sudo poweroff' || true
    end
    [[ $(sha256sum <"$disk") == "$before" ]] || die "the disk has changed, in spite of MY_RNG_SNAPSHOT=1."
}

# A raw disk, with our kernel, which has neither network nor FAT: log in on the serial console, by the password.
own_kernel() {
    qemu-img convert -O raw "$disk" "$folder/raw"
    disk=$folder/raw
    start MY_RNG_KERNEL="$KERNEL" MY_RNG_ROOT=/dev/vda3
    # Its messages come between those of others.
    await "the end of cloud-init" on_console 'Cloud-init v\..* finished'
    await "the prompt for a login" on_console 'cloud login: '
    type_in user
    await "the prompt for the password" on_console 'Password: '
    type_in my_rng
    await "the prompt of the shell" on_console 'user@cloud:~\$ '
    type_in 'lspci -n -d 1234:cafe; cat here; uname -r'
    await "the device in lspci's output" on_console '00:[0-9a-f]*\.0 00ff: 1234:cafe (rev 10)$'
    await "a file from the earlier run" on_console '^kept$'
    await "the release of our kernel" on_console "^$(<"$LINUX_OUT/include/config/kernel.release")\$"
    await "the boot self-test" on_console 'END MY-RNG TEST'
    type_in 'sudo poweroff'
    end
}

# ---- all of it ----

mirror=${DEBIAN_MIRROR:-} suite=${DEBIAN_SUITE:-}
find_debian
suite=${suite:-bookworm}
[[ -n $mirror ]] || die "apt has no mirror of Debian on this machine: set DEBIAN_MIRROR= to the URL of one."
needed=(mmdebstrap debian-archive-keyring fakeroot e2fsprogs fdisk mtools "$arch_firmware" qemu-utils openssh-client)
((EUID == 0)) || needed+=(uidmap)
sub "$ROOT/scripts/packages.sh" install "${needed[@]}"
choose_mode
lock_build
sub "$ROOT/scripts/build.sh" all
mkdir -p -- "$BUILD/disks"
new_tmp "$BUILD/disks"
inputs="$suite $(declare -p packages gpt && declare -f bootstrap make_image sectors address && cat -- "$config/setup.sh")"
update "disks-image-$arch" "$(sha256sum <<<"$inputs")" "$image" 5000 "Making a cloud image of Debian ($suite, $arch_debian)" \
    make_image
rm -rf -- "$tmp"

new_tmp "$BUILD/disks"
folder=$tmp disk=$tmp/disk.qcow2 uefi_vars=${arch_uefi/CODE/VARS}
cp -- "$image" "$disk"
cp -- "$uefi_vars" "$folder/vars"
mkdir -m 700 "$folder/.ssh"
ssh-keygen -q -t ed25519 -N '' -f "$folder/.ssh/id_ed25519"
step disks-uefi "Booting the image by UEFI from a virtio disk, with a login by SSH" uefi_virtio
if [[ -n $arch_pc ]]; then
    step disks-bios "Booting it again by BIOS from an IDE disk, and discarding changes" bios_ide
else
    say "Only a PC has a BIOS and IDE disks: not booting it so"
fi
step disks-kernel "Booting it with our kernel, with a login on the serial console" own_kernel
