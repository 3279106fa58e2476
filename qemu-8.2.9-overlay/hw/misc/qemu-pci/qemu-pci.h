/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * PCI devices in Rust: the shim of a device, and all that the Rust side sees of
 * QEMU. This file alone knows how the versions of QEMU differ. Functions that
 * only Rust calls begin with seam_.
 */

#ifndef HW_MISC_QEMU_PCI_H
#define HW_MISC_QEMU_PCI_H

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/error-report.h"
#include "qemu/guest-random.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "exec/replay-core.h"
#if __has_include("system/cpus.h")
#include "system/cpus.h"
#else
#include "sysemu/cpus.h"
#endif
#if __has_include("exec/icount.h")
#include "exec/icount.h"
#elif __has_include("system/cpu-timers.h")
#include "system/cpu-timers.h"
#else
#include "sysemu/cpu-timers.h"
#endif
#if __has_include("system/address-spaces.h")
#include "system/address-spaces.h"
#else
#include "exec/address-spaces.h"
#endif
#include "hw/core/cpu.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bus.h"
/* Brings memory regions, qdev and reset, whose own headers have moved. */
#include "hw/pci/pci_device.h"
#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif
#include "migration/qemu-file-types.h"
#include "migration/vmstate.h"

#define SEAM_QEMU_AT_LEAST(major, minor)                            \
    (QEMU_VERSION_MAJOR > (major) ||                                \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/*
 * What changed: a class_init's second parameter and a list of interfaces
 * became const, and the phases of a reset are told its type.
 */
#if SEAM_QEMU_AT_LEAST(10, 1)
typedef const void SeamClassData;
#define SEAM_INTERFACE_INFO const InterfaceInfo
#else
typedef void SeamClassData;
#define SEAM_INTERFACE_INFO InterfaceInfo
#endif
#if SEAM_QEMU_AT_LEAST(9, 1)
#define SEAM_RESET_TYPE , ResetType type
#else
#define SEAM_RESET_TYPE
#endif

/*
 * The shim of a device: registers its type. The functions are those that
 * device! makes in Rust for a device of the same name.
 */
#define QEMU_PCI_DEVICE(dev)                                                \
    QEMU_PCI_DEVICE_ON(dev, INTERFACE_CONVENTIONAL_PCI_DEVICE)
#define QEMU_PCIE_DEVICE(dev)                                               \
    QEMU_PCI_DEVICE_ON(dev, INTERFACE_PCIE_DEVICE)

#define QEMU_PCI_DEVICE_ON(dev, bus)                                        \
    size_t dev##_instance_size(void);                                       \
    size_t dev##_instance_align(void);                                      \
    void dev##_instance_init(Object *obj);                                  \
    void dev##_instance_finalize(Object *obj);                              \
    void dev##_class_init(ObjectClass *klass);                              \
    void dev##_reset_exit(Object *obj);                                     \
                                                                            \
    static void dev##_end_reset(Object *obj SEAM_RESET_TYPE)                \
    {                                                                       \
        dev##_reset_exit(obj);                                              \
    }                                                                       \
                                                                            \
    static void dev##_class(ObjectClass *klass, SeamClassData *data)        \
    {                                                                       \
        dev##_class_init(klass);                                            \
        RESETTABLE_CLASS(klass)->phases.exit = dev##_end_reset;             \
    }                                                                       \
                                                                            \
    static void dev##_register_types(void)                                  \
    {                                                                       \
        static SEAM_INTERFACE_INFO interfaces[] = { { bus }, { } };         \
        /* Not static: only Rust knows the size. QEMU copies it. */         \
        const TypeInfo info = {                                             \
            .name = #dev,                                                   \
            .parent = TYPE_PCI_DEVICE,                                      \
            .instance_size = dev##_instance_size(),                         \
            .instance_align = dev##_instance_align(),                       \
            .instance_init = dev##_instance_init,                           \
            .instance_finalize = dev##_instance_finalize,                   \
            .class_init = dev##_class,                                      \
            .interfaces = interfaces,                                       \
        };                                                                  \
                                                                            \
        type_register_static(&info);                                        \
    }                                                                       \
                                                                            \
    type_init(dev##_register_types)

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

/* Whether this thread holds QEMU's big lock. */
static inline bool seam_bql_locked(void)
{
#if SEAM_QEMU_AT_LEAST(9, 0)
    return bql_locked();
#else
    return qemu_mutex_iothread_locked();
#endif
}

static inline void seam_bql_lock(void)
{
#if SEAM_QEMU_AT_LEAST(9, 0)
    bql_lock();
#else
    qemu_mutex_lock_iothread();
#endif
}

static inline void seam_bql_unlock(void)
{
#if SEAM_QEMU_AT_LEAST(9, 0)
    bql_unlock();
#else
    qemu_mutex_unlock_iothread();
#endif
}

/* For pci_for_each_bus: counts the buses with the number 0. */
static inline void seam_count_bus_0(PCIBus *bus, void *count)
{
    *(int *)count += pci_bus_num(bus) == 0;
}

/*
 * Whether an access to a device is a virtual CPU's own. An access can also be
 * a part of what another device does on this CPU's thread: its DMA has no
 * attributes, and a message has the id of its sender. Then the big lock must
 * be held to the end, or the other device could be freed in the middle.
 *
 * The id is 0, like a CPU's, if the guest has given the number 0 to the bus
 * behind a bridge. So while there is such a bus, no access counts as a CPU's.
 * Nor does one to a device that is not in the machine any more; and nor does
 * one by a locked instruction that TCG runs while all other CPUs stand still:
 * there, no RCU critical section keeps the device while it is unplugged.
 */
static inline bool seam_is_access_of_vcpu(PCIDevice *dev, MemTxAttrs attrs)
{
    PCIBus *bus = pci_get_bus(dev);
    int zeros = 0;

    if (!bus || !qemu_in_vcpu_thread() || attrs.unspecified ||
        attrs.requester_id || cpu_in_exclusive_context(current_cpu)) {
        return false;
    }
    while (bus->parent_dev) {
        bus = pci_get_bus(bus->parent_dev);
    }
    pci_for_each_bus(bus, seam_count_bus_0, &zeros);
    return zeros <= 1;
}

/*
 * Whether the device may release the big lock during such an access. Not if
 * every run of the machine must be the same; and not behind an IOMMU, because
 * some (amd_iommu.c) wait for transfers only by taking the big lock.
 */
static inline bool seam_may_release_bql(PCIDevice *dev, MemTxAttrs attrs)
{
    return seam_is_access_of_vcpu(dev, attrs) && !icount_enabled() &&
           replay_mode == REPLAY_MODE_NONE &&
           pci_device_iommu_address_space(dev) == &address_space_memory;
}

/* Whether the device has MSI-X. It does not on a machine without MSI. */
static inline bool seam_msix_present(PCIDevice *dev)
{
    return dev->cap_present & QEMU_PCI_CAP_MSIX;
}

/* Whether a device can read, or write, this region as memory. */
static inline bool seam_is_direct(MemoryRegion *mr, bool is_write)
{
#if SEAM_QEMU_AT_LEAST(10, 0)
    return memory_access_is_direct(mr, is_write, MEMTXATTRS_UNSPECIFIED);
#else
    return memory_access_is_direct(mr, is_write);
#endif
}

/* The end of the list of a VMStateDescription's fields. */
static inline VMStateField seam_end_of_vmstate(void)
{
    return (VMStateField) VMSTATE_END_OF_LIST();
}

/*
 * DMA to and from plain memory and nothing else. QEMU's own functions do not
 * fit: pci_dma_read reads the registers of other devices too, and
 * pci_dma_map gives a bounce buffer where there is no memory, to write it to
 * registers afterwards.
 */
typedef struct SeamMapping {
    AddressSpace *as;
    void *host;         /* NULL if there is no memory */
    hwaddr size;
} SeamMapping;

/*
 * Looks up, for the direction wanted, where an address of @as leads. Returns
 * how many of @len bytes lie there in one piece of memory, and changes @as and
 * @addr to where they lie; returns 0 if it is not memory, or not for the
 * device. To be called in an RCU critical section.
 *
 * An IOMMU is asked here, and only here: its entries may change at any time.
 * All else that decides where an address leads changes with the big lock held.
 * So if the caller holds it, what is done at once with the result goes to this
 * memory, and never by way of a bounce buffer.
 */
static inline hwaddr seam_dma_find(AddressSpace **as, hwaddr *addr, hwaddr len,
                                   bool is_write)
{
    IOMMUTLBEntry entry = address_space_get_iotlb_entry(*as, *addr, is_write,
                                                        MEMTXATTRS_UNSPECIFIED);
    MemoryRegion *mr;
    hwaddr xlat;

    if (entry.perm == IOMMU_NONE || !len) {
        return 0;
    }
    if (entry.target_as != *as) {
        hwaddr offset = *addr & entry.addr_mask;

        len = MIN(len - 1, entry.addr_mask - offset) + 1;
        *as = entry.target_as;
        *addr = entry.translated_addr | offset;
    }
    mr = address_space_translate(*as, *addr, &xlat, &len, is_write,
                                 MEMTXATTRS_UNSPECIFIED);
    return seam_is_direct(mr, is_write) ? len : 0;
}

/* Copies all of it from, or to, memory, or returns false. */
static inline bool seam_dma_copy(PCIDevice *dev, hwaddr addr, void *buf,
                                 hwaddr len, bool is_write)
{
    const MemTxAttrs attrs = { .memory = 1 };

    RCU_READ_LOCK_GUARD();
    while (len) {
        AddressSpace *as = pci_get_address_space(dev);
        hwaddr at = addr;
        hwaddr size = seam_dma_find(&as, &at, len, is_write);

        if (!size ||
            address_space_rw(as, at, attrs, buf, size, is_write) != MEMTX_OK) {
            return false;
        }
        addr += size;
        buf += size;
        len -= size;
    }
    return true;
}

/* The first @used bytes may have been read, or written. */
static inline void seam_dma_unmap(const SeamMapping *mapping, bool is_write,
                                  hwaddr used)
{
    address_space_unmap(mapping->as, mapping->host, mapping->size, is_write,
                        used);
}

/*
 * Maps memory to read, to write, or to do both: up to @len bytes of it, in one
 * piece. To be called with the big lock held. For a device without an IOMMU,
 * memory to write may be mapped without the lock: in an RCU critical section,
 * which ends after it was unmapped.
 */
static inline SeamMapping seam_dma_map(PCIDevice *dev, hwaddr addr, hwaddr len,
                                       bool is_read, bool is_write)
{
    SeamMapping mapping = { .as = pci_get_address_space(dev) };
    hwaddr at = addr;
    ram_addr_t offset;

    RCU_READ_LOCK_GUARD();
    mapping.size = seam_dma_find(&mapping.as, &at, len, is_write);
    if (mapping.size && is_read && is_write) {
        AddressSpace *as = pci_get_address_space(dev);

        mapping.size = seam_dma_find(&as, &addr, mapping.size, false);
        if (as != mapping.as || addr != at) {
            mapping.size = 0;
        }
    }
    if (mapping.size) {
        mapping.host = address_space_map(mapping.as, at, &mapping.size,
                                         is_write, MEMTXATTRS_UNSPECIFIED);
    }
    if (mapping.host && !memory_region_from_host(mapping.host, &offset)) {
        /* A bounce buffer: without the big lock, the memory can just go. */
        seam_dma_unmap(&mapping, is_write, 0);
        mapping.host = NULL;
    }
    return mapping;
}

#endif
