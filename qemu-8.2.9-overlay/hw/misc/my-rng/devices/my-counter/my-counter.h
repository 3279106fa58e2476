/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What Rust (rust-dev/src/qemu/devices.rs) gives to the shim, and the events
 * that Rust traces. Rust is compiled against this file too.
 */

#ifndef HW_MISC_MY_RNG_DEVICES_MY_COUNTER_H
#define HW_MISC_MY_RNG_DEVICES_MY_COUNTER_H

#include "hw/misc/my-rng/seams.h"
#include "trace/trace-hw_misc_my_rng_devices_my_counter.h"

#define TYPE_MY_COUNTER "my_counter"

/* The size of one device, PCIDevice and all, in bytes. */
size_t my_counter_instance_size(void);
void my_counter_instance_init(Object *obj);
void my_counter_instance_finalize(Object *obj);

void my_counter_class_init(ObjectClass *klass);
void my_counter_realize(PCIDevice *pdev, Error **errp);
void my_counter_reset_enter(Object *obj, ResetType type);

uint64_t my_counter_mmio_read(void *opaque, hwaddr addr, unsigned size);
void my_counter_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                           unsigned size);

#endif
