/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Devices for the end-to-end tests alone, linked into a QEMU of their own by
 * scripts/test-qemu.sh:
 *
 * my-rng-classic: the device of two registers, as others have written it. At
 *   every other offset it gives what elsewhere= says: ones, zeros, next (the
 *   next number) or signature (numbers that look like those of INFO).
 * my-rng-entropy: the guest writes to its first register how many bytes of
 *   entropy the host has left, and all ones for no end of it.
 */

#include "qemu/osdep.h"
#include "hw/misc/qemu-pci/qemu-pci.h"
#include "my_rng.h"

#define TYPE_CLASSIC "my-rng-classic"
OBJECT_DECLARE_SIMPLE_TYPE(Classic, CLASSIC)

#define TYPE_ENTROPY "my-rng-entropy"
OBJECT_DECLARE_SIMPLE_TYPE(Entropy, ENTROPY)

/* An id that nothing else of QEMU's has. */
#define ENTROPY_DEVICE_ID 0xcafd

struct Classic {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    uint32_t next;
    char *elsewhere;
};

struct Entropy {
    PCIDevice parent_obj;

    MemoryRegion mmio;
};

/* Counts on from the seed, so that a test sees which numbers were taken. */
static uint64_t classic_read(void *opaque, hwaddr addr, unsigned size)
{
    Classic *s = opaque;

    if (addr == MY_RNG_REG_RNG || !strcmp(s->elsewhere, "next")) {
        return s->next++;
    }
    if (addr == MY_RNG_REG_SEED || !strcmp(s->elsewhere, "zeros")) {
        return 0;
    }
    if (!strcmp(s->elsewhere, "signature")) {
        return MY_RNG_INFO(s->next++ & 0xffff);
    }
    return UINT32_MAX;
}

static void classic_write(void *opaque, hwaddr addr, uint64_t val,
                          unsigned size)
{
    Classic *s = opaque;

    if (addr == MY_RNG_REG_SEED) {
        s->next = val;
    }
}

static const MemoryRegionOps classic_ops = {
    .read = classic_read,
    .write = classic_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static void add_bar(PCIDevice *pdev, MemoryRegion *mmio,
                    const MemoryRegionOps *ops)
{
    memory_region_init_io(mmio, OBJECT(pdev), ops, pdev, "registers",
                          MY_RNG_BAR_SIZE);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, mmio);
}

static void classic_realize(PCIDevice *pdev, Error **errp)
{
    Classic *s = CLASSIC(pdev);
    const char *elsewhere = s->elsewhere ? s->elsewhere : "";

    if (strcmp(elsewhere, "ones") && strcmp(elsewhere, "zeros") &&
        strcmp(elsewhere, "next") && strcmp(elsewhere, "signature")) {
        error_setg(errp, "elsewhere= is ones, zeros, next or signature");
        return;
    }
    add_bar(pdev, &s->mmio, &classic_ops);
}

static char *classic_get_elsewhere(Object *obj, Error **errp)
{
    return g_strdup(CLASSIC(obj)->elsewhere);
}

static void classic_set_elsewhere(Object *obj, const char *value, Error **errp)
{
    Classic *s = CLASSIC(obj);

    g_free(s->elsewhere);
    s->elsewhere = g_strdup(value);
}

static void classic_finalize(Object *obj)
{
    g_free(CLASSIC(obj)->elsewhere);
}

static void init_pci_class(ObjectClass *klass, uint16_t device_id)
{
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->vendor_id = MY_RNG_PCI_VENDOR_ID;
    k->device_id = device_id;
    k->class_id = PCI_CLASS_OTHERS;
    set_bit(DEVICE_CATEGORY_MISC, DEVICE_CLASS(klass)->categories);
}

static void classic_class_init(ObjectClass *klass, SeamClassData *data)
{
    PCI_DEVICE_CLASS(klass)->realize = classic_realize;
    init_pci_class(klass, MY_RNG_PCI_DEVICE_ID);
    object_class_property_add_str(klass, "elsewhere", classic_get_elsewhere,
                                  classic_set_elsewhere);
}

static uint32_t entropy_left = UINT32_MAX;

int __real_qemu_guest_getrandom(void *buf, size_t len, Error **errp);
int __wrap_qemu_guest_getrandom(void *buf, size_t len, Error **errp);

/* The linker calls it where QEMU calls qemu_guest_getrandom(). */
int __wrap_qemu_guest_getrandom(void *buf, size_t len, Error **errp)
{
    if (entropy_left != UINT32_MAX) {
        if (len > entropy_left) {
            error_setg(errp, "the host has no entropy, for the test says so");
            return -1;
        }
        entropy_left -= len;
    }
    return __real_qemu_guest_getrandom(buf, len, errp);
}

static uint64_t entropy_read(void *opaque, hwaddr addr, unsigned size)
{
    return entropy_left;
}

static void entropy_write(void *opaque, hwaddr addr, uint64_t val,
                          unsigned size)
{
    entropy_left = val;
}

static const MemoryRegionOps entropy_ops = {
    .read = entropy_read,
    .write = entropy_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static void entropy_realize(PCIDevice *pdev, Error **errp)
{
    add_bar(pdev, &ENTROPY(pdev)->mmio, &entropy_ops);
}

static void entropy_class_init(ObjectClass *klass, SeamClassData *data)
{
    PCI_DEVICE_CLASS(klass)->realize = entropy_realize;
    init_pci_class(klass, ENTROPY_DEVICE_ID);
}

static void register_types(void)
{
    static SEAM_INTERFACE_INFO interfaces[] = {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    };
    static const TypeInfo classic_info = {
        .name = TYPE_CLASSIC,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(Classic),
        .instance_finalize = classic_finalize,
        .class_init = classic_class_init,
        .interfaces = interfaces,
    };
    static const TypeInfo entropy_info = {
        .name = TYPE_ENTROPY,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(Entropy),
        .class_init = entropy_class_init,
        .interfaces = interfaces,
    };

    type_register_static(&classic_info);
    type_register_static(&entropy_info);
}

type_init(register_types)
