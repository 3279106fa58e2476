/* SPDX-License-Identifier: GPL-2.0-or-later */

/* rust_testdev: QEMU's device pci-testdev again, in Rust (rust-dev/). */

#include "hw/misc/qemu-pci/qemu-pci.h"

QEMU_PCI_DEVICE(rust_testdev)
