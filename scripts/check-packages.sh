#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-packages.sh [lintian|debian]...: builds the Debian packages and tests them; without an argument, all of:
#   lintian  by lintian, which may find no error
#   debian   by tests/packages.sh, which installs, upgrades and removes them in a Debian 13 in a folder
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"
# shellcheck source=scripts/debian.sh
. "$ROOT/scripts/debian.sh"

suite=trixie
base=$CACHE/debian/packages-$suite-$arch.tar
# All that our packages depend on, so that installing them needs no network.
needs=libfdt1,libglib2.0-0t64,libpixman-1-0,libpng16-16t64,libslirp0,systemd-standalone-sysusers

bootstrap() { # bootstrap TARBALL
    debian_tar --variant=apt --include="$needs" "$suite" - "deb $mirror $suite main" |
        # A plain user cannot make devices.
        mmtarfilter --path-exclude='/dev/*' >"$1"
}

older() { # older PACKAGE FILE: the same package, with a lower version
    rm -rf -- "$tmp/older"
    dpkg-deb --raw-extract "$1" "$tmp/older"
    sed -i 's/^Version: .*/&~older/' -- "$tmp/older/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$tmp/older" "$2"
}

use_packages() {
    local name
    mkdir -- "$tmp/old" "$tmp/new"
    for name in my-rng qemu-my-rng; do
        cp -- "$DEBS/$name"_*.deb "$tmp/new/$name.deb"
        older "$tmp/new/$name.deb" "$tmp/old/$name.deb"
    done
    # shellcheck disable=SC2016  # $1 is the hook's
    debian_tar --variant=custom --format=null --skip=update,cleanup \
        --setup-hook="tar-in $base /" \
        --customize-hook='mkdir "$1/packages"' \
        --customize-hook="copy-in $tmp/old $tmp/new $ROOT/tests/packages.sh /packages" \
        --customize-hook='chroot "$1" sh -eux /packages/packages.sh' \
        "$suite" /dev/null
}

(($#)) || set -- lintian debian
lock_build
sub "$ROOT/scripts/build-packages.sh"
for name; do
    case $name in
        lintian)
            sub "$ROOT/scripts/packages.sh" install lintian
            step lintian "Checking the packages with lintian" lintian --fail-on error "$DEBS"/*.changes
            ;;
        debian)
            "$GUEST/bin/my-rng" --version >/dev/null 2>&1 ||
                die "this machine runs no programs for $arch: install qemu-user-static, and give the same command again."
            mirror=${DEBIAN_MIRROR:-}
            find_debian
            ready_for_debian "$base" "$needs"
            cache_debian "$base" "$needs" 500 packages-debian "Installing Debian ($suite) into a folder" bootstrap
            new_tmp "$BUILD"
            [[ -n $mode ]] || choose_mode
            step use-packages "Installing, upgrading and removing the packages in Debian" use_packages
            ;;
        *) die "usage: scripts/check-packages.sh [lintian|debian]..." ;;
    esac
done
