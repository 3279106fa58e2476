// SPDX-License-Identifier: GPL-2.0-or-later

//! The devices of this library. The one file of the glue that names them.

use super::hooks::pci_device;
use crate::device::{Event, MyRng};

pci_device! {
    MyRng {
        type_name: TYPE_MY_RNG,
        instance_size: my_rng_instance_size,
        instance_align: my_rng_instance_align,
        instance_init: my_rng_instance_init,
        instance_finalize: my_rng_instance_finalize,
        class_init: my_rng_class_init,
        realize: my_rng_realize,
        exit: my_rng_exit,
        reset_enter: my_rng_reset_enter,
        mmio_read: my_rng_mmio_read,
        mmio_write: my_rng_mmio_write,
    }
    trace {
        read: trace_my_rng_read,
        write: trace_my_rng_write,
        reset: trace_my_rng_reset,
        guest_error: trace_my_rng_guest_error if my_rng_guest_error_is_traced,
        Event::Seeded(seed) => trace_my_rng_seed(seed),
        Event::Transferred { descriptor, status, bytes } =>
            trace_my_rng_transfer(descriptor, status, bytes),
    }
}

#[cfg(feature = "my_counter")]
pci_device! {
    crate::my_counter::MyCounter {
        type_name: TYPE_MY_COUNTER,
        instance_size: my_counter_instance_size,
        instance_align: my_counter_instance_align,
        instance_init: my_counter_instance_init,
        instance_finalize: my_counter_instance_finalize,
        class_init: my_counter_class_init,
        realize: my_counter_realize,
        exit: my_counter_exit,
        reset_enter: my_counter_reset_enter,
        mmio_read: my_counter_mmio_read,
        mmio_write: my_counter_mmio_write,
    }
    trace {
        read: trace_my_counter_read,
        write: trace_my_counter_write,
        reset: trace_my_counter_reset,
        guest_error: trace_my_counter_guest_error if my_counter_guest_error_is_traced,
        crate::my_counter::Event::Wrapped(next) => trace_my_counter_wrapped(next),
    }
}
