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

/* The size and alignment of one device, PCIDevice and all, in bytes. */
size_t my_counter_instance_size(void);
size_t my_counter_instance_align(void);
void my_counter_instance_init(Object *obj);
void my_counter_instance_finalize(Object *obj);

void my_counter_class_init(ObjectClass *klass);
void my_counter_realize(PCIDevice *pdev, Error **errp);
void my_counter_exit(PCIDevice *pdev);
void my_counter_reset_enter(Object *obj, ResetType type);

uint64_t my_counter_mmio_read(void *opaque, hwaddr addr, unsigned size);
void my_counter_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                           unsigned size);

/* Does anybody trace this event? Its text is made only then. */
static inline bool my_counter_guest_error_is_traced(void)
{
    return trace_event_get_state_backends(TRACE_MY_COUNTER_GUEST_ERROR);
}

#endif
