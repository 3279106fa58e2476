// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's type, as QEMU's class describes it.

use core::ffi::{CStr, c_char, c_void};
use core::mem::offset_of;
use core::ptr;

use super::bindings::{self, Error, MemoryRegionOps, Object, ObjectClass, Visitor};
use super::device_ref::DeviceRef;
use super::hooked::{Hooks, ReadHook, WriteHook};
use super::instance::Instance;
use super::property::{self, Slots};
use super::qemu_type::Type;
use super::{migration, vmstate};
use crate::device::Counter;
use crate::property::{Described, Property as _, PropertySet as _};

/// Describes the type of the devices `D`.
#[must_use]
pub fn describe<D: Hooks>(read: ReadHook, write: WriteHook) -> Type {
    Type {
        slots: Slots::new(size_of::<Instance<D>>(), properties::<D>()),
        state: vmstate::describe::<D::State>(
            D::NAME,
            &migration::callbacks::<D>(),
            offset_of!(Instance<D>, state),
            D::INTERRUPTS.msix.is_some(),
            (offset_of!(Instance<D>, deadlines), D::TIMERS),
        ),
        ops: every_access(read, write),
    }
}

/// The properties of the devices `D`; the last one is the kit's own, if there is one.
fn properties<D: Hooks>() -> Vec<Described> {
    let parallel = D::PARALLEL.then(|| Described {
        name: c"parallel",
        default: true.to_value(),
        help: "Whether it does longer work without QEMU's big lock".to_owned(),
        names: &[],
    });
    let mut properties = D::Properties::describe();
    properties.extend(parallel);
    properties
}

/// Callbacks that get every access of 1 to 8 bytes as it came, unaligned ones too; little-endian.
///
/// The kit checks accesses itself ([`Rules`](crate::Rules)) and leaves nothing to QEMU's memory core: the core turns
/// some bad accesses into good ones (it cuts an aligned word out of an unaligned 8-byte write), and its log of
/// refused accesses differs from version to version.
fn every_access(read: ReadHook, write: WriteHook) -> MemoryRegionOps {
    let mut ops = MemoryRegionOps {
        read_with_attrs: read,
        write_with_attrs: write,
        endianness: bindings::device_endian_DEVICE_LITTLE_ENDIAN,
        ..Default::default()
    };
    ops.valid.min_access_size = 1;
    ops.valid.max_access_size = 8;
    ops.valid.unaligned = true;
    ops.impl_.min_access_size = 1;
    ops.impl_.max_access_size = 8;
    ops.impl_.unaligned = true;
    ops
}

/// For `TypeInfo::class_init`: fills in the class of the devices `D`, except for its hooks.
///
/// # Safety
///
/// `class` is the new class of a type whose parent is a PCI device and whose instances are of
/// `Instance::<D>::size()` bytes.
pub unsafe fn class_init<D: Hooks>(class: *mut ObjectClass) {
    // SAFETY: the class is one of a PCI device as the caller guarantees, which is all that these casts ask for
    // (and check, in a QEMU built with such checks).
    let (device, pci) = unsafe {
        (
            bindings::DEVICE_CLASS(class.cast()),
            bindings::PCI_DEVICE_CLASS(class.cast()),
        )
    };
    let description = D::qemu_type();
    // SAFETY: nobody else uses a class while it is being initialized. The two pointers may lead to one object, so no
    // references are made of them. The category is a bit of its bitmap.
    unsafe {
        (*pci).vendor_id = D::IDENTITY.vendor_id;
        (*pci).device_id = D::IDENTITY.device_id;
        (*pci).revision = D::IDENTITY.revision;
        (*pci).class_id = D::IDENTITY.class;
        if let Some((vendor, id)) = D::IDENTITY.subsystem {
            (*pci).subsystem_vendor_id = vendor;
            (*pci).subsystem_id = id;
        }
        (*device).desc = D::DESCRIPTION.as_ptr();
        (*device).vmsd = description.state.description;
        bindings::set_bit(
            bindings::DeviceCategory_DEVICE_CATEGORY_MISC.into(),
            ptr::addr_of_mut!((*device).categories).cast(),
        );
        property::describe(device, &description.slots);
    }
    for counter in D::COUNTERS {
        let shown = Number::Own(counter);
        // SAFETY: the class is being initialized.
        unsafe { add_number::<D>(class, counter.name, counter.help, shown) };
    }
    let help = c"How many accesses were not as the device's specification allows";
    // SAFETY: as above.
    unsafe { add_number::<D>(class, c"guest-errors", help, Number::GuestErrors) };
    if D::PARALLEL {
        let help = c"How many times it worked without QEMU's big lock";
        // SAFETY: as above.
        unsafe { add_number::<D>(class, c"lock-releases", help, Number::LockReleases) };
    }
}

/// A read-only number that `qom-get` shows.
enum Number<D: 'static> {
    /// One of the device's own counters.
    Own(&'static Counter<D>),
    GuestErrors,
    LockReleases,
}

/// Adds a number to the class of the devices `D`.
///
/// # Safety
///
/// The class is being initialized.
unsafe fn add_number<D: Hooks>(
    class: *mut ObjectClass,
    name: &'static CStr,
    help: &'static CStr,
    number: Number<D>,
) {
    let (name, kind) = (name.as_ptr(), c"uint64".as_ptr());
    // QEMU keeps it as long as the class, which is for ever.
    let opaque = ptr::from_mut(Box::leak(Box::new(number))).cast();
    let get = Some(get::<D> as _);
    // SAFETY: as the caller guarantees; the texts and the number are static.
    unsafe {
        bindings::object_class_property_add(class, name, kind, get, None, None, opaque);
        bindings::object_class_property_set_description(class, name.cast(), help.as_ptr());
    }
}

/// Reads a number.
///
/// # Safety
///
/// As QEMU calls an `ObjectPropertyAccessor` that [`add_number`] added to the class of `D`.
unsafe extern "C" fn get<D: Hooks>(
    object: *mut Object,
    visitor: *mut Visitor,
    name: *const c_char,
    number: *mut c_void,
    errp: *mut *mut Error,
) {
    // SAFETY: as the caller guarantees; QEMU holds the BQL here. The value lives through the call.
    unsafe {
        let device = DeviceRef::<D>::new(object);
        let mut value = match &*number.cast::<Number<D>>() {
            Number::Own(counter) => device.counter(counter),
            Number::GuestErrors => device.guest_errors(),
            Number::LockReleases => device.lock_releases().get(),
        };
        bindings::visit_type_uint64(visitor, name, &mut value, errp);
    }
}
