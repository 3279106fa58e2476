// SPDX-License-Identifier: GPL-2.0-or-later

//! A model's state as QEMU's `VMStateDescription`.

use core::ffi::{CStr, c_int, c_void};
use core::mem::size_of;

use super::bindings::{self, VMStateField, VMStateInfo};
use super::storage::{Cursor, Number, Storage};
use crate::pci::{State, StateVisitor};

/// What QEMU calls on a device before it saves it, and after it has loaded it.
pub struct Hooks {
    /// Puts the model's state into the storage.
    pub pre_save: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// Takes it from there.
    pub post_load: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
}

/// Measures the storage that a state needs.
pub struct Measure(pub Cursor);

impl StateVisitor for Measure {
    fn u8(&mut self, _name: &'static CStr, _value: &mut u8) {
        self.0.take(size_of::<u8>(), 1);
    }

    fn u32(&mut self, _name: &'static CStr, _value: &mut u32) {
        self.0.take(size_of::<u32>(), 1);
    }

    fn u64(&mut self, _name: &'static CStr, _value: &mut u64) {
        self.0.take(size_of::<u64>(), 1);
    }

    fn u32_array(&mut self, _name: &'static CStr, values: &mut [u32]) {
        self.0.take(size_of::<u32>(), values.len());
    }
}

/// Copies between a state and its storage.
struct Copy<const TO_STORAGE: bool> {
    cursor: Cursor,
    storage: Storage,
}

impl<const TO_STORAGE: bool> Copy<TO_STORAGE> {
    fn numbers<T: Number>(&mut self, values: &mut [T]) {
        let start = self.cursor.take(size_of::<T>(), values.len());
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

impl<const TO_STORAGE: bool> StateVisitor for Copy<TO_STORAGE> {
    fn u8(&mut self, _name: &'static CStr, value: &mut u8) {
        self.numbers(core::slice::from_mut(value));
    }

    fn u32(&mut self, _name: &'static CStr, value: &mut u32) {
        self.numbers(core::slice::from_mut(value));
    }

    fn u64(&mut self, _name: &'static CStr, value: &mut u64) {
        self.numbers(core::slice::from_mut(value));
    }

    fn u32_array(&mut self, _name: &'static CStr, values: &mut [u32]) {
        self.numbers(values);
    }
}

/// Puts a state into the storage whose first field is where `cursor` points.
pub fn write<S: State>(cursor: Cursor, storage: Storage, mut state: S) {
    state.visit(&mut Copy::<true> { cursor, storage });
}

/// The state that the storage holds.
pub fn read<S: State>(cursor: Cursor, storage: Storage) -> S {
    let mut state = S::default();
    state.visit(&mut Copy::<false> { cursor, storage });
    state
}

struct Describe {
    cursor: Cursor,
    fields: Vec<VMStateField>,
}

impl Describe {
    fn number(&mut self, name: &'static CStr, size: usize, info: *const VMStateInfo) {
        self.fields.push(VMStateField {
            name: name.as_ptr(),
            offset: self.cursor.take(size, 1),
            size,
            info,
            flags: bindings::VMStateFlags_VMS_SINGLE,
            ..Default::default()
        });
    }
}

impl StateVisitor for Describe {
    fn u8(&mut self, name: &'static CStr, _value: &mut u8) {
        let info = &raw const bindings::vmstate_info_uint8;
        self.number(name, size_of::<u8>(), info);
    }

    fn u32(&mut self, name: &'static CStr, _value: &mut u32) {
        let info = &raw const bindings::vmstate_info_uint32;
        self.number(name, size_of::<u32>(), info);
    }

    fn u64(&mut self, name: &'static CStr, _value: &mut u64) {
        let info = &raw const bindings::vmstate_info_uint64;
        self.number(name, size_of::<u64>(), info);
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.fields.push(VMStateField {
            name: name.as_ptr(),
            offset: self.cursor.take(size_of::<u32>(), values.len()),
            size: size_of::<u32>(),
            num: values.len() as c_int,
            info: &raw const bindings::vmstate_info_uint32,
            flags: bindings::VMStateFlags_VMS_ARRAY,
            ..Default::default()
        });
    }
}

/// The description of a PCI device's state: that of all PCI devices first, at the instance's start,
/// then the fields of `S`, which stand in the storage where `cursor` points.
pub fn description<S: State>(
    name: &'static CStr,
    cursor: Cursor,
    hooks: &Hooks,
) -> &'static bindings::VMStateDescription {
    let mut describe = Describe {
        cursor,
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
    describe
        .fields
        .push(unsafe { bindings::seam_end_of_vmstate() });
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
