// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's state as QEMU's `VMStateDescription`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use std::ffi::CString;

use super::bindings::{
    self, JSONWriter, QEMUFile, VMStateDescription, VMStateField, VMStateFlags, VMStateInfo,
};
use crate::state::{
    Bounded, MAX_SUBSECTIONS, Scalar, ScalarKind, StateFields, StateVisitor, Subsection,
};

/// What a callback of the saved state returns on failure.
pub const INVALID: c_int = -(bindings::EINVAL as c_int);

/// What QEMU calls on a device before it saves it, and before and after it loads it.
pub struct Callbacks {
    /// Puts the device's state into the storage that QEMU saves.
    pub pre_save: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// Fills the storage with defaults.
    pub pre_load: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// Takes the state from the storage.
    pub post_load: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    /// For each subsection: whether it is present in the storage.
    pub needed: [unsafe extern "C" fn(*mut c_void) -> bool; MAX_SUBSECTIONS],
    /// For each subsection: marks it as present, after it was loaded.
    pub arrived: [unsafe extern "C" fn(*mut c_void, c_int) -> c_int; MAX_SUBSECTIONS],
}

/// A state's description, and the offsets of the flags that say which subsections are present.
#[derive(Debug)]
pub struct StateDescription {
    /// For `DeviceClass::vmsd`.
    pub description: &'static VMStateDescription,
    /// Offsets in bytes, from the start of the instance.
    pub present: Vec<usize>,
}

// SAFETY: a description is not changed after it was made, and all that it points to is static.
unsafe impl Send for StateDescription {}
// SAFETY: as above.
unsafe impl Sync for StateDescription {}

fn info(kind: ScalarKind) -> *const VMStateInfo {
    match kind {
        ScalarKind::Bool => &raw const bindings::vmstate_info_bool,
        ScalarKind::U8 => &raw const bindings::vmstate_info_uint8,
        ScalarKind::U16 => &raw const bindings::vmstate_info_uint16,
        ScalarKind::U32 => &raw const bindings::vmstate_info_uint32,
        ScalarKind::U64 => &raw const bindings::vmstate_info_uint64,
        ScalarKind::I8 => &raw const bindings::vmstate_info_int8,
        ScalarKind::I16 => &raw const bindings::vmstate_info_int16,
        ScalarKind::I32 => &raw const bindings::vmstate_info_int32,
        ScalarKind::I64 => &raw const bindings::vmstate_info_int64,
    }
}

/// The count of a [`Bounded`]. It has to be checked before the elements are read: QEMU would read as many as it says.
static COUNT: Shared = Shared(VMStateInfo {
    name: c"uint32 with bound".as_ptr(),
    get: Some(get_count),
    put: Some(put_count),
});

struct Shared(VMStateInfo);

// SAFETY: it is not changed, and all that it points to is static.
unsafe impl Sync for Shared {}

/// `VMStateInfo::get`: refuses a count above the bound, which is kept in the field's `num`.
unsafe extern "C" fn get_count(
    file: *mut QEMUFile,
    place: *mut c_void,
    _size: usize,
    field: *const VMStateField,
) -> c_int {
    // SAFETY: QEMU calls it to load this field, with its own file; `place` is the count's in the storage.
    unsafe {
        let count = bindings::qemu_get_be32(file);
        if i64::from(count) > i64::from((*field).num) {
            return INVALID;
        }
        ptr::write(place.cast::<u32>(), count);
    }
    0
}

/// `VMStateInfo::put`.
unsafe extern "C" fn put_count(
    file: *mut QEMUFile,
    place: *mut c_void,
    _size: usize,
    _field: *const VMStateField,
    _description: *mut JSONWriter,
) -> c_int {
    // SAFETY: as in `get_count`.
    unsafe { bindings::qemu_put_be32(file, ptr::read(place.cast::<u32>())) };
    0
}

