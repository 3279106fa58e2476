// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's properties as QEMU's `Property` list. QEMU keeps each value in a slot of 8 bytes after the instance.

use core::ffi::{CStr, c_char};
use core::ptr;
use std::ffi::CString;

use super::bindings::{self, PropertyInfo};
use super::error::c_text;
use crate::property::{Described, Size, Value};

/// The size of a slot, in bytes: that of the largest value.
const SLOT: usize = 8;

/// Where the slots are in a device, and what they hold.
#[derive(Debug)]
pub struct Slots {
    start: usize,
    properties: Vec<Described>,
}

impl Slots {
    /// Slots for these properties, from `start` bytes into the device on.
    pub const fn new(start: usize, properties: Vec<Described>) -> Self {
        Self { start, properties }
    }

    /// The offset of their end.
    pub fn end(&self) -> usize {
        self.start + SLOT * self.properties.len()
    }

    /// The properties, each with the offset of its slot.
    fn iter(&self) -> impl Iterator<Item = (usize, &Described)> {
        let places = (self.start..).step_by(SLOT);
        places.zip(&self.properties)
    }

    /// The values that QEMU has put there.
    ///
    /// # Safety
    ///
    /// `device` leads to a device with these slots, aligned to 8, of which QEMU was told by [`describe`]. The caller
    /// holds the BQL.
    pub unsafe fn values(&self, device: *const u8) -> Vec<Value> {
        let values = self.iter().map(|(offset, property)| {
            // SAFETY: as the caller guarantees.
            unsafe { value(device.wrapping_add(offset), &property.default) }
        });
        values.collect()
    }
}

/// The value in a slot. It has the type of the default. A text that was never set has the default.
///
/// # Safety
///
/// `slot` is aligned to 8, and holds what QEMU keeps there for a property of this type: a number, or a pointer to a
/// text that lives through the call, or null.
unsafe fn value(slot: *const u8, default: &Value) -> Value {
    // SAFETY: as the caller guarantees; any bytes are a number.
    unsafe {
        match default {
            Value::Bool(_) => Value::Bool(ptr::read(slot) != 0),
            Value::U8(_) => Value::U8(ptr::read(slot)),
            Value::U16(_) => Value::U16(ptr::read(slot.cast())),
            Value::U32(_) => Value::U32(ptr::read(slot.cast())),
            Value::U64(_) => Value::U64(ptr::read(slot.cast())),
            Value::I32(_) => Value::I32(ptr::read(slot.cast())),
            Value::I64(_) => Value::I64(ptr::read(slot.cast())),
            Value::Size(_) => Value::Size(Size(ptr::read(slot.cast()))),
            Value::Text(_) => {
                let text = ptr::read(slot.cast::<*const c_char>());
                if text.is_null() {
                    return default.clone();
                }
                Value::Text(CStr::from_ptr(text).to_string_lossy().into_owned())
            }
        }
    }
}

/// QEMU's type of a property, and the default, unless it is a text.
fn info(default: &Value) -> (*const PropertyInfo, Option<u64>) {
    match default {
        Value::Bool(value) => (&raw const bindings::qdev_prop_bool, Some((*value).into())),
        Value::U8(value) => (&raw const bindings::qdev_prop_uint8, Some((*value).into())),
        Value::U16(value) => (&raw const bindings::qdev_prop_uint16, Some((*value).into())),
        Value::U32(value) => (&raw const bindings::qdev_prop_uint32, Some((*value).into())),
        Value::U64(value) => (&raw const bindings::qdev_prop_uint64, Some(*value)),
        // Sign-extended: QEMU reads all 64 bits.
        Value::I32(value) => (&raw const bindings::qdev_prop_int32, Some(*value as u64)),
        Value::I64(value) => (&raw const bindings::qdev_prop_int64, Some(*value as u64)),
        Value::Size(Size(value)) => (&raw const bindings::qdev_prop_size, Some(*value)),
        Value::Text(_) => (&raw const bindings::qdev_prop_string, None),
    }
}

/// Tells QEMU which properties the devices of a class have.
///
/// # Safety
///
/// `class` is a device's, and is being initialized; its instances have these slots.
pub unsafe fn describe(class: *mut bindings::DeviceClass, slots: &Slots) {
    let mut list: Vec<_> = slots
        .iter()
        .map(|(offset, property)| {
            let (info, default) = info(&property.default);
            let mut listed = bindings::Property {
                name: property.name.as_ptr(),
                info,
                offset: offset as isize,
                set_default: default.is_some(),
                ..Default::default()
            };
            listed.defval.u = default.unwrap_or_default();
            listed
        })
        .collect();
    let count = list.len();
    if count == 0 {
        return;
    }
    // Some versions of QEMU want an end of the list, some a number.
    list.push(bindings::Property::default());
    // QEMU keeps the list as long as the class, which is for ever.
    let list = Box::leak(list.into_boxed_slice());
    // SAFETY: the list and all that it points to are static, and describe the instances as the caller guarantees.
    unsafe { bindings::seam_set_props(class, list.as_mut_ptr(), count) };
    let class = class.cast::<bindings::ObjectClass>();
    for property in &slots.properties {
        let help = c_text(&property.help);
        // SAFETY: a device's class starts with that of an object; the property was just added, and QEMU copies
        // both texts.
        unsafe {
            bindings::object_class_property_set_description(
                class,
                property.name.as_ptr(),
                help.as_ptr(),
            );
            if let Value::Text(text) = &property.default {
                let text = CString::new(text.as_str()).unwrap_or_default();
                let found = bindings::object_class_property_find(class, property.name.as_ptr());
                bindings::object_property_set_default_str(found, text.as_ptr());
            }
        }
    }
}
