#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For dkms.conf:
#   kernel.sh check RELEASE    if no module can be built for the kernel RELEASE, prints one sentence that says why
#   kernel.sh build RELEASE    builds the module; exits with 77, DKMS's "not for this kernel", if that fails
#   kernel.sh forget RELEASE   removes what build has kept for that kernel
#
# Building takes the kernel's Rust crates. Some distributions have them in their headers. Debian does not: they are
# built from its package linux-source, which takes minutes, and kept.
set -eu

command=$1
release=$2
headers=/lib/modules/$release/build
kept=/var/cache/my-rng-dkms
mib=1200 # what building the crates takes
cd -- "$(dirname -- "$0")/.."

fail() {
    echo "my-rng: no driver for Linux $release: $*" >&2
    exit 1
}

version_of() { dpkg-query -W -f '${source:Version}' "$1" 2>/dev/null || true; } # version_of PACKAGE

has_crates() { [ -e "$headers/rust/libkernel.rmeta" ]; }

find_source() { # sets $source, $version and $archive
    series=$(echo "$release" | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
    source=linux-source-$series
    version=$(version_of "linux-headers-$release")
    archive=$kept/$release,$version.tar.zst
}

check() {
    said=$(sh check-kernel.sh "$headers" without-crates 2>&1) || fail "${said#error: }"
    if has_crates; then return 0; fi
    find_source
    [ -n "$version" ] ||
        fail "$headers lacks the kernel's Rust crates (rust/libkernel.rmeta): install the package that has them."
    if [ -e "$archive" ]; then return 0; fi
    if [ ! -e "/usr/src/$source.tar.xz" ] || [ "$(version_of "$source")" != "$version" ]; then
        fail "its headers lack Rust crates (rust/libkernel.rmeta), and the source that fits is not installed: run" \
            "\`apt install $source=$version && dkms autoinstall -k $release\`."
    fi
    [ "$(df --output=avail -m /var/lib/dkms | tail -n 1)" -ge "$mib" ] ||
        fail "its Rust crates have to be built, which needs $mib MiB in /var/lib/dkms: free some room there, and run" \
            "\`dkms autoinstall -k $release\`."
}

end_build() {
    status=$?
    rm -rf kernel
    [ "$status" = 0 ] || exit 77
}

build() {
    check
    # Of kernels that are gone. DKMS calls forget only for those that had a module.
    for file in "$kept"/*.tar.zst; do
        of=${file##*/}
        [ -d "/lib/modules/${of%%,*}" ] || rm -f -- "$file"
    done
    kdir=$headers
    if ! has_crates; then
        [ -e "$archive" ] || sh dkms/build-crates.sh "$headers" "/usr/src/$source.tar.xz" "$archive"
        # The headers again, with the crates added.
        kdir=$PWD/kernel
        mkdir -- "$kdir"
        tar -x --zstd -C "$kdir" -f "$archive"
        for file in "$headers"/* "$headers"/.[a-z]* "$headers"/scripts/*; do
            new=$kdir${file#"$headers"}
            [ -e "$new" ] || ln -s -- "$file" "$new"
        done
        rm -- "$kdir/Makefile"
        sed "s|^KBUILD_OUTPUT=.*|KBUILD_OUTPUT=$kdir|" "$headers/Makefile" >"$kdir/Makefile"
    fi
    make KDIR="$kdir" ||
        fail "this version of the driver does not fit it, as the errors above show: install a newer my-rng-dkms."
}

case $command in
    check) check ;;
    build)
        trap end_build EXIT
        build
        ;;
    forget)
        # An upgrade of my-rng-dkms removes the module, too, and builds it again.
        [ "${DPKG_MAINTSCRIPT_PACKAGE:-}" = my-rng-dkms ] || rm -f -- "$kept/$release,"*.tar.zst
        ;;
esac
