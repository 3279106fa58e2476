# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run in the new Debian by scripts/debian-vm.sh, once its packages are installed: what takes its own programs.
# Its files are those of root/ beside this one; they are put in later.

# The group my_rng, as a package would have it made.
systemd-sysusers my_rng.conf

# The user is not in that group: whoever sits at the screen may use the device, by udev's rule.
useradd --create-home --shell /bin/bash --groups sudo user
printf '%s\n' root:my_rng user:my_rng | chpasswd

# Without a device that the kernel may draw on, it has nothing to do, and fails.
systemctl disable rngd.service
# What a login takes its language from.
echo LANG=C.UTF-8 >/etc/default/locale
# There is no network, and the disk is thrown away.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer man-db.timer fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service

# Not the first boot: what systemd would do at one is done here.
systemd-machine-id-setup
touch /etc/.updated /var/.updated

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/man/* /var/log/*.log /var/log/apt /etc/apt/apt.conf.d/99mmdebstrap
