#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/build-packages.sh: makes the Debian packages of debian/control in build/packages, of what make has built. Those
# for another architecture than this machine's are in build/ARCH/packages; QEMU is built for them by a cross compiler.
# Debian's tools write into the source tree. So they work in a folder of links to the checkout, with a copy of debian/.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
use_rust

folder=$BUILD # where scripts/install.sh finds what is built

build_foreign() { # the same for machines of $arch
    folder=$GUEST/host
    claim "$folder"
    mkdir -p -- "$folder/bin"
    ln -sfn -- "$BUILD/bin/qemu-overlay" "$GUEST/bin/my-rng" "$folder/bin/"
    ln -sfn -- "$GUEST" "$folder/$arch"
    rm -rf -- "$folder/share"
    cp -R -- "$BUILD/share" "$folder/"
    if ! (cd -- "$ROOT" && DEB_HOST_ARCH=$arch_debian dh_listpackages | grep -qx qemu-my-rng); then
        ln -sfn -- "$BUILD/qemu" "$folder/qemu" # no package takes it
        return
    fi
    sub env MY_RNG_BUILD="$folder" "$ROOT/scripts/cross-qemu.sh"
    # For debian/rules.
    MY_RNG_LIBRARIES=$("$ROOT/scripts/foreign-root.sh" qemu)
    export MY_RNG_LIBRARIES
}

make_packages() {
    local tree=$tmp/tree
    mkdir -- "$tree"
    ln -s -- "$ROOT"/* "$tree/"
    rm -- "$tree/debian"
    cp -R -- "$ROOT/debian" "$tree/debian"
    (cd -- "$ROOT" && scripts/crate-licenses.py "$arch_rust") >>"$tree/debian/copyright"
    (cd -- "$tree" && MY_RNG_BUILD=$folder dpkg-buildpackage --build=binary --no-sign --host-arch="$arch_debian")
    rm -rf -- "$tree" "$DEBS"
    chmod 755 -- "$tmp"
    mv -T -- "$tmp" "$DEBS"
}

lock_build
sub "$ROOT/scripts/build.sh" all
sub "$ROOT/scripts/packages.sh" install dpkg-dev debhelper dh-dkms
[[ -z $cross ]] || build_foreign
new_tmp "$BUILD"
inputs=$(digest "$ROOT"/{debian,docs,guest-app,guest-module,abi,Cargo.lock} "$ROOT/scripts"/{build-packages,install}.sh \
    "$ROOT/scripts/crate-licenses.py" "$GUEST/bin/my-rng" "$BUILD/share" "$folder/qemu/prefix")
update "deb-$arch" "$inputs" "$DEBS" 300 "Making Debian packages for $arch" make_packages
say "The packages:" "$DEBS"/*.deb
