#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/packages.sh [build|test]         installs what is missing of the distribution's packages that building (or
#                                          testing as well) needs; prints nothing if nothing is missing
# scripts/packages.sh install PACKAGE...   the same for these packages
# scripts/packages.sh list                 prints the packages that building needs
# MY_RNG_PACKAGES=tell                     prints which are missing, and installs none
#
# For tests of this script: MY_RNG_OS_RELEASE replaces /etc/os-release.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"

# What QEMU and Linux need when they are built by hand...
packages=(build-essential git bc libssl-dev flex bison wget python3 python3-venv ninja-build
    pkg-config libglib2.0-dev libelf-dev libslirp-dev)
# ... and what this project adds: pixman, libpng for pictures of the guest's screen, libfdt, which QEMU's configure
# would otherwise download; downloads and their signatures; the guest's shell and tools (busybox, lspci, insmod).
packages+=(libpixman-1-dev libpng-dev libfdt-dev ca-certificates curl xz-utils patch busybox-static pciutils
    pci.ids kmod gpgv)
# bindgen needs libclang, 17 or newer for Linux 7.3.
declare -A of_release=(
    [bookworm]="libclang1-19 libclang-common-19-dev"
    # Its bindgen is new enough.
    [trixie]="libclang1-19 libclang-common-19-dev bindgen"
    [noble]="libclang1-18 libclang-common-18-dev"
)
# For a guest of another architecture: what compiles and links for it.
[[ -z $cross ]] || packages+=("gcc-${arch_gnu//_/-}" "libc6-dev-$arch_debian-cross")
for_tests=(shellcheck gpg gpg-agent mtools)

# What an unknown distribution must have.
commands=(gcc g++ make git bc flex bison python3 ninja pkg-config curl gpgv xz patch busybox lspci depmod
    ld objcopy ${cross:+"${cross}gcc" "${cross}ld"} find sha256sum flock)
modules=(glib-2.0 gmodule-2.0 slirp pixman-1 libpng libelf openssl)

codename() { # the Debian or Ubuntu release of this machine, or its parent's; nothing if it is another
    local file=${MY_RNG_OS_RELEASE:-/etc/os-release} name
    local ID='' ID_LIKE='' VERSION_CODENAME='' UBUNTU_CODENAME='' DEBIAN_CODENAME=''
    [[ -r $file ]] || return 0
    # shellcheck source=/dev/null
    . "$file"
    case " $ID $ID_LIKE " in *" debian "* | *" ubuntu "*) ;; *) return 0 ;; esac
    # A derivative names its parent's release in one of these.
    for name in "$VERSION_CODENAME" "$UBUNTU_CODENAME" "$DEBIAN_CODENAME"; do
        if [[ -n $name && -n ${of_release[$name]:-} ]]; then
            printf '%s\n' "$name"
            return 0
        fi
    done
}

missing() { # missing PACKAGE...: those that are not installed, one a line
    # shellcheck disable=SC2016  # dpkg-query's variables
    printf '%s\n' "$@" | grep -vxF -f <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/ installed$//p') || true
}

# What root runs to install "$@", for two hours at most. It first repairs an interrupted installation. A mirror that
# does not answer does not matter if the package comes from another.
# shellcheck disable=SC2016  # "$@" is the inner shell's
as_root='set -e
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
dpkg --configure -a
timeout --foreground -k 60 1800 apt-get -q -o DPkg::Lock::Timeout=300 update || echo "apt-get update failed: using the old lists"
timeout --foreground -k 60 7200 apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-remove --no-install-recommends "$@"'

install() { # install PACKAGE...
    local admin command="apt-get update && apt-get install -y --no-install-recommends $*"
    if [[ ${MY_RNG_PACKAGES:-} == tell ]]; then
        die "packages are missing, and PACKAGES=tell installs none: ask an administrator to run: $command"
    fi
    command -v apt-get >/dev/null || die "there is no apt-get on this machine: install these by hand: $*"
    need_space /var 1500 "installing packages"
    get_admin "to install these packages: $*" ||
        die "packages are missing, and only root, or a user with sudo, can install them: run first: sudo sh -c '$command'"
    step_may_fail packages "Installing packages: $*" ${admin[@]+"${admin[@]}"} sh -c "$as_root" sh "$@"
    if ((status)); then
        show_log packages 15
        die "the packages could not be installed: check the network and apt's sources, or ask an administrator to" \
            "run: $command"
    fi
}

check_unknown() { # for another distribution: ends this script unless everything is installed
    local lacking=() item
    for item in "${commands[@]}"; do
        command -v "$item" >/dev/null || lacking+=("$item")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || lacking+=("Python's venv module")
    for item in "${modules[@]}"; do
        pkg-config --exists "$item" 2>/dev/null || lacking+=("$item (development files)")
    done
    # libfdt has no pkg-config file.
    echo '#include <libfdt.h>' | cc -E -x c - >/dev/null 2>&1 || lacking+=("libfdt (development files)")
    "$ROOT/scripts/toolchain.sh" libclang >/dev/null 2>&1 || lacking+=("libclang 17 or newer")
    ((${#lacking[@]} == 0)) && return 0
    die "packages are installed automatically only on Debian 12, Debian 13, Ubuntu 24.04 and their derivatives:" \
        "install by hand what is missing, then give the same command again:" \
        "$(printf '%s, ' "${lacking[@]}" | sed 's/, $//')"
}

[[ ${MY_RNG_PACKAGES:-install} =~ ^(install|tell)$ ]] ||
    die "PACKAGES=$MY_RNG_PACKAGES is neither install nor tell: set PACKAGES=tell, or leave it out."
release=$(codename)
# A compiler of the kernel with the same LLVM as libclang.
if [[ $arch_cc == clang ]]; then
    llvm=${of_release[${release:-bookworm}]#libclang1-}
    llvm=${llvm%% *}
    packages+=("clang-$llvm" "lld-$llvm" "llvm-$llvm")
fi
case ${1:-build} in
    build | test)
        if [[ -z $release ]]; then
            check_unknown
            exit 0
        fi
        # shellcheck disable=SC2206  # a list of words
        packages+=(${of_release[$release]})
        [[ ${1:-build} == build ]] || packages+=("${for_tests[@]}")
        ;;
    install)
        shift
        packages=("$@")
        ;;
    list)
        # shellcheck disable=SC2206
        packages+=(${of_release[${release:-bookworm}]})
        printf '%s\n' "${packages[@]}"
        exit 0
        ;;
    *) die "usage: scripts/packages.sh [build|test|list] or scripts/packages.sh install PACKAGE..." ;;
esac
mapfile -t lacking < <(missing "${packages[@]}")
((${#lacking[@]} == 0)) || install "${lacking[@]}"
