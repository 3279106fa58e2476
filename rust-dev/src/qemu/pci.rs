// SPDX-License-Identifier: GPL-2.0-or-later

//! A [`PciModel`] as a QEMU PCI device.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::{self, NonNull};

use super::bindings;
use super::cell::BqlCell;
use super::log;
use crate::pci::PciModel;

/// What QEMU allocates for each device: its own part first, as QOM demands, then ours.
#[repr(C)]
pub struct Instance<M> {
    parent: bindings::PCIDevice,
    mmio: bindings::MemoryRegion,
    model: BqlCell<M>,
}

/// A device that QEMU made, by its address.
///
/// # Invariants
///
/// Points to an `Instance<M>` that lives as long as this does and whose `model` is initialized. QEMU
/// owns and changes the other fields at any time: only pointers to them are made, never references.
/// This thread holds QEMU's big lock, so that no other reaches the model.
pub struct Device<M> {
    instance: NonNull<Instance<M>>,
    model: PhantomData<M>,
}

impl<M: PciModel> Instance<M> {
    /// For `TypeInfo::instance_size`.
    pub const SIZE: usize = {
        // QOM aligns an instance as malloc does unless it is told otherwise.
        assert!(align_of::<Self>() <= 16, "set TypeInfo::instance_align");
        size_of::<Self>()
    };

    /// For `TypeInfo::instance_init`: puts the model into a new device.
    ///
    /// # Safety
    ///
    /// `object` is a new object of a type registered with `Self::SIZE` and a PCI device as parent.
    pub unsafe fn init(object: *mut bindings::Object) {
        let instance = object.cast::<Self>();
        // SAFETY: the object is as large as `Self` by the caller's word, so the field is within it;
        // what is written over is zeroes that need no drop.
        unsafe { ptr::addr_of_mut!((*instance).model).write(BqlCell::new(M::new())) };
    }

    /// For `TypeInfo::instance_finalize`: drops the model.
    ///
    /// # Safety
    ///
    /// `object` went through [`Self::init`], and nothing uses it any more.
    pub unsafe fn finalize(object: *mut bindings::Object) {
        let instance = object.cast::<Self>();
        // SAFETY: `init` wrote the field; QEMU finalizes an object once, when none refers to it.
        unsafe { ptr::addr_of_mut!((*instance).model).drop_in_place() };
    }
}

impl<M: PciModel> Device<M> {
    /// Takes the address of a device as any of QEMU's callbacks gives it: as an `Object`, a
    /// `PCIDevice` or a memory region's opaque pointer. `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// A pointer that is not null is to an `Instance<M>` that went through [`Instance::init`]. It is
    /// alive, and the caller holds QEMU's big lock, for as long as the result is used.
    pub unsafe fn from_ptr<T>(pointer: *mut T) -> Option<Self> {
        // INVARIANT: by the caller's word.
        NonNull::new(pointer.cast()).map(|instance| Self {
            instance,
            model: PhantomData,
        })
    }

    fn model(&self) -> &BqlCell<M> {
        // SAFETY: by the type's invariant the field is initialized and alive, and no other thread
        // reaches it; on this one it is only ever reached through shared references.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).model) }
    }

    /// For `PCIDeviceClass::realize`: registers the BAR.
    ///
    /// # Safety
    ///
    /// QEMU is realizing this device, for the first time since it was made or unrealized.
    pub unsafe fn realize(&self, ops: &'static bindings::MemoryRegionOps) {
        const {
            assert!(M::BAR.index < 6, "a PCI device has six BARs");
            assert!(M::BAR.size >= 16 && M::BAR.size.is_power_of_two());
        }
        let instance = self.instance.as_ptr();
        // SAFETY: both fields are within the live instance.
        let (pdev, mmio) = unsafe {
            (
                ptr::addr_of_mut!((*instance).parent),
                ptr::addr_of_mut!((*instance).mmio),
            )
        };
        // SAFETY: the region is part of the device, which owns it, and the opaque pointer is the
        // device itself, so neither outlives the other; `ops` and the name are static. By the
        // caller's word BARs may be registered now; index and size are legal by the assertions.
        unsafe {
            bindings::memory_region_init_io(
                mmio,
                instance.cast(),
                ops,
                instance.cast::<c_void>(),
                M::NAME.as_ptr(),
                M::BAR.size as u64,
            );
            bindings::pci_register_bar(
                pdev,
                M::BAR.index.into(),
                bindings::PCI_BASE_ADDRESS_SPACE_MEMORY as u8,
                mmio,
            );
        }
    }

    /// For the enter phase of a reset.
    pub fn reset(&self) {
        self.on_model(M::reset);
    }

    /// Runs `f` on the model. A callback that comes in the middle of another on the same device is a
    /// defect of the glue; it is told and dropped rather than let loose on a borrowed model.
    fn on_model<R>(&self, f: impl FnOnce(&mut M) -> R) -> Option<R> {
        let result = self.model().with(f);
        if result.is_none() {
            log::guest_error(M::NAME, &"re-entered, which is dropped");
        }
        result
    }

    /// For `MemoryRegionOps::read`.
    pub fn read(&self, offset: u64, size: u32) -> u64 {
        match self.on_model(|model| model.read(offset, size)) {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                log::guest_error(M::NAME, &error);
                0
            }
            None => 0,
        }
    }

    /// For `MemoryRegionOps::write`.
    pub fn write(&self, offset: u64, value: u64, size: u32) {
        if let Some(Err(error)) = self.on_model(|model| model.write(offset, value, size)) {
            log::guest_error(M::NAME, &error);
        }
    }
}

/// What the class of a device is filled with, beyond what its model says.
pub struct ClassHooks {
    /// Called to realize a device.
    pub realize: unsafe extern "C" fn(*mut bindings::PCIDevice, *mut *mut bindings::Error),
    /// Called in the enter phase of a reset.
    pub reset_enter: unsafe extern "C" fn(*mut bindings::Object, bindings::ResetType),
    /// The description of the device's state; static.
    pub vmsd: *const bindings::VMStateDescription,
}

/// For `TypeInfo::class_init`: fills in the class of the devices with model `M`.
///
/// # Safety
///
/// `class` is the new class of a type whose parent is a PCI device; `hooks` are of that type.
pub unsafe fn class_init<M: PciModel>(class: *mut bindings::ObjectClass, hooks: &ClassHooks) {
    // SAFETY: the class is one of a PCI device by the caller's word, which is all these casts ask for
    // (and check, in a QEMU built with such checks).
    let (device, pci, resettable) = unsafe {
        (
            bindings::DEVICE_CLASS(class.cast()),
            bindings::PCI_DEVICE_CLASS(class.cast()),
            bindings::RESETTABLE_CLASS(class.cast()),
        )
    };
    // SAFETY: nobody else uses a class while it is being initialized. The three lie over each other,
    // so they are written through the pointers, without references. The category is a bit of its
    // bitmap.
    unsafe {
        (*pci).realize = Some(hooks.realize);
        (*pci).vendor_id = M::IDENTITY.vendor_id;
        (*pci).device_id = M::IDENTITY.device_id;
        (*pci).revision = M::IDENTITY.revision;
        (*pci).class_id = M::IDENTITY.class;
        // The model's reset touches only the model, which is what the enter phase is for.
        (*resettable).phases.enter = Some(hooks.reset_enter);
        (*device).desc = M::DESCRIPTION.as_ptr();
        (*device).vmsd = hooks.vmsd;
        bindings::set_bit(
            bindings::DeviceCategory_DEVICE_CATEGORY_MISC.into(),
            ptr::addr_of_mut!((*device).categories).cast(),
        );
    }
}