/// Describes the fields of a struct. The offset of each follows from its address in a sample of the struct, so a
/// `StateFields` cannot describe a field with a wrong offset or type.
struct Describe<'a> {
    /// The address and the size of the sample.
    sample: (usize, usize),
    /// The struct's own offset, from where QEMU counts.
    offset: usize,
    /// The struct's name, for those within it.
    name: &'a CStr,
    oldest: u8,
    since: u8,
    fields: Vec<VMStateField>,
    /// Set for the outermost struct only.
    callbacks: Option<&'a Callbacks>,
    subsections: Vec<*const VMStateDescription>,
    present: Vec<usize>,
}

impl<'a> Describe<'a> {
    fn new<S: StateFields>(
        sample: &S,
        name: &'a CStr,
        offset: usize,
        callbacks: Option<&'a Callbacks>,
    ) -> Self {
        Self {
            sample: (ptr::from_ref(sample).addr(), size_of::<S>()),
            offset,
            name,
            oldest: S::OLDEST,
            since: S::OLDEST,
            fields: Vec::new(),
            callbacks,
            subsections: Vec::new(),
            present: Vec::new(),
        }
    }

    /// The offset of a part of the sample.
    fn place<T: ?Sized>(&self, part: &T) -> usize {
        let (start, size) = self.sample;
        let at = ptr::from_ref(part).addr().wrapping_sub(start);
        let inside = at
            .checked_add(size_of_val(part))
            .is_some_and(|end| end <= size);
        assert!(
            inside,
            "{:?} shows a value that is not one of its fields",
            self.name
        );
        self.offset + at
    }

    fn add(&mut self, field: VMStateField) {
        self.fields.push(VMStateField {
            // 0: every version has it.
            version_id: if self.since > self.oldest {
                self.since.into()
            } else {
                0
            },
            ..field
        });
    }

    fn add_scalars<T: Scalar>(
        &mut self,
        name: &'static CStr,
        values: &[T],
        flags: VMStateFlags,
        num_offset: usize,
    ) {
        self.add(VMStateField {
            name: name.as_ptr(),
            offset: self.place(values),
            size: size_of::<T>(),
            num: values.len() as c_int,
            num_offset,
            info: info(T::KIND),
            flags,
            ..Default::default()
        });
    }

    fn name_within(&self, name: &CStr) -> &'static CStr {
        leak_name([self.name.to_bytes(), b"/", name.to_bytes()].concat())
    }
}

impl StateVisitor for Describe<'_> {
    fn since(&mut self, version: u8) {
        self.since = version;
    }

    fn scalars<T: Scalar>(&mut self, name: &'static CStr, values: &mut [T]) {
        self.add_scalars(name, values, flags(values.len()), 0);
    }

    fn structs<S: StateFields>(&mut self, name: &'static CStr, values: &mut [S]) {
        const {
            assert!(
                S::VERSION == 1,
                "only the outermost struct of a state has versions"
            )
        };
        let (offset, num) = (self.place(values), values.len());
        let Some(sample) = values.first_mut() else {
            return;
        };
        let full_name = self.name_within(name);
        self.add(VMStateField {
            name: name.as_ptr(),
            offset,
            size: size_of::<S>(),
            num: num as c_int,
            vmsd: leak(VMStateDescription {
                name: full_name.as_ptr(),
                version_id: 1,
                minimum_version_id: 1,
                fields: inner_fields(sample, full_name, 0),
                ..Default::default()
            }),
            flags: bindings::VMStateFlags_VMS_STRUCT | flags(num),
            ..Default::default()
        });
    }

    fn bounded<T: Scalar, const N: usize>(
        &mut self,
        name: &'static CStr,
        value: &mut Bounded<T, N>,
    ) {
        let num_offset = self.place(&value.count);
        let count_name = [name.to_bytes(), b"_count"].concat();
        self.add(VMStateField {
            name: leak_name(count_name).as_ptr(),
            offset: num_offset,
            size: size_of::<u32>(),
            num: N as c_int,
            info: &raw const COUNT.0,
            flags: bindings::VMStateFlags_VMS_SINGLE,
            ..Default::default()
        });
        let flags = bindings::VMStateFlags_VMS_VARRAY_UINT32;
        self.add_scalars(name, &value.values, flags, num_offset);
    }

    fn subsection<S: StateFields>(&mut self, name: &'static CStr, value: &mut Subsection<S>) {
        let index = self.subsections.len();
        let callbacks = self.callbacks.and_then(|callbacks| {
            Some((
                *callbacks.needed.get(index)?,
                *callbacks.arrived.get(index)?,
            ))
        });
        let Some((needed, arrived)) = callbacks else {
            panic!(
                "{:?}: only the outermost struct of a state has subsections, 4 at most",
                self.name
            );
        };
        self.present.push(self.place(&value.present));
        let (full_name, offset) = (self.name_within(name), self.place(&value.value));
        self.subsections.push(leak(VMStateDescription {
            name: full_name.as_ptr(),
            version_id: S::VERSION.into(),
            minimum_version_id: S::OLDEST.into(),
            needed: Some(needed),
            post_load: Some(arrived),
            fields: inner_fields(&mut value.value, full_name, offset),
            ..Default::default()
        }));
    }
}

