#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/debian-vm.sh image   a disk with Debian on it, and on that the app, the driver and all that belongs
#                              to them: build/debian/debian.img. It has no kernel: QEMU is given ours.
# scripts/debian-vm.sh boot    the same, then boots it, by way of vm/run-ubuntu.sh
# Debian's packages are got and installed once, by mmdebstrap, and kept in the cache; when the project's own
# files change, they only are put on anew. All this works as root and as a plain user.
#
# scripts/debian-vm.sh mirror  where Debian's packages would come from, and of which release; an error if
#                              apt is set up for no mirror of theirs
#
#   DEBIAN_MIRROR=URL            where the packages come from; by default, what apt is set up for here
#   DEBIAN_SUITE=bookworm|trixie which release; by default, that of this machine
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/debian.sh
. "$ROOT/scripts/debian.sh"

config=$ROOT/vm/debian
disk=$BUILD/debian/debian.img

case ${1:-} in image | boot | mirror) ;; *) die "usage: scripts/debian-vm.sh image|boot|mirror" ;; esac

# ---- Debian ----

bootstrap() { # bootstrap TARBALL: Debian, with the packages that vm/debian/packages lists
    local mirror_options key options=(--mode="$mode" --variant=required --architectures=amd64 --components=main
        --format=tar --include="$(sed -e 's/#.*//' -- "$config/packages" | paste -sd ' ')"
        --keyring="$debian_keyring")
    find_mirror_options
    options+=(${mirror_options[@]+"${mirror_options[@]}"})
    # Documentation of others, and translations, are a third of it.
    for key in /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale; do
        options+=(--dpkgopt="path-exclude=$key/*")
    done
    # shellcheck disable=SC2016  # $1 is the hook's
    options+=(--customize-hook="upload $ROOT/guest-module/my_rng.sysusers.conf /usr/lib/sysusers.d/my_rng.conf"
        --customize-hook="upload $config/setup.sh /setup.sh"
        --customize-hook='chroot "$1" sh -eux /setup.sh && rm -- "$1/setup.sh"')
    # TMPDIR by name: sudo passes no environment on.
    ${admin[@]+"${admin[@]}"} env ${TMPDIR:+TMPDIR="$TMPDIR"} \
        mmdebstrap "${options[@]}" "$suite" - "deb $mirror $suite main" | zstd -q -T0 >"$1"
}

has_debian() { # whether the tarball in the cache is what is asked for
    inputs="$suite $(digest "$config/packages" "$config/setup.sh" "$ROOT/guest-module/my_rng.sysusers.conf")"
    [[ -e $base && -e $base.inputs && $(<"$base.inputs") == "$inputs" ]]
}

# A Debian has files of several users, which only root can make. A plain user is root in a user namespace
# or, where there are none (in a chroot, or on a hardened machine), by sudo. How goes to $mode and $admin.
choose_mode() {
    admin=() mode=root
    if ((EUID != 0)) && mmdebstrap --unshare-helper true >/dev/null 2>&1; then
        mode=unshare
    else
        get_admin "to install Debian into a folder" ||
            die "installing Debian into a folder needs root, sudo, or user namespaces with ids for $(id -un) in" \
                "/etc/subuid and /etc/subgid: run the same command as root or as a user with sudo."
    fi
}

debian() { # the tarball in the cache, made anew if other packages are asked for
    local tmp status
    lock_cache debian
    if has_debian; then return 0; fi
    # Another checkout may have replaced it since.
    [[ -n $mode ]] || choose_mode
    need_space "${TMPDIR:-/tmp}" 800 "unpacking Debian's packages"
    need_space "$CACHE" 300 "keeping Debian's packages, installed,"
    new_tmp "$cache_tmp"
    step_may_fail debian "Installing Debian ($suite) into a folder" bootstrap "$tmp/tar"
    if ((status)); then
        disk_full_sentence "$LOG/debian.log"
        tail -n 15 -- "$LOG/debian.log" | sed 's/^/    /' >&2
        die "Debian could not be installed (the whole log: $LOG/debian.log): is the mirror $mirror" \
            "reachable? DEBIAN_MIRROR=URL names another."
    fi
    rm -f -- "$base.inputs"
    mv -f -- "$tmp/tar" "$base"
    put "$base.inputs" <<<"$inputs"
}

