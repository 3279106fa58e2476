// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's type, as QEMU's class describes it.

use core::ffi::{c_char, c_void};
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
use crate::property::PropertySet as _;

/// Describes the type of the devices `D`.
#[must_use]
pub fn describe<D: Hooks>(read: ReadHook, write: WriteHook) -> Type {
    Type {
        slots: Slots::new(size_of::<Instance<D>>(), D::Properties::describe()),
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

/// Callbacks that get every access of 1 to 8 bytes as it came, unaligned ones too; little-endian.
///
/// The kit checks accesses itself ([`Rules`](crate::Rules)) and leaves nothing to QEMU's memory core: the core turns
/// some bad accesses into good ones (it cuts an aligned word out of an unaligned 8-byte write), and its log of
/// refused accesses differs from version to version.
fn every_access(read: ReadHook, write: WriteHook) -> MemoryRegionOps {
    let mut ops = MemoryRegionOps {
        read,
        write,
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
    let help = c"How many accesses were not as the device's specification allows";
    let guest_errors = (c"guest-errors", help, ptr::null());
    let own = D::COUNTERS.iter();
    let own = own.map(|counter| (counter.name, counter.help, ptr::from_ref(counter)));
    for (name, help, counter) in own.chain([guest_errors]) {
        let (name, kind) = (name.as_ptr(), c"uint64".as_ptr());
        let opaque = counter.cast_mut().cast();
        // SAFETY: the class is being initialized, and the texts and the counter are static.
        unsafe {
            bindings::object_class_property_add(
                class,
                name,
                kind,
                Some(get::<D>),
                None,
                None,
                opaque,
            );
            bindings::object_class_property_set_description(class, name, help.as_ptr());
        }
    }
}

/// Reads one of a device's counters, or the number of its guest errors where `counter` is null.
///
/// # Safety
///
/// As QEMU calls an `ObjectPropertyAccessor` that was added to the class of `D` with null or a `Counter<D>`.
unsafe extern "C" fn get<D: Hooks>(
    object: *mut Object,
    visitor: *mut Visitor,
    name: *const c_char,
    counter: *mut c_void,
    errp: *mut *mut Error,
) {
    // SAFETY: as the caller guarantees; QEMU holds the BQL here. The value lives through the call.
    unsafe {
        let device = DeviceRef::<D>::new(object);
        let mut value = match counter.cast::<Counter<D>>().as_ref() {
            Some(counter) => device.counter(counter),
            None => device.guest_errors(),
        };
        bindings::visit_type_uint64(visitor, name, &mut value, errp);
    }
}
