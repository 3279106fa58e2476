// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's counters as read-only properties of its class.

use core::ffi::{c_char, c_void};
use core::ptr;

use super::bindings::{self, Error, Object, ObjectClass, Visitor};
use super::pci::Device;
use crate::pci::PciModel;

/// Tells QEMU which counters the devices of a class have.
///
/// # Safety
///
/// `class` is that of devices with model `M`, and is being initialized.
pub unsafe fn describe<M: PciModel>(class: *mut ObjectClass) {
    for counter in M::COUNTERS {
        // SAFETY: the names and the type are static texts, and `get` is for devices of this model. The
        // opaque pointer leads to a constant, which `get` only reads.
        unsafe {
            bindings::object_class_property_add(
                class,
                counter.name.as_ptr(),
                c"uint64".as_ptr(),
                Some(get::<M>),
                None,
                None,
                ptr::from_ref(counter).cast_mut().cast(),
            );
            bindings::object_class_property_set_description(
                class,
                counter.name.as_ptr(),
                counter.description.as_ptr(),
            );
        }
    }
}

/// An `ObjectPropertyAccessor`.
///
/// # Safety
///
/// As QEMU calls it for the properties that `describe` added.
unsafe extern "C" fn get<M: PciModel>(
    object: *mut Object,
    visitor: *mut Visitor,
    name: *const c_char,
    counter: *mut c_void,
    errp: *mut *mut Error,
) {
    // SAFETY: `describe` gave QEMU this pointer, to a constant.
    let counter = unsafe { &*counter.cast::<crate::pci::Counter<M>>() };
    // SAFETY: the object is an initialized device of this model, alive during the call, which QEMU
    // makes with its big lock held.
    let device = unsafe { Device::<M>::from_ptr(object) };
    let mut value = device.map_or(0, |device| device.counter(counter));
    // SAFETY: the three come from QEMU for this use; the value lives through the call.
    unsafe { bindings::visit_type_uint64(visitor, name, &mut value, errp) };
}
