# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that make disks with Debian share: mmdebstrap installs Debian into a folder, as root or as a plain
# user, and the cache keeps the result as a tarball. Sourced after lib.sh and apt.sh.
# shellcheck disable=SC2034,SC2154  # for the scripts that source this file; set by lib.sh and apt.sh

config=${config:-$ROOT/vm/debian}

# Options of mmdebstrap. Other packages' documentation, and translations, are a third of Debian.
# shellcheck disable=SC2016  # $1 is the hook's
without_documentation=(--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*') \
    set_up=(--customize-hook="upload $config/setup.sh /setup.sh"
        --customize-hook='chroot "$1" sh -eux /setup.sh && rm -- "$1/setup.sh"')

packages_on_disk() { sed -e 's/#.*//' -e "s/ARCH/$arch_debian/" -- "$config/packages" | paste -sd ' '; }

# debian_tar OPTION... SUITE - SOURCE...: mmdebstrap's tarball on standard output; with this machine's settings of apt
debian_tar() {
    local mirror_options
    find_mirror_options
    # sudo does not pass TMPDIR on.
    ${admin[@]+"${admin[@]}"} env ${TMPDIR:+TMPDIR="$TMPDIR"} mmdebstrap --mode="$mode" \
        --architectures="$arch_debian" \
        --format=tar --keyring="$debian_keyring" ${mirror_options[@]+"${mirror_options[@]}"} "$@"
}

is_cached() { [[ -e $1 && -e $1.inputs && $(<"$1.inputs") == "$2" ]]; } # is_cached TARBALL INPUTS

# ready_for_debian TARBALL INPUTS: what errors and questions there are come before the long steps
ready_for_debian() {
    local command packages=(mmdebstrap debian-archive-keyring zstd fakeroot e2fsprogs)
    is_cached "$1" "$2" || [[ -n $mirror ]] ||
        die "apt has no mirror of Debian on this machine: set DEBIAN_MIRROR= to the URL of one."
    ((EUID == 0)) || packages+=(uidmap)
    [[ -z $cross ]] || packages+=(arch-test)
    if command -v apt-get >/dev/null; then sub "$ROOT/scripts/packages.sh" install "${packages[@]}"; fi
    for command in mmdebstrap zstd fakeroot mke2fs; do
        command -v "$command" >/dev/null ||
            die "$command, which makes a disk with Debian, is not installed: install these, then give the same" \
                "command again: ${packages[*]}"
    done
    [[ -z $cross ]] || arch-test "$arch_debian" >/dev/null ||
        die "installing Debian's packages for $arch runs programs of $arch, and this machine runs none: install" \
            "qemu-user-static, or set ARCH=$host."
    mode=
    is_cached "$1" "$2" || choose_mode
}

# cache_debian TARBALL INPUTS MIB NAME MESSAGE COMMAND: a step, unless the cache has the TARBALL of these INPUTS.
# COMMAND gets the name of a file to write instead, and unpacks MIB of packages.
cache_debian() {
    local tmp
    lock_cache debian
    if is_cached "$1" "$2"; then return 0; fi
    # Another checkout may have replaced it meanwhile.
    [[ -n $mode ]] || choose_mode
    need_space "${TMPDIR:-/tmp}" "$3" "unpacking Debian's packages"
    need_space "$CACHE" $(($3 / 2)) "keeping Debian's packages, installed,"
    mkdir -p -- "${1%/*}" || die "$CACHE cannot be written: is the disk full?"
    new_tmp "$cache_tmp"
    step_may_fail "${@:4}" "$tmp/tar"
    if ((status)); then
        show_log "$4" 15
        die "Debian could not be installed: check that $mirror can be reached, or set DEBIAN_MIRROR= to another mirror."
    fi
    rm -f -- "$1.inputs"
    mv -f -- "$tmp/tar" "$1"
    put "$1.inputs" <<<"$2"
}

# as_root FUNCTION [ARG...]: in a shell in which files may have any owner
as_root() { fakeroot -- bash -euo pipefail -c "$(declare -f "$1"); \"\$@\"" as_root "$@"; }
