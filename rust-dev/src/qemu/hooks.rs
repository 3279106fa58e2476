// SPDX-License-Identifier: GPL-2.0-or-later

//! The C functions that the shim names (`my-rng.h`), each a line to the generic code.
//!
//! No panic crosses into C: every profile of the workspace aborts on one.

use core::ffi::{c_uint, c_void};

use once_cell::sync::OnceCell;

use super::bindings::{
    self, Error, MemoryRegionOps, Object, ObjectClass, PCIDevice, ResetType, VMStateDescription,
    hwaddr,
};
use super::memory;
use super::pci::{self, ClassHooks, Device, Instance};
use crate::device::MyRng;

/// Keeps to the prototypes of `my-rng.h`, from which the left-hand functions come.
const _: () = {
    let _: [unsafe extern "C" fn() -> usize; 2] =
        [bindings::my_rng_instance_size, my_rng_instance_size];
    let _: [unsafe extern "C" fn(*mut Object); 4] = [
        bindings::my_rng_instance_init,
        my_rng_instance_init,
        bindings::my_rng_instance_finalize,
        my_rng_instance_finalize,
    ];
    let _: [unsafe extern "C" fn(*mut ObjectClass, *const VMStateDescription); 2] =
        [bindings::my_rng_class_init, my_rng_class_init];
    let _: [unsafe extern "C" fn(*mut PCIDevice, *mut *mut Error); 2] =
        [bindings::my_rng_realize, my_rng_realize];
    let _: [unsafe extern "C" fn(*mut Object, ResetType); 2] =
        [bindings::my_rng_reset_enter, my_rng_reset_enter];
    let _: [memory::ReadHook; 2] = [bindings::my_rng_mmio_read, my_rng_mmio_read];
    let _: [memory::WriteHook; 2] = [bindings::my_rng_mmio_write, my_rng_mmio_write];
};

/// `TypeInfo::instance_size`.
#[unsafe(no_mangle)]
pub extern "C" fn my_rng_instance_size() -> usize {
    Instance::<MyRng>::SIZE
}

/// `TypeInfo::instance_init`.
///
/// # Safety
///
/// `object` is a new object of the `my_rng` type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_instance_init(object: *mut Object) {
    // SAFETY: the type is registered with this instance's size, as a PCI device.
    unsafe { Instance::<MyRng>::init(object) }
}

/// `TypeInfo::instance_finalize`.
///
/// # Safety
///
/// `object` is a `my_rng` that nothing uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_instance_finalize(object: *mut Object) {
    // SAFETY: QEMU calls it once for each object that it initialized.
    unsafe { Instance::<MyRng>::finalize(object) }
}

/// `TypeInfo::class_init`.
///
/// # Safety
///
/// `class` is the new class of the `my_rng` type; `vmsd` points to a static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_class_init(
    class: *mut ObjectClass,
    vmsd: *const VMStateDescription,
) {
    let hooks = ClassHooks {
        realize: my_rng_realize,
        reset_enter: my_rng_reset_enter,
        vmsd,
    };
    // SAFETY: the type's parent is a PCI device, and the hooks are this type's.
    unsafe { pci::class_init::<MyRng>(class, &hooks) }
}

/// `PCIDeviceClass::realize`.
///
/// # Safety
///
/// `pdev` is a `my_rng`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_realize(pdev: *mut PCIDevice, _errp: *mut *mut Error) {
    // QEMU keeps the pointer, so the callbacks live in a static.
    static OPS: OnceCell<MemoryRegionOps> = OnceCell::new();
    let ops = OPS.get_or_init(|| memory::every_access(my_rng_mmio_read, my_rng_mmio_write));
    // SAFETY: the PCI device is an initialized `my_rng`, alive during the call, which QEMU makes with
    // its big lock held.
    if let Some(device) = unsafe { Device::<MyRng>::from_ptr(pdev) } {
        // SAFETY: QEMU calls this to realize the device.
        unsafe { device.realize(ops) };
    }
}

/// `ResettablePhases::enter`.
///
/// # Safety
///
/// `object` is a `my_rng`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_reset_enter(object: *mut Object, _type: ResetType) {
    // SAFETY: the object is an initialized `my_rng`, alive during the call, which QEMU makes with its
    // big lock held.
    if let Some(device) = unsafe { Device::<MyRng>::from_ptr(object) } {
        device.reset();
    }
}

/// `MemoryRegionOps::read`.
///
/// # Safety
///
/// `opaque` is a `my_rng`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_mmio_read(opaque: *mut c_void, addr: hwaddr, size: c_uint) -> u64 {
    // SAFETY: the region's opaque pointer is its device, alive as long as the region is. QEMU takes its
    // big lock around every access to a region, unless the region's device opts out.
    unsafe { Device::<MyRng>::from_ptr(opaque) }.map_or(0, |device| device.read(addr, size))
}

/// `MemoryRegionOps::write`.
///
/// # Safety
///
/// `opaque` is a `my_rng`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn my_rng_mmio_write(
    opaque: *mut c_void,
    addr: hwaddr,
    value: u64,
    size: c_uint,
) {
    // SAFETY: the region's opaque pointer is its device, alive as long as the region is. QEMU takes its
    // big lock around every access to a region, unless the region's device opts out.
    if let Some(device) = unsafe { Device::<MyRng>::from_ptr(opaque) } {
        device.write(addr, value, size);
    }
}
