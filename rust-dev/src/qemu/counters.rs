// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's counters as read-only properties of its class.

use core::ffi::{c_char, c_void};
use core::ptr;

use super::bindings::{self, Error, Object, ObjectClass, Visitor};
use crate::pci::{Counter, PciModel};

/// An `ObjectPropertyAccessor`, which QEMU calls to ask for a property. What comes fourth leads to the
/// [`Counter`] that the property is of.
pub type Getter =
    unsafe extern "C" fn(*mut Object, *mut Visitor, *const c_char, *mut c_void, *mut *mut Error);

/// Tells QEMU which counters the devices of a class have.
///
/// # Safety
///
/// `class` is that of devices with model `M`, and is being initialized; `get` is for them.
pub unsafe fn describe<M: PciModel>(class: *mut ObjectClass, get: Getter) {
    for counter in M::COUNTERS {
        let counter: &'static Counter<M> = counter;
        // SAFETY: the names and the type are static texts, and `get` is for devices of this model. The
        // opaque pointer leads to a constant, which a getter only reads.
        unsafe {
            bindings::object_class_property_add(
                class,
                counter.name.as_ptr(),
                c"uint64".as_ptr(),
                Some(get),
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
