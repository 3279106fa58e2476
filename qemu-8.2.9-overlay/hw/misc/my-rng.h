/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the my_rng device's Rust library (rust-dev/src/qemu/devices.rs) gives
 * to the shim. The Rust side is compiled against this file too: a prototype
 * that differs does not build.
 */

#ifndef HW_MISC_MY_RNG_H
#define HW_MISC_MY_RNG_H

#include "hw/misc/my-rng/seams.h"

#define TYPE_MY_RNG "my_rng"

/* The size and alignment of one device, PCIDevice and all, in bytes. */
size_t my_rng_instance_size(void);
size_t my_rng_instance_align(void);
void my_rng_instance_init(Object *obj);
void my_rng_instance_finalize(Object *obj);

void my_rng_class_init(ObjectClass *klass);
void my_rng_realize(PCIDevice *pdev, Error **errp);
void my_rng_exit(PCIDevice *pdev);
void my_rng_reset_enter(Object *obj, ResetType type);

uint64_t my_rng_mmio_read(void *opaque, hwaddr addr, unsigned size);
void my_rng_mmio_write(void *opaque, hwaddr addr, uint64_t val, unsigned size);

/* Does anybody trace this event? Its text is made only then. */
static inline bool my_rng_guest_error_is_traced(void)
{
    return trace_event_get_state_backends(TRACE_MY_RNG_GUEST_ERROR);
}

#endif
