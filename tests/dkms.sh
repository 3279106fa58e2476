# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/stock-disk.sh check runs this as root in a folder with Debian 13, the kernel of its backports, and that
# kernel's Rust crates. /packages holds our packages; what they depend on is installed.
#   sh dkms.sh        needs no network
#   sh dkms.sh long   goes on with tests that install more of Debian's packages
set -eu
# It changes the system that it runs on.
[ -d /packages ] || exit 1

export DEBIAN_FRONTEND=noninteractive

not() { if "$@"; then return 1; fi; } # sh ignores the status of a command after !

apt() { apt-get -qq -o Dpkg::Use-Pty=0 -y "$@"; }

files() { # all files, but for records of apt, dpkg and depmod, and the key that DKMS signs with
    find / -xdev \( -path /dev -o -path /packages -o -path /proc -o -path /run -o -path /sys -o -path /tmp \
        -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/cache/ldconfig -o -path /var/cache/man \
        -o -path /var/lib/apt \
        -o -path /var/lib/dpkg -o -path /var/log -o -path '/usr/lib/modules/*/modules.*' -o -path '/var/lib/dkms/mok.*' \
        \) -prune -o -path '/etc/g*shadow*' -o -path '/etc/group*' -o -path /etc/.pwd.lock -o \
        -type d -printf '%p/ %m\n' -o -printf '%p %y %m %s\n' |
        sort
}

sentence='my-rng: no driver for Linux'

# hook RELEASE: what the package linux-headers-RELEASE runs when it is installed; it must not fail. Sets $said.
hook() {
    said=$(/etc/kernel/header_postinst.d/dkms "$1" 2>&1)
    echo "$said"
}

says_once() { # says_once PATTERN: the hook has printed one sentence, and it matches
    [ "$(echo "$said" | grep -c "$sentence")" = 1 ]
    echo "$said" | grep "$sentence.*$1"
}

fake_kernel() { # fake_kernel RELEASE: headers, like those of the real kernel
    mkdir -p "/lib/modules/$1/build/include/config"
    cp "$headers/include/config/auto.conf" "/lib/modules/$1/build/include/config/"
    echo "$1" >"/lib/modules/$1/build/include/config/kernel.release"
}

fake_package() { # fake_package NAME VERSION [FILE]: an installed package, with this file in /usr/src
    # A package without a file of its own disappears.
    mkdir -p /tmp/fake/DEBIAN /tmp/fake/usr/src "/tmp/fake/usr/share/$1"
    touch "/tmp/fake/usr/share/$1/fake"
    printf '%s\n' "Package: $1" "Version: $2" 'Architecture: all' 'Maintainer: nobody' 'Description: fake' \
        >/tmp/fake/DEBIAN/control
    [ -z "${3:-}" ] || cp "$3" /tmp/fake/usr/src/
    dpkg-deb --build /tmp/fake /tmp/fake.deb
    dpkg --install /tmp/fake.deb
    rm -r /tmp/fake /tmp/fake.deb
}

kept() { find /var/cache/my-rng-dkms -name "*$1*"; } # kept RELEASE: the crates of that kernel

release=$(basename /lib/modules/*)
headers=$(readlink -f "/lib/modules/$release/build")
module=updates/dkms/my_rng.ko.xz
crates=$(kept "$release")
[ -f "$crates" ]

mv /var/cache/my-rng-dkms /packages/crates
files >/packages/before
mv /packages/crates /var/cache/my-rng-dkms

# Installing builds the module, with the crates that are there.
touch /tmp/start
apt install /packages/*.deb
modinfo -F vermagic "/lib/modules/$release/$module" | grep "^$release "
modinfo -F alias "/lib/modules/$release/$module" | grep '^pci:v00001234d0000CAFE'
[ -z "$(find "$crates" -newer /tmp/start)" ]
version=$(dpkg-query -W -f '${source:Upstream-Version}' my-rng-dkms)

# An upgrade builds the new version's module, and keeps the crates.
dpkg-deb --raw-extract /packages/my-rng-dkms_*.deb /tmp/newer
mv "/tmp/newer/usr/src/my-rng-$version" "/tmp/newer/usr/src/my-rng-$version.1"
sed -i "s/VERSION=\"*$version\"*\$/VERSION=$version.1/" /tmp/newer/DEBIAN/p* "/tmp/newer/usr/src/my-rng-$version.1/dkms.conf"
sed -i "s/^Version: .*/Version: $version.1/" /tmp/newer/DEBIAN/control
dpkg-deb --root-owner-group --build /tmp/newer /tmp/newer.deb
rm -r /tmp/newer
apt install /tmp/newer.deb
dkms status | grep -x "my-rng/$version.1, $release, .*: installed"
[ "$(dkms status | grep -c my-rng)" = 1 ]
not test -e "/usr/src/my-rng-$version"
[ -z "$(find "$crates" -newer /tmp/start)" ]
source=/usr/src/my-rng-$version.1

# Kernels that cannot have the driver.
fake_kernel 7.2.99-fake
hook 7.2.99-fake
says_once 'needs 7.3 or newer'
fake_kernel 7.98.0-fake
sed -i /CONFIG_RUST=/d /lib/modules/7.98.0-fake/build/include/config/auto.conf
hook 7.98.0-fake
says_once 'without Rust'
fake_kernel 7.98.1-fake
sed -i 's/rustc [0-9.]*/rustc 1.999.0/' /lib/modules/7.98.1-fake/build/include/config/auto.conf
hook 7.98.1-fake
says_once 'rustc 1.999.0.*install that compiler'
fake_kernel 7.98.2-fake
hook 7.98.2-fake
says_once 'install the package that has them'

# Headers without crates, and no source of the same version; then a source that is broken.
fake_kernel 7.99.0-fake
fake_package linux-headers-7.99.0-fake 7.99.0-1
hook 7.99.0-fake
says_once 'apt install linux-source-7.99=7.99.0-1 && dkms autoinstall -k 7.99.0-fake'
echo 'not a tarball' >/tmp/linux-source-7.99.tar.xz
fake_package linux-source-7.99 7.99.0-2 /tmp/linux-source-7.99.tar.xz
hook 7.99.0-fake
says_once 'apt install linux-source-7.99=7.99.0-1 '
fake_package linux-source-7.99 7.99.0-1 /tmp/linux-source-7.99.tar.xz
hook 7.99.0-fake
grep 'linux-source-7.99.tar.xz cannot be unpacked' "/var/lib/dkms/my-rng/$version.1/build/make.log"
[ -z "$(kept 7.99.0)" ]
not test -e "/var/lib/dkms/my-rng/$version.1/build/guest-module/linux"
not test -e "/lib/modules/7.99.0-fake/$module"
dpkg --purge linux-headers-7.99.0-fake linux-source-7.99
rm -r /lib/modules/*-fake /tmp/linux-source-7.99.tar.xz

# Headers that hold the crates, as other distributions have them.
with=/lib/modules/7.99.1-with/build
mkdir -p "$with"
cp -rL "$headers/." "$with/"
tar -x --zstd -C "$with" -f "$crates"
sed -i "s|^KBUILD_OUTPUT=.*|KBUILD_OUTPUT=$with|" "$with/Makefile"
hook 7.99.1-with
test -e "/lib/modules/7.99.1-with/${module%.xz}"
[ -z "$(kept 7.99.1)" ]

# A driver that does not compile for a new kernel does not stop that kernel.
dkms unbuild "my-rng/$version.1" -k 7.99.1-with
cp "$source/guest-module/node.rs" /tmp/node.rs
echo 'not Rust' >>"$source/guest-module/node.rs"
hook 7.99.1-with
tail -n 5 "/var/lib/dkms/my-rng/$version.1/build/make.log" | grep "$sentence.*install a newer my-rng-dkms"
not test -e "/lib/modules/7.99.1-with/${module%.xz}"
mv /tmp/node.rs "$source/guest-module/node.rs"
rm -r /lib/modules/7.99.1-with

# A kernel takes its module and its crates along.
cp -a "$crates" /tmp/crates
/etc/kernel/prerm.d/dkms "$release"
not test -e "/lib/modules/$release/$module"
[ -z "$(kept "$release")" ]
mv /tmp/crates "$crates"
hook "$release"
test -e "/lib/modules/$release/$module"

# Removing and purging leave nothing.
rm /tmp/newer.deb /tmp/start
apt remove my-rng my-rng-dkms
files | diff /packages/before -
apt purge my-rng my-rng-dkms
files | diff /packages/before -

[ "${1:-}" = long ] || exit 0

# All in one run of apt: headers, source, and the driver, with nothing kept.
apt-get update -q
apt purge linux-source* linux-headers*
apt install --no-install-recommends "linux-headers-$(dpkg --print-architecture)/trixie-backports" linux-source/trixie-backports /packages/*.deb
test -e "/lib/modules/$release/$module"

# Debian 13's own kernel, which has no Rust.
own=$(apt-cache depends "linux-headers-$(dpkg --print-architecture)/trixie" | sed -n 's/.*Depends: \(linux-headers-6[^ ]*\)$/\1/p')
apt install --no-install-recommends "$own" >/tmp/said 2>&1
cat /tmp/said
grep "$sentence ${own#linux-headers-}.*needs 7.3 or newer" /tmp/said
dkms status | grep -x "my-rng/$version, $release, .*: installed"
