#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/debian-vm.sh image   makes build/ARCH/debian/debian.img: a disk with Debian, the app, the driver and what belongs
#                              to them. QEMU gets our kernel, or Debian's own: vmlinuz and initrd.img, beside the disk.
# scripts/debian-vm.sh boot    the same, then boots it with vm/run-ubuntu.sh
# scripts/debian-vm.sh mirror  prints where Debian's packages come from, and of which release; fails if apt has no
#                              mirror of Debian here
# mmdebstrap downloads and installs Debian's packages once, and the cache keeps the result; when the project's files
# change, only they are copied again. Root and plain users can do this.
#   DEBIAN_MIRROR=URL            where the packages come from; by default, this machine's mirror
#   DEBIAN_SUITE=bookworm|trixie which release; by default, this machine's
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"
# shellcheck source=scripts/debian.sh
. "$ROOT/scripts/debian.sh"

disk=$GUEST/debian/debian.img

case ${1:-} in image | boot | mirror) ;; *) die "usage: scripts/debian-vm.sh image|boot|mirror" ;; esac

# ---- Debian ----

bootstrap() { # bootstrap TARBALL: of a Debian with the packages in vm/debian/packages
    # A virtual machine does not need most of the kernel's modules.
    local key options=()
    for key in sound drivers/{gpu,infiniband,media,net,scsi,staging,usb}; do
        options+=(--dpkgopt="path-exclude=*/modules/*/$key/*")
    done
    # shellcheck disable=SC2016  # $1 is the hook's
    debian_tar "${options[@]}" --variant=required --include="$(packages_on_disk)" "${without_documentation[@]}" \
        --customize-hook="upload $users /usr/lib/sysusers.d/my_rng.conf" \
        --customize-hook='chroot "$1" systemd-sysusers my_rng.conf' "${set_up[@]}" \
        "$suite" - "deb $mirror $suite main" | zstd -q -T0 >"$1"
}

# ---- the project's files ----

lay_out() { # lay_out FOLDER: the project's files, in the places where the disk has them
    local version
    umask 022
    cp -R -- "$config/root/." "$1/"
    install -D -- "$GUEST/bin/my-rng" "$1/usr/bin/my-rng"
    # The man page and the shells' completions.
    cp -R -- "$BUILD/share" "$1/usr/"
    install -D -m 644 -- "$ROOT/guest-module/60-my_rng.rules" "$1/usr/lib/udev/rules.d/60-my_rng.rules"
    # As make modules_install does.
    version=$(<"$LINUX_OUT/include/config/kernel.release")
    install -D -m 644 -- "$MODULE" "$1/usr/lib/modules/$version/updates/my_rng.ko"
    cp -- "$LINUX_OUT"/modules.{order,builtin,builtin.modinfo} "$1/usr/lib/modules/$version/"
    ln -s usr/lib "$1/lib"
    depmod --basedir "$1" "$version"
    rm -- "$1/lib"
    # The modes in the checkout, which depend on the user's umask, do not matter.
    chmod -R u=rwX,go=rX "$1"
}

fill_disk() { # fill_disk TARBALL FOLDER: FOLDER/disk, of TARBALL and FOLDER/ours
    umask 022
    mkdir -- "$2/root"
    # The kernel mounts its own /dev.
    tar -x --zstd --exclude='./dev/*' -C "$2/root" -f "$1"
    cp -R -- "$2/ours/." "$2/root/"
    mv -- "$2"/root/boot/vmlinuz-* "$2/vmlinuz"
    mv -- "$2"/root/boot/initrd.img-* "$2/initrd.img"
    mke2fs -q -t ext4 -L debian -d "$2/root" "$2/disk" 1G
}

make_disk() {
    mkdir -- "$tmp/ours"
    (lay_out "$tmp/ours")
    as_root fill_disk "$base" "$tmp"
    mv -f -- "$tmp/vmlinuz" "$tmp/initrd.img" "${disk%/*}"
    mv -f -- "$tmp/disk" "$disk"
}

mirror=${DEBIAN_MIRROR:-} suite=${DEBIAN_SUITE:-}
find_debian
suite=${suite:-bookworm}
case $suite-$arch in
    bookworm-riscv64) die "Debian 12 has no packages for riscv64: set DEBIAN_SUITE=trixie." ;;
    bookworm-* | trixie-*) ;;
    *) die "DEBIAN_SUITE=$suite is not supported: set it to bookworm or trixie." ;;
esac
base=$CACHE/debian/$suite-$arch.tar.zst
users=$ROOT/guest-module/my_rng.sysusers.conf
base_inputs="$suite $(digest "$config/packages" "$config/setup.sh" "$users")"
if [[ $1 == mirror ]]; then
    is_cached "$base" "$base_inputs" || [[ -n $mirror ]] ||
        die "apt has no mirror of Debian on this machine: set DEBIAN_MIRROR= to the URL of one."
    echo "${mirror:-the cache} $suite"
    exit 0
fi
ready_for_debian "$base" "$base_inputs"
lock_build
sub "$ROOT/scripts/build.sh" all
mkdir -p -- "${disk%/*}" || die "$BUILD cannot be written: is the disk full?"
cache_debian "$base" "$base_inputs" 800 debian "Installing Debian ($suite, $arch_debian) into a folder" bootstrap
inputs="$base_inputs $(digest "$config" "$BUILD/share" "$GUEST/bin/my-rng" "$MODULE" \
    "$ROOT/guest-module/60-my_rng.rules" "$LINUX_OUT/include/config/kernel.release")"
new_tmp "$BUILD"
update "debian-disk-$arch" "$inputs" "$disk" 1500 "Making a disk of Debian and the project's files" make_disk
[[ $1 == boot ]] || exit 0
become "$ROOT/vm/run-ubuntu.sh"
