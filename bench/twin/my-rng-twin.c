/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * my-rng-twin: the registers RNG and SEED of my_rng in plain C, with the
 * generator of the C library. Only `make bench` builds it, to compare the device
 * in Rust with it.
 */

#include "qemu/osdep.h"
#include "hw/misc/qemu-pci/qemu-pci.h"

#define TYPE_MY_RNG_TWIN "my-rng-twin"
OBJECT_DECLARE_SIMPLE_TYPE(MyRngTwin, MY_RNG_TWIN)

/* Not used by any other device of QEMU. */
#define MY_RNG_TWIN_DEVICE_ID 0xcaff

enum { REG_RNG = 0x0, REG_SEED = 0x4, BAR_SIZE = 4096 };

struct MyRngTwin {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    struct random_data random;
    char table[128];
};

static uint64_t my_rng_twin_read(void *opaque, hwaddr addr, unsigned size)
{
    MyRngTwin *s = opaque;
    int32_t number = 0;

    if (addr == REG_RNG) {
        random_r(&s->random, &number);
    }
    return number;
}

static void my_rng_twin_write(void *opaque, hwaddr addr, uint64_t val,
                              unsigned size)
{
    MyRngTwin *s = opaque;

    if (addr == REG_SEED) {
        srandom_r(val, &s->random);
    }
}

static const MemoryRegionOps my_rng_twin_ops = {
    .read = my_rng_twin_read,
    .write = my_rng_twin_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static void my_rng_twin_realize(PCIDevice *pdev, Error **errp)
{
    MyRngTwin *s = MY_RNG_TWIN(pdev);

    initstate_r(1, s->table, sizeof(s->table), &s->random);
    memory_region_init_io(&s->mmio, OBJECT(s), &my_rng_twin_ops, s,
                          TYPE_MY_RNG_TWIN, BAR_SIZE);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->mmio);
}

static void my_rng_twin_class_init(ObjectClass *klass, SeamClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = my_rng_twin_realize;
    k->vendor_id = PCI_VENDOR_ID_QEMU;
    k->device_id = MY_RNG_TWIN_DEVICE_ID;
    k->class_id = PCI_CLASS_OTHERS;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static void my_rng_twin_register_types(void)
{
    static SEAM_INTERFACE_INFO interfaces[] = {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    };
    static const TypeInfo info = {
        .name = TYPE_MY_RNG_TWIN,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(MyRngTwin),
        .class_init = my_rng_twin_class_init,
        .interfaces = interfaces,
    };

    type_register_static(&info);
}

type_init(my_rng_twin_register_types)
