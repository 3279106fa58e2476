// SPDX-License-Identifier: GPL-2.0-or-later

//! With the feature `qemu`: compiles the C that the devices' trace events need.

fn main() {
    #[cfg(feature = "qemu")]
    qemu_pci_build::devices();
}
