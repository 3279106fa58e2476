# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-packages.sh runs this as root in a Debian. /packages/old and /packages/new hold the packages in two
# versions. What they depend on is installed.
set -eu
# It changes the system that it runs on.
[ -d /packages ] || exit 1

export DEBIAN_FRONTEND=noninteractive
qemu=qemu-system-$(uname -m)-my-rng
case $(uname -m) in x86_64) machine=q35 ;; *) machine=virt ;; esac

files() { # all files, except records of apt and dpkg, and what is not on a disk; groups are compared below
    find / -xdev \( -path /dev -o -path /packages -o -path /proc -o -path /run -o -path /sys -o -path /tmp \
        -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log \) -prune -o \
        ! -path '/etc/g*shadow*' ! -path '/etc/group*' ! -path /etc/.pwd.lock \
        \( -type d -printf '%p/ %M %u %g\n' -o -type l -printf '%p -> %l\n' -o -exec sha256sum {} + \) | sort
}

apt() { # apt COMMAND...: without lists of what archives have, it downloads nothing
    apt-get -qq -o Dpkg::Use-Pty=0 -y "$@"
}

not() { if "$@"; then return 1; fi; } # sh ignores the status of a command after !

version() { dpkg-query --show --showformat '${Package} ${Version}\n' my-rng qemu-my-rng; }

nothing_is_left() {
    files | diff /packages/before -
    # The group stays, as Debian's policy asks: files may still belong to it, and its number must not become another
    # group's.
    grep -v '^my_rng:' /etc/group | diff /packages/groups -
}

files >/packages/before
cp /etc/group /packages/groups

apt install /packages/old/*.deb
version | grep -c '~older$' | grep -x 2
getent group my_rng
# A QEMU that runs while its package is upgraded and removed.
mkfifo /packages/monitor
"$qemu" -M "$machine" -display none -device my_rng -monitor stdio </packages/monitor >/packages/said &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
exec 3>/packages/monitor

apt install /packages/new/*.deb
version | not grep older
my-rng --version
test -f /usr/lib/udev/rules.d/60-my_rng.rules
test -f /usr/share/man/man1/my-rng.1.gz
"$qemu" -device my_rng,help | grep 'generator='
echo quit | "$qemu" -M "$machine" -display none -device my_rng -monitor stdio

apt remove my-rng qemu-my-rng
nothing_is_left
printf 'info pci\nquit\n' >&3
exec 3>&-
wait "$pid"
grep 'PCI device 1234:cafe' /packages/said

apt install /packages/new/*.deb
apt purge my-rng qemu-my-rng
nothing_is_left
