// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's state as QEMU's `VMStateDescription`.

use core::ffi::{CStr, c_int, c_void};
use core::mem::size_of;
use core::slice;

use super::bindings::{self, VMStateField, VMStateInfo};
use super::storage::{Kind, Number, Plan, Storage, Walk};
use crate::pci::{State, StateVisitor};

/// What QEMU calls on a device before it saves it, and after it has loaded it.
pub struct Hooks {
    /// Puts the model's state into the storage.
    pub pre_save: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// Takes it from there.
    pub post_load: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
}

/// Plans the storage that a state needs.
impl StateVisitor for Plan {
    fn u8(&mut self, name: &'static CStr, _value: &mut u8) {
        self.add(name, Kind::U8, 1);
    }

    fn u32(&mut self, name: &'static CStr, _value: &mut u32) {
        self.add(name, Kind::U32, 1);
    }

    fn u64(&mut self, name: &'static CStr, _value: &mut u64) {
        self.add(name, Kind::U64, 1);
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.add(name, Kind::U32, values.len());
    }
}

/// Copies between a state and its storage.
struct Transfer<'a, const TO_STORAGE: bool> {
    walk: Walk<'a>,
    storage: Storage<'a>,
}

impl<const TO_STORAGE: bool> Transfer<'_, TO_STORAGE> {
    fn numbers<T: Number>(&mut self, name: &'static CStr, values: &mut [T]) {
        let start = self.walk.next(name, T::KIND, values.len());
        for (index, value) in values.iter_mut().enumerate() {
            let at = start + index * size_of::<T>();
            if TO_STORAGE {
                self.storage.write(at, *value);
            } else {
                *value = self.storage.read(at);
            }
        }
    }
}

impl<const TO_STORAGE: bool> StateVisitor for Transfer<'_, TO_STORAGE> {
    fn u8(&mut self, name: &'static CStr, value: &mut u8) {
        self.numbers(name, slice::from_mut(value));
    }

    fn u32(&mut self, name: &'static CStr, value: &mut u32) {
        self.numbers(name, slice::from_mut(value));
    }

    fn u64(&mut self, name: &'static CStr, value: &mut u64) {
        self.numbers(name, slice::from_mut(value));
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.numbers(name, values);
    }
}

/// Puts a state into the storage that has the plan's fields.
pub fn write<S: State>(plan: &Plan, storage: Storage<'_>, mut state: S) {
    let walk = plan.walk();
    state.visit(&mut Transfer::<true> { walk, storage });
}

/// The state that such a storage holds.
pub fn read<S: State>(plan: &Plan, storage: Storage<'_>) -> S {
    let mut state = S::default();
    let walk = plan.walk();
    state.visit(&mut Transfer::<false> { walk, storage });
    state
}

struct Describe<'a> {
    walk: Walk<'a>,
    fields: Vec<VMStateField>,
}

impl Describe<'_> {
    fn number(&mut self, name: &'static CStr, kind: Kind, info: *const VMStateInfo) {
        self.fields.push(VMStateField {
            name: name.as_ptr(),
            offset: self.walk.next(name, kind, 1),
            size: kind.size(),
            info,
            flags: bindings::VMStateFlags_VMS_SINGLE,
            ..Default::default()
        });
    }
}

impl StateVisitor for Describe<'_> {
    fn u8(&mut self, name: &'static CStr, _value: &mut u8) {
        let info = &raw const bindings::vmstate_info_uint8;
        self.number(name, Kind::U8, info);
    }

    fn u32(&mut self, name: &'static CStr, _value: &mut u32) {
        let info = &raw const bindings::vmstate_info_uint32;
        self.number(name, Kind::U32, info);
    }

    fn u64(&mut self, name: &'static CStr, _value: &mut u64) {
        let info = &raw const bindings::vmstate_info_uint64;
        self.number(name, Kind::U64, info);
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.fields.push(VMStateField {
            name: name.as_ptr(),
            offset: self.walk.next(name, Kind::U32, values.len()),
            size: size_of::<u32>(),
            num: values.len() as c_int,
            info: &raw const bindings::vmstate_info_uint32,
            flags: bindings::VMStateFlags_VMS_ARRAY,
            ..Default::default()
        });
    }
}

/// The description of a PCI device's state: that of all PCI devices first, at the instance's start,
/// then the fields of `S`, which the plan has.
pub fn description<S: State>(
    name: &'static CStr,
    plan: &Plan,
    hooks: &Hooks,
) -> &'static bindings::VMStateDescription {
    let mut describe = Describe {
        walk: plan.walk(),
        fields: vec![VMStateField {
            name: c"parent_obj".as_ptr(),
            vmsd: &raw const bindings::vmstate_pci_device,
            size: size_of::<bindings::PCIDevice>(),
            flags: bindings::VMStateFlags_VMS_STRUCT,
            ..Default::default()
        }],
    };
    S::default().visit(&mut describe);
    // SAFETY: no precondition.
    let end = unsafe { bindings::seam_end_of_vmstate() };
    describe.fields.push(end);
    // QEMU keeps it as long as the class, which is for ever.
    Box::leak(Box::new(bindings::VMStateDescription {
        name: name.as_ptr(),
        version_id: S::VERSION.into(),
        minimum_version_id: S::VERSION.into(),
        pre_save: Some(hooks.pre_save),
        post_load: Some(hooks.post_load),
        fields: Box::leak(describe.fields.into_boxed_slice()).as_ptr(),
        ..Default::default()
    }))
}