/// The fields of a struct within another one. Their offsets count from `offset`.
fn inner_fields<S: StateFields>(sample: &mut S, name: &CStr, offset: usize) -> *const VMStateField {
    let mut inner = Describe::new(sample, name, offset, None);
    sample.visit(&mut inner);
    leak_fields(inner.fields)
}

/// The flags of a field with so many elements. In a stream, an array of one is the same as a single value.
const fn flags(elements: usize) -> VMStateFlags {
    match elements {
        1 => bindings::VMStateFlags_VMS_SINGLE,
        _ => bindings::VMStateFlags_VMS_ARRAY,
    }
}

/// QEMU keeps descriptions for ever, as it keeps classes.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn leak_name(name: Vec<u8>) -> &'static CStr {
    Box::leak(CString::new(name).unwrap_or_default().into_boxed_c_str())
}

fn leak_fields(mut fields: Vec<VMStateField>) -> *const VMStateField {
    // SAFETY: no precondition.
    fields.push(unsafe { bindings::seam_end_of_vmstate() });
    Box::leak(fields.into_boxed_slice()).as_ptr()
}

/// Describes the state of a PCI device: QEMU's own part of it, MSI-X if the device can have it, the fields of `S`,
/// whose storage is at `offset`, and `timers` deadlines at `deadlines`.
pub fn describe<S: StateFields>(
    name: &'static CStr,
    callbacks: &Callbacks,
    offset: usize,
    has_msix: bool,
    (deadlines, timers): (usize, usize),
) -> StateDescription {
    let mut sample = Box::new(S::default());
    let mut describe = Describe::new(&*sample, name, offset, Some(callbacks));
    describe.since = S::OLDEST;
    let part_of_qemu = |name: &'static CStr, vmsd| VMStateField {
        name: name.as_ptr(),
        vmsd,
        size: size_of::<bindings::PCIDevice>(),
        flags: bindings::VMStateFlags_VMS_STRUCT,
        ..Default::default()
    };
    describe.add(part_of_qemu(
        c"parent_obj",
        &raw const bindings::vmstate_pci_device,
    ));
    if has_msix {
        describe.add(part_of_qemu(c"msix", &raw const bindings::vmstate_msix));
    }
    sample.visit(&mut describe);
    describe.since = S::OLDEST;
    if timers > 0 {
        describe.add(VMStateField {
            name: c"timers".as_ptr(),
            offset: deadlines,
            size: size_of::<u64>(),
            num: timers as c_int,
            info: info(ScalarKind::U64),
            flags: bindings::VMStateFlags_VMS_ARRAY,
            ..Default::default()
        });
    }
    let mut subsections = describe.subsections;
    if !subsections.is_empty() {
        subsections.push(ptr::null());
    }
    StateDescription {
        description: leak(VMStateDescription {
            name: name.as_ptr(),
            version_id: S::VERSION.into(),
            minimum_version_id: S::OLDEST.into(),
            pre_save: Some(callbacks.pre_save),
            pre_load: Some(callbacks.pre_load),
            post_load: Some(callbacks.post_load),
            fields: leak_fields(describe.fields),
            subsections: match subsections.as_slice() {
                [] => ptr::null_mut(),
                _ => Box::leak(subsections.into_boxed_slice()).as_mut_ptr(),
            },
            ..Default::default()
        }),
        present: describe.present,
    }
}
