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

# GRUB for BIOS and for UEFI: both find the kernel by the label of its partition.
cat >/tmp/grub.cfg <<'END'
search.fs_label root root
linux ($root)/vmlinuz root=LABEL=root ro console=ttyS0
initrd ($root)/initrd.img
boot
END
mkdir -p /boot/grub
for format in i386-pc x86_64-efi; do
    case $format in
        i386-pc) modules=biosdisk file=core.img ;;
        *) modules='' file=bootx64.efi ;;
    esac
    # shellcheck disable=SC2086  # words
    grub-mkimage -O "$format" -o "/boot/grub/$file" -c /tmp/grub.cfg -p /boot/grub \
        $modules part_gpt ext2 search_label linux boot
done
cp /usr/lib/grub/i386-pc/boot.img /boot/grub/
rm /tmp/grub.cfg

apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt
