# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/debian-vm.sh and stock-disk.sh run this in the new Debian, after installing its packages: the setup that needs
# Debian's own programs. The files in root/ beside this one are copied later.

# The user is not in that group: udev's rule lets the user at the screen open the device.
useradd --create-home --shell /bin/bash --groups sudo user
printf '%s\n' root:my_rng user:my_rng | chpasswd

# Fails without a device that the kernel itself may use.
systemctl disable rngd.service
# The language of logins.
echo LANG=C.UTF-8 >/etc/default/locale
# There is no network, and changes to the disk are discarded.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer man-db.timer fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service

# Do here what systemd does at the first boot.
systemd-machine-id-setup
touch /etc/.updated /var/.updated

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/man/* /var/log/*.log /var/log/apt /etc/apt/apt.conf.d/99mmdebstrap
