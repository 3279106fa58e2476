/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What bindgen reads. */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/log.h"
#include "exec/memory.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-core.h"
#include "hw/resettable.h"
#include "my-rng.h"