# ---- what is ours ----

lay_out() { # lay_out FOLDER: our files, as they stand on the disk
    local version
    umask 022
    cp -R -- "$config/root/." "$1/"
    install -D -- "$BUILD/bin/my-rng" "$1/usr/bin/my-rng"
    # The man page and the shells' completions.
    cp -R -- "$BUILD/share" "$1/usr/"
    install -D -m 644 -- "$ROOT/guest-module/60-my_rng.rules" "$1/usr/lib/udev/rules.d/60-my_rng.rules"
    # As make modules_install would, for the one module there is.
    version=$(<"$LINUX_OUT/include/config/kernel.release")
    install -D -m 644 -- "$BUILD/module/my_rng.ko" "$1/usr/lib/modules/$version/updates/my_rng.ko"
    cp -- "$LINUX_OUT"/modules.{order,builtin,builtin.modinfo} "$1/usr/lib/modules/$version/"
    ln -s usr/lib "$1/lib"
    depmod --basedir "$1" "$version"
    rm -- "$1/lib"
    # Nor is the mode that a file has in the checkout passed on to the disk.
    chmod -R u=rwX,go=rX "$1"
}

# make_disk TARBALL FOLDER: FOLDER/disk, of TARBALL with FOLDER/ours laid on it. Run in an inner shell by
# fakeroot, where a file may be anybody's.
make_disk() {
    umask 022
    mkdir -- "$2/root"
    # At boot, the kernel mounts a /dev of its own.
    tar -x --zstd --exclude='./dev/*' -C "$2/root" -f "$1"
    cp -R -- "$2/ours/." "$2/root/"
    mke2fs -q -t ext4 -L debian -d "$2/root" "$2/disk" 1G
}

mirror=${DEBIAN_MIRROR:-} suite=${DEBIAN_SUITE:-}
find_debian_mirror
suite=${suite:-bookworm}
case $suite in
    bookworm | trixie) ;;
    *) die "DEBIAN_SUITE=$suite is none of the releases that this was made for: say bookworm or trixie." ;;
esac
base=$CACHE/debian/$suite.tar.zst
# What is wrong is told before anything is built.
if ! has_debian; then
    [[ -n $mirror ]] ||
        die "Debian's packages are needed, and apt is set up for no mirror of theirs on this machine: say" \
            "DEBIAN_MIRROR=URL with one."
fi
if [[ $1 == mirror ]]; then
    echo "${mirror:-the cache} $suite"
    exit 0
fi
packages=(mmdebstrap debian-archive-keyring zstd fakeroot e2fsprogs)
((EUID == 0)) || packages+=(uidmap)
if command -v apt-get >/dev/null; then sub "$ROOT/scripts/packages.sh" install "${packages[@]}"; fi
for command in mmdebstrap zstd fakeroot mke2fs; do
    command -v "$command" >/dev/null ||
        die "there is no $command, which making a disk with Debian needs: install these, then give the same command" \
            "again: ${packages[*]}"
done
# Again, what is wrong is told before anything is built.
mode=
has_debian || choose_mode
lock_build
sub "$ROOT/scripts/build.sh" all
mkdir -p -- "${base%/*}" "$BUILD/debian" || die "$CACHE or $BUILD cannot be written: is the disk full?"
debian
inputs="$(<"$base.inputs") $(digest "$config" "$BUILD/share" "$BUILD/bin/my-rng" "$BUILD/module/my_rng.ko" \
    "$ROOT/guest-module/60-my_rng.rules" "$LINUX_OUT/include/config/kernel.release")"
if ! is_made debian-disk "$inputs" || [[ ! -e $disk ]]; then
    unmade debian-disk
    need_space "$BUILD" 1500 "making a disk with Debian"
    new_tmp "$BUILD/debian"
    mkdir -- "$tmp/ours"
    step debian-files "Laying out the project's files for Debian" lay_out "$tmp/ours"
    step debian-disk "Making a disk of Debian and the project's files" \
        fakeroot -- bash -euo pipefail -c "$(declare -f make_disk); make_disk \"\$@\"" make_disk "$base" "$tmp"
    mv -f -- "$tmp/disk" "$disk"
    made debian-disk "$inputs"
fi
[[ $1 == boot ]] || exit 0
become "$ROOT/vm/run-ubuntu.sh"
