/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One of everything that the kit offers; the device is in rust-dev/src/devices/rust_sampler.rs. */

#include "hw/misc/qemu-pci/qemu-pci.h"

QEMU_PCIE_DEVICE(rust_sampler)
