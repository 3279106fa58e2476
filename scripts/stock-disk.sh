#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian 13 with Debian's own newest kernel, of its backports, and the packages of `make packages` for a guest:
#   scripts/stock-disk.sh image   makes a disk of them, build/ARCH/debian/stock.img, and the kernel and the initramfs
#                                 of the disk, stock.vmlinuz and stock.initrd
#   scripts/stock-disk.sh check   runs tests/dkms.sh, the tests of the driver's package, in a folder; "check long" runs
#                                 more, which download packages
# DKMS builds the driver there. The cache keeps Debian, and the kernel's Rust crates, which take minutes. When the
# project's files change, only its packages are installed again.
#   DEBIAN_MIRROR=URL   where Debian's packages come from; by default, this machine's mirror
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"
# shellcheck source=scripts/debian.sh
. "$ROOT/scripts/debian.sh"

disk=$GUEST/debian/stock.img
base=$CACHE/debian/stock-$arch.tar.zst
crates=$CACHE/debian/stock-crates-$arch
kept=/var/cache/my-rng-dkms # where the driver's package keeps them

depends() { # what the driver's package depends on
    awk '/^[^ ]/ {here = 0} /^Package: / {mine = /my-rng-dkms$/} mine && sub(/^Depends:/, "") {here = 1} here' \
        "$ROOT/debian/control" | tr -d '\n' | sed 's/\${[^}]*}//g; s/, *,/,/g; s/[, ]*$//'
}

bootstrap() { # bootstrap TARBALL: of a Debian that has all but the project's packages
    local include image=linux-image-$arch_debian
    include=$(packages_on_disk)
    include=${include/$image/$image/$backports linux-headers-$arch_debian/$backports linux-source/$backports}
    debian_tar --variant=required --include="$include" "${without_documentation[@]}" \
        --customize-hook="chroot \"\$1\" apt-get satisfy --yes --no-install-recommends '$(depends)'" "${set_up[@]}" \
        '' - "deb $mirror trixie main" "deb $mirror $backports main" | zstd -q -T0 >"$1"
}

# mmdebstrap makes devices only in a folder that it sets up itself. Where they cannot be made, it lends the host's.
# shellcheck disable=SC2016  # $1 is the hook's
devices='cd -- "$1/dev" && mkdir pts shm && if mknod -m 666 null c 1 3 2>/dev/null; then
    mknod -m 666 zero c 1 5 && mknod -m 666 full c 1 7 && mknod -m 666 random c 1 8 && mknod -m 666 urandom c 1 9 &&
        mknod -m 666 tty c 5 0
fi'

# with_base OPTION...: mmdebstrap, on the base, with the files in $tmp/files. The crates go to $tmp/crates. mmdebstrap
# must not set up, update or clean: without a folder of its own to set up, it would do so on the host.
with_base() {
    local given=()
    chmod -R u=rwX,go=rX "$tmp/files"
    tar -C "$tmp/files" --owner=0 --group=0 -cf "$tmp/files.tar" .
    if is_cached "$crates" "$crates_inputs"; then
        given=(--customize-hook="mkdir -- \"\$1$kept\"" --customize-hook="sync-in $crates $kept")
    fi
    # Our packages keep their documentation.
    # shellcheck disable=SC2016  # $1 is the hooks'
    zstd -d -q -c -- "$base" | debian_tar --variant=custom --skip=setup,update,cleanup \
        --setup-hook='tar -x --exclude="./dev/*" -C "$1"' --setup-hook="$devices" \
        --setup-hook='rm -- "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
        ${given[@]+"${given[@]}"} --customize-hook="tar-in $tmp/files.tar /" "$@"
}

install_ours() { # a tarball, to standard output
    # shellcheck disable=SC2016  # $1 is the hooks'
    with_base --customize-hook='chroot "$1" sh -c "apt-get install --yes /packages/*.deb"' \
        --customize-hook='test -e "$1"/lib/modules/*/updates/dkms/my_rng.ko* ||
            { tail -n 20 "$1"/var/lib/dkms/my-rng/*/build/make.log; false; }' \
        --customize-hook='rm -r -- "$1/packages"' --customize-hook="sync-out $kept $tmp/crates" '' -
}

fill_disk() { # fill_disk FOLDER: FOLDER/disk, of the tarball on standard input; and its kernel and initramfs
    mkdir -- "$1/root"
    tar -x --exclude='./dev/*' -C "$1/root"
    cp -- "$1/root/boot"/vmlinuz-* "$1/vmlinuz"
    cp -- "$1/root/boot"/initrd.img-* "$1/initrd"
    mke2fs -q -t ext4 -L stock -d "$1/root" "$1/disk" 4G
}

make_disk() {
    cp -R -- "$config/root/." "$tmp/files/"
    install_ours | as_root fill_disk "$tmp"
    ${admin[@]+"${admin[@]}"} chown -R "$(id -u):$(id -g)" "$tmp/crates"
    if ! is_cached "$crates" "$crates_inputs"; then
        rm -rf -- "$crates" "$crates.inputs"
        mv -- "$tmp/crates" "$crates"
        put "$crates.inputs" <<<"$crates_inputs"
    fi
    mv -f -- "$tmp/vmlinuz" "${disk%.img}.vmlinuz"
    mv -f -- "$tmp/initrd" "${disk%.img}.initrd"
    mv -f -- "$tmp/disk" "$disk"
}

run_tests() { # run_tests [long]
    cp -- "$ROOT/tests/dkms.sh" "$tmp/files/packages/"
    # shellcheck disable=SC2016  # $1 is the hook's
    with_base --format=null --customize-hook='chroot "$1" sh -eux /packages/dkms.sh '"${1:-}" '' /dev/null
}

case ${*:-} in image | check | 'check long') ;; *) die "usage: scripts/stock-disk.sh image|check [long]" ;; esac
mirror=${DEBIAN_MIRROR:-} backports=trixie-backports
find_debian
base_inputs="trixie $(depends) $(digest "$config/packages" "$config/setup.sh")"
crates_inputs="$base_inputs $(digest "$ROOT/guest-module/dkms/build-crates.sh")"
ready_for_debian "$base" "$base_inputs"
lock_build
sub "$ROOT/scripts/build-packages.sh"
mkdir -p -- "${disk%/*}" || die "$BUILD cannot be written: is the disk full?"
cache_debian "$base" "$base_inputs" 3500 stock "Installing Debian 13 with its newest kernel into a folder" bootstrap
packages=("$DEBS"/my-rng_*.deb "$DEBS"/my-rng-dkms_*.deb)
new_tmp "$BUILD"
mkdir -p -- "$tmp/files/packages" "$tmp/crates"
cp -- "${packages[@]}" "$tmp/files/packages/"
[[ -n $mode ]] || choose_mode
if [[ $1 == check ]]; then
    is_cached "$crates" "$crates_inputs" || sub "$0" image
    step dkms "Testing the driver's package in Debian 13" run_tests "${2:-}"
    exit
fi
update "stock-disk-$arch" "$base_inputs $(digest "$config" "${packages[@]}")" "$disk" 6000 \
    "Installing the project's packages in Debian 13, and making a disk of it" make_disk
