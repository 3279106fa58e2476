/* SPDX-License-Identifier: GPL-2.0-or-later */

/* my_rng: a random number generator on the PCI bus, in Rust (rust-dev/). */

#include "hw/misc/qemu-pci/qemu-pci.h"

QEMU_PCI_DEVICE(my_rng)
