/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * my_rng: a repeatable random number generator on the PCI bus.
 *
 * The device is written in Rust (rust-dev/ of the my_rng repository); here is
 * only what C's macros force: the registration of the type and the description
 * of its state.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "migration/vmstate.h"
#include "my-rng.h"

/*
 * The state cannot travel yet: migration and snapshots are refused rather than
 * losing the stream's place without a word.
 */
static const VMStateDescription vmstate_my_rng = {
    .name = TYPE_MY_RNG,
    .unmigratable = 1,
};

static void my_rng_type_class_init(ObjectClass *klass, void *data)
{
    my_rng_class_init(klass, &vmstate_my_rng);
}

static void my_rng_register_types(void)
{
    static InterfaceInfo interfaces[] = {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    };
    /* Not static: only Rust knows the size. QEMU copies it. */
    const TypeInfo my_rng_info = {
        .name = TYPE_MY_RNG,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = my_rng_instance_size(),
        .instance_init = my_rng_instance_init,
        .instance_finalize = my_rng_instance_finalize,
        .class_init = my_rng_type_class_init,
        .interfaces = interfaces,
    };

    type_register_static(&my_rng_info);
}

type_init(my_rng_register_types)
