/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * my_counter: the example of a device in Rust. Here is only what C's macros
 * force: the registration of the type.
 */

#include "qemu/osdep.h"
#include "my-counter.h"

static void my_counter_type_class_init(ObjectClass *klass,
                                       SEAM_CLASS_DATA *data)
{
    my_counter_class_init(klass);
}

static void my_counter_register_types(void)
{
    static SEAM_INTERFACE_INFO interfaces[] = {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    };
    /* Not static: only Rust knows the size. QEMU copies it. */
    const TypeInfo my_counter_info = {
        .name = TYPE_MY_COUNTER,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = my_counter_instance_size(),
        .instance_align = my_counter_instance_align(),
        .instance_init = my_counter_instance_init,
        .instance_finalize = my_counter_instance_finalize,
        .class_init = my_counter_type_class_init,
        .interfaces = interfaces,
    };

    type_register_static(&my_counter_info);
}

type_init(my_counter_register_types)
