/* SPDX-License-Identifier: GPL-2.0-or-later */

/* rust_edu: QEMU's device edu, written again in Rust (rust-dev/). */

#include "hw/misc/qemu-pci/qemu-pci.h"

QEMU_PCI_DEVICE(rust_edu)
