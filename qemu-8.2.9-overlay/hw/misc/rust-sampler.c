/* SPDX-License-Identifier: GPL-2.0-or-later */

/* rust_sampler: one of everything that the kit offers, in Rust (rust-dev/). */

#include "hw/misc/qemu-pci/qemu-pci.h"

QEMU_PCIE_DEVICE(rust_sampler)
