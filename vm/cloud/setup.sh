# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-disks.sh runs this in the new Debian, after installing its packages: what makes it a cloud image.

echo 'LABEL=root / ext4 defaults 0 1' >/etc/fstab
echo cloud >/etc/hostname
echo '127.0.0.1 localhost cloud' >/etc/hosts
# cloud-init sets it up for DHCP.
systemctl enable systemd-networkd.service
# Nothing here waits for the network, or needs it later.
systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
# Of all locales, Debian has only this one ready.
printf '%s\n' 'datasource_list: [NoCloud, None]' 'locale: C.UTF-8' >/etc/cloud/cloud.cfg.d/90_image.cfg
# Each machine makes its own.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id

# GRUB for UEFI and, on a PC, for BIOS: both find the kernel by the label of its partition. Other machines tell the
# kernel themselves which serial port is its console.
pc=/usr/lib/grub/i386-pc
cat >/tmp/grub.cfg <<END
search.fs_label root root
linux (\$root)/vmlinuz root=LABEL=root ro $([ ! -e $pc ] || echo console=ttyS0)
initrd (\$root)/initrd.img
boot
END
mkdir -p /boot/grub
image() { # image FORMAT FILE MODULE...
    format=$1 file=$2
    shift 2
    grub-mkimage -O "$format" -o "/boot/grub/$file" -c /tmp/grub.cfg -p /boot/grub \
        part_gpt ext2 search_label linux boot "$@"
}
image "$(basename /usr/lib/grub/*-efi)" boot.efi
if [ -e $pc ]; then
    image i386-pc core.img biosdisk
    cp $pc/boot.img /boot/grub/
fi
rm /tmp/grub.cfg

apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt
