/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where the versions of QEMU differ for a PCI device, in one place: the shims
 * and the Rust library see QEMU through this file and need no conditions of
 * their own.
 */

#ifndef HW_MISC_MY_RNG_SEAMS_H
#define HW_MISC_MY_RNG_SEAMS_H

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/error-report.h"
#include "qemu/guest-random.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
/* Brings memory regions, qdev and reset, whose own headers have moved. */
#include "hw/pci/pci_device.h"
#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif
#include "migration/vmstate.h"
#include "trace/trace-hw_misc.h"

#define SEAM_QEMU_AT_LEAST(major, minor)                            \
    (QEMU_VERSION_MAJOR > (major) ||                                \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/* A class_init's second parameter, and a list of interfaces, became const. */
#if SEAM_QEMU_AT_LEAST(10, 1)
#define SEAM_CLASS_DATA const void
#define SEAM_INTERFACE_INFO const InterfaceInfo
#else
#define SEAM_CLASS_DATA void
#define SEAM_INTERFACE_INFO InterfaceInfo
#endif

/*
 * A list of properties ended with an empty one, and is now counted. Here it
 * does both: n properties and an empty one.
 */
static inline void seam_set_props(DeviceClass *dc, Property *props, size_t n)
{
#if SEAM_QEMU_AT_LEAST(10, 0)
    device_class_set_props_n(dc, props, n);
#else
    device_class_set_props(dc, props);
#endif
}

/* Does this thread hold QEMU's big lock? */
static inline bool seam_bql_locked(void)
{
#if SEAM_QEMU_AT_LEAST(9, 0)
    return bql_locked();
#else
    return qemu_mutex_iothread_locked();
#endif
}

/* What ends the list of a VMStateDescription's fields. */
static inline VMStateField seam_end_of_vmstate(void)
{
    return (VMStateField) VMSTATE_END_OF_LIST();
}

#endif
