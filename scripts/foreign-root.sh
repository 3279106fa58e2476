#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/foreign-root.sh guest|qemu: prints a folder with what packages of Debian hold for $arch, another architecture
# than this machine's; for its own, /. The cache keeps it. Nothing is installed, so this needs no root.
#   guest   busybox and lspci for the guest, from Debian 13, which has all architectures
#   qemu    the libraries with which a cross compiler builds QEMU, from the same release of Debian as that compiler.
#           DEBIAN/ tells dpkg-shlibdeps which packages they are from.
#   DEBIAN_MIRROR=URL   where the packages come from; by default, this machine's mirror
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"

mirror=${DEBIAN_MIRROR:-}
case ${1:-} in
    guest) suite=trixie packages=(busybox-static pciutils pci.ids) ;;
    qemu) suite='' packages=(libc6-dev libfdt-dev libglib2.0-dev libpixman-1-dev libpng-dev libslirp-dev) ;;
    *) die "usage: scripts/foreign-root.sh guest|qemu" ;;
esac
if [[ -z $cross ]]; then
    echo /
    exit
fi
find_debian
root=$CACHE/foreign/$1-$arch-$suite

get() { # get FOLDER: the packages, and those that they depend on, unpacked in FOLDER/root
    local deb link target
    set_up_apt "$1/apt" "$arch_debian" <<<"deb [signed-by=$debian_keyring] $mirror $suite main"
    apt_update
    private apt-get install --yes --download-only --no-install-recommends "${packages[@]}"
    mkdir -p -- "$1/root/DEBIAN"
    for deb in "$1"/apt/cache/archives/*.deb; do
        dpkg-deb --extract "$deb" "$1/root"
        # Most packages have no such file.
        dpkg-deb --info "$deb" symbols >>"$1/root/DEBIAN/symbols" 2>/dev/null || true
        dpkg-deb --info "$deb" shlibs >>"$1/root/DEBIAN/shlibs" 2>/dev/null || true
    done
    # Programs still name these folders, in which packages of Debian 13 have nothing.
    for link in bin lib lib64 sbin; do
        [[ -e $1/root/$link ]] || ln -s -- "usr/$link" "$1/root/$link"
    done
    while IFS=$'\t' read -r link target; do
        ln -sfnr -- "$1/root$target" "$link"
    done < <(find "$1/root" -lname '/*' -printf '%p\t%l\n')
}

if [[ ! -d $root ]]; then
    if [[ -z $mirror || -z $suite || ! -r $debian_keyring ]]; then
        die "the packages ${packages[*]} for $arch come from Debian: on a Debian, or an Ubuntu with the package" \
            "debian-archive-keyring, set DEBIAN_MIRROR= to the URL of a mirror."
    fi
    lock_cache foreign
    # Another checkout may have put it there meanwhile.
    if [[ ! -d $root ]]; then
        need_space "$CACHE" 400 "unpacking Debian's packages"
        new_tmp "$cache_tmp"
        step_may_fail "foreign-root-$1-$arch" "Getting Debian's packages for $arch: ${packages[*]}" get "$tmp"
        if ((status)); then
            show_log "foreign-root-$1-$arch" 15
            die "the packages ${packages[*]} for $arch could not be downloaded: check that $mirror can be reached, or set" \
                "DEBIAN_MIRROR= to another mirror."
        fi
        mkdir -p -- "${root%/*}"
        mv -- "$tmp/root" "$root"
    fi
fi
printf '%s\n' "$root"
