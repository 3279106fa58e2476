/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * my_rng: a repeatable random number generator on the PCI bus.
 *
 * The device is written in Rust (rust-dev/ of the my_rng repository); here is
 * only what C's macros force: the registration of the type.
 */

#include "qemu/osdep.h"
#include "my-rng.h"

static void my_rng_type_class_init(ObjectClass *klass, SEAM_CLASS_DATA *data)
{
    my_rng_class_init(klass);
}

static void my_rng_register_types(void)
{
    static SEAM_INTERFACE_INFO interfaces[] = {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    };
    /* Not static: only Rust knows the size. QEMU copies it. */
    const TypeInfo my_rng_info = {
        .name = TYPE_MY_RNG,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = my_rng_instance_size(),
        .instance_align = my_rng_instance_align(),
        .instance_init = my_rng_instance_init,
        .instance_finalize = my_rng_instance_finalize,
        .class_init = my_rng_type_class_init,
        .interfaces = interfaces,
    };

    type_register_static(&my_rng_info);
}

type_init(my_rng_register_types)
