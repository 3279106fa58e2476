#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-packages.sh: makes the Debian packages of debian/control in build/packages, of what make has built.
# Debian's tools write into the source tree. So they work in a folder of links to the checkout, with a copy of debian/.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

packages=$BUILD/packages

make_packages() {
    local tree=$tmp/tree
    mkdir -- "$tree"
    ln -s -- "$ROOT"/* "$tree/"
    rm -- "$tree/debian"
    cp -R -- "$ROOT/debian" "$tree/debian"
    (cd -- "$ROOT" && scripts/crate-licenses.py) >>"$tree/debian/copyright"
    (cd -- "$tree" && dpkg-buildpackage --build=binary --no-sign)
    rm -rf -- "$tree" "$packages"
    chmod 755 -- "$tmp"
    mv -T -- "$tmp" "$packages"
}

lock_build
sub "$ROOT/scripts/build.sh" all
sub "$ROOT/scripts/packages.sh" install dpkg-dev debhelper dh-dkms
new_tmp "$BUILD"
inputs=$(digest "$ROOT"/{debian,docs,guest-app,guest-module,abi,Cargo.lock} "$ROOT/scripts"/{build-packages,install}.sh \
    "$ROOT/scripts/crate-licenses.py" "$BUILD/bin/my-rng" "$BUILD/share" "$QEMU_PREFIX")
update deb "$inputs" "$packages" 300 "Making Debian packages" make_packages
say "The packages:" "$packages"/*.deb
