// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's properties as QEMU's `Property` arrays.

use core::ffi::{CStr, c_char};
use core::mem::size_of;
use std::ffi::CString;

use super::bindings;
use super::storage::{Cursor, Storage};
use crate::pci::{Properties, PropertyVisitor};

const TEXT_SIZE: usize = size_of::<*const c_char>();

/// Measures the storage that properties need.
pub struct Measure(pub Cursor);

impl PropertyVisitor for Measure {
    fn u32(&mut self, _name: &'static CStr, _description: &'static CStr, _value: &mut u32) {
        self.0.take(size_of::<u32>(), 1);
    }

    fn text(&mut self, _name: &'static CStr, _description: &'static CStr, _value: &mut String) {
        self.0.take(TEXT_SIZE, 1);
    }
}

/// Reads what QEMU has put into the storage.
struct Read {
    cursor: Cursor,
    storage: Storage,
}

impl PropertyVisitor for Read {
    fn u32(&mut self, _name: &'static CStr, _description: &'static CStr, value: &mut u32) {
        *value = self.storage.read(self.cursor.take(size_of::<u32>(), 1));
    }

    fn text(&mut self, _name: &'static CStr, _description: &'static CStr, value: &mut String) {
        let at = self.cursor.take(TEXT_SIZE, 1);
        // SAFETY: the description below makes QEMU keep a text's pointer here, null until it is set.
        if let Some(text) = unsafe { self.storage.read_text(at) } {
            *value = text;
        }
    }
}

/// What the user has set, from the storage whose first property is where `cursor` points.
pub fn read<P: Properties>(cursor: Cursor, storage: Storage) -> P {
    let mut properties = P::default();
    properties.visit(&mut Read { cursor, storage });
    properties
}

/// One that QEMU is to be told of.
struct Described {
    property: bindings::Property,
    description: &'static CStr,
    default_text: Option<CString>,
}

struct Describe {
    cursor: Cursor,
    found: Vec<Described>,
}

impl PropertyVisitor for Describe {
    fn u32(&mut self, name: &'static CStr, description: &'static CStr, value: &mut u32) {
        let mut property = bindings::Property {
            name: name.as_ptr(),
            info: &raw const bindings::qdev_prop_uint32,
            offset: self.cursor.take(size_of::<u32>(), 1) as isize,
            set_default: true,
            ..Default::default()
        };
        property.defval.u = (*value).into();
        self.found.push(Described {
            property,
            description,
            default_text: None,
        });
    }

    fn text(&mut self, name: &'static CStr, description: &'static CStr, value: &mut String) {
        self.found.push(Described {
            property: bindings::Property {
                name: name.as_ptr(),
                info: &raw const bindings::qdev_prop_string,
                offset: self.cursor.take(TEXT_SIZE, 1) as isize,
                ..Default::default()
            },
            description,
            default_text: CString::new(value.as_str()).ok(),
        });
    }
}

/// Tells QEMU which properties the devices of a class have.
///
/// # Safety
///
/// `class` is a device's, and is being initialized; its instances have the properties' storage where
/// `cursor` points.
pub unsafe fn describe<P: Properties>(class: *mut bindings::DeviceClass, cursor: Cursor) {
    let mut describe = Describe {
        cursor,
        found: Vec::new(),
    };
    P::default().visit(&mut describe);
    if describe.found.is_empty() {
        return;
    }
    let mut list: Vec<_> = describe.found.iter().map(|found| found.property).collect();
    let count = list.len();
    // Some versions of QEMU want an end of the list, some a number.
    list.push(bindings::Property::default());
    // QEMU keeps the list as long as the class, which is for ever.
    let list = Box::leak(list.into_boxed_slice());
    // SAFETY: the list and all that it points to are static, and describe the instances by the
    // caller's word.
    unsafe { bindings::seam_set_props(class, list.as_mut_ptr(), count) };
    for found in &describe.found {
        let class = class.cast::<bindings::ObjectClass>();
        // SAFETY: a device's class starts with that of an object; the property was just added, and
        // QEMU copies both texts.
        unsafe {
            bindings::object_class_property_set_description(
                class,
                found.property.name,
                found.description.as_ptr(),
            );
            if let Some(text) = &found.default_text {
                let property = bindings::object_class_property_find(class, found.property.name);
                bindings::object_property_set_default_str(property, text.as_ptr());
            }
        }
    }
}
