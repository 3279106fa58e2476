#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/guest-root.sh: prints a folder with busybox and lspci for a guest of another architecture than this machine's,
# unpacked from packages of Debian 13, which has all architectures. The cache keeps it. Nothing is installed, so this
# needs no root.
#   DEBIAN_MIRROR=URL   where the packages come from; by default, this machine's mirror
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"

packages=(busybox-static pciutils pci.ids)
root=$CACHE/guest/$arch

get() { # get FOLDER: the packages, and those that they depend on, unpacked in FOLDER/root
    local deb folder
    set_up_apt "$1/apt" "$arch_debian" <<<"deb [signed-by=$debian_keyring] $mirror trixie main"
    apt_update
    private apt-get install --yes --download-only --no-install-recommends "${packages[@]}"
    mkdir -- "$1/root"
    # Packages of Debian 13 have nothing in these folders, which programs still name.
    for folder in bin lib lib64 sbin; do ln -s -- "usr/$folder" "$1/root/$folder"; done
    for deb in "$1"/apt/cache/archives/*.deb; do dpkg-deb --extract "$deb" "$1/root"; done
}

if [[ ! -d $root ]]; then
    mirror=${DEBIAN_MIRROR:-}
    find_debian
    if [[ -z $mirror || ! -r $debian_keyring ]]; then
        die "the guest's busybox and lspci for $arch come from Debian's packages: on a Debian, or an Ubuntu with the" \
            "package debian-archive-keyring, set DEBIAN_MIRROR= to the URL of a mirror."
    fi
    lock_cache guest
    # Another checkout may have put it there meanwhile.
    if [[ ! -d $root ]]; then
        need_space "$CACHE" 200 "unpacking the guest's programs"
        new_tmp "$cache_tmp"
        step_may_fail "guest-root-$arch" "Getting busybox and lspci for $arch" get "$tmp"
        if ((status)); then
            show_log "guest-root-$arch" 15
            die "the packages ${packages[*]} for $arch could not be downloaded: check that $mirror can be reached, or set" \
                "DEBIAN_MIRROR= to another mirror."
        fi
        mkdir -p -- "${root%/*}"
        mv -- "$tmp/root" "$root"
    fi
fi
printf '%s\n' "$root"
