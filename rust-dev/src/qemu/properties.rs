// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's properties as QEMU's `Property` arrays.

use core::ffi::CStr;
use std::ffi::CString;

use super::bindings;
use super::storage::{Kind, Plan, Storage, Walk};
use crate::pci::{Properties, PropertyVisitor};

/// Plans the storage that properties need.
impl PropertyVisitor for Plan {
    fn bool(&mut self, name: &'static CStr, _description: &'static CStr, _value: &mut bool) {
        self.add(name, Kind::Bool, 1);
    }

    fn u32(&mut self, name: &'static CStr, _description: &'static CStr, _value: &mut u32) {
        self.add(name, Kind::U32, 1);
    }

    fn text(&mut self, name: &'static CStr, _description: &'static CStr, _value: &mut String) {
        self.add(name, Kind::Text, 1);
    }
}

/// Reads what QEMU has put into the storage.
struct Read<'a> {
    walk: Walk<'a>,
    storage: Storage<'a>,
}

impl PropertyVisitor for Read<'_> {
    fn bool(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut bool) {
        let byte: u8 = self.storage.read(self.walk.next(name, Kind::Bool, 1));
        *value = byte != 0;
    }

    fn u32(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut u32) {
        *value = self.storage.read(self.walk.next(name, Kind::U32, 1));
    }

    fn text(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut String) {
        let at = self.walk.next(name, Kind::Text, 1);
        // SAFETY: the plan has a text there, and was what QEMU was told of by `describe`: so QEMU keeps a
        // text's pointer there, null until it is set.
        if let Some(text) = unsafe { self.storage.read_text(at) } {
            *value = text;
        }
    }
}

/// What the user has set, from the storage that has the plan's fields.
pub fn read<P: Properties>(plan: &Plan, storage: Storage<'_>) -> P {
    let mut properties = P::default();
    let walk = plan.walk();
    properties.visit(&mut Read { walk, storage });
    properties
}

/// One that QEMU is to be told of.
struct Described {
    property: bindings::Property,
    description: &'static CStr,
    default_text: Option<CString>,
}

struct Describe<'a> {
    walk: Walk<'a>,
    found: Vec<Described>,
}

impl Describe<'_> {
    /// One whose default value is in its `Property`.
    fn number(
        &mut self,
        name: &'static CStr,
        description: &'static CStr,
        (kind, info): (Kind, *const bindings::PropertyInfo),
        value: u64,
    ) {
        let mut property = bindings::Property {
            name: name.as_ptr(),
            info,
            offset: self.walk.next(name, kind, 1) as isize,
            set_default: true,
            ..Default::default()
        };
        property.defval.u = value;
        self.found.push(Described {
            property,
            description,
            default_text: None,
        });
    }
}

impl PropertyVisitor for Describe<'_> {
    fn bool(&mut self, name: &'static CStr, description: &'static CStr, value: &mut bool) {
        let kind = (Kind::Bool, &raw const bindings::qdev_prop_bool);
        self.number(name, description, kind, (*value).into());
    }

    fn u32(&mut self, name: &'static CStr, description: &'static CStr, value: &mut u32) {
        let kind = (Kind::U32, &raw const bindings::qdev_prop_uint32);
        self.number(name, description, kind, (*value).into());
    }

    fn text(&mut self, name: &'static CStr, description: &'static CStr, value: &mut String) {
        self.found.push(Described {
            property: bindings::Property {
                name: name.as_ptr(),
                info: &raw const bindings::qdev_prop_string,
                offset: self.walk.next(name, Kind::Text, 1) as isize,
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
/// `class` is a device's, and is being initialized; its instances have a storage of the plan's.
pub unsafe fn describe<P: Properties>(class: *mut bindings::DeviceClass, plan: &Plan) {
    let mut describe = Describe {
        walk: plan.walk(),
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
