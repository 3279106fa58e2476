// SPDX-License-Identifier: GPL-2.0-or-later

//! Interrupts.

use core::ffi::{c_int, c_uint};
use core::ptr;

use super::bindings::{self, Error, PCIDevice};
use crate::device::{Interrupts, MsiX};

/// The interrupt pin in configuration space: INTA.
const PIN: u8 = 1;
/// The most vectors that MSI has.
const MOST_MSI_VECTORS: c_uint = 32;

/// The interrupts that a device asked for during a call. They are sent after the call: the guest chooses the address
/// of an MSI, which may be a register of the same device.
#[derive(Default)]
pub struct Pending {
    /// The new level of the pin.
    pub level: Option<bool>,
    /// The vectors to send, one bit each.
    pub vectors: u64,
}

impl Pending {
    /// Whether there is nothing left to send.
    pub const fn is_empty(&self) -> bool {
        self.level.is_none() && self.vectors == 0
    }
}

/// Prepares a device for sending interrupts. Returns false, with `errp` set and nothing prepared, if it could not.
///
/// # Safety
///
/// QEMU is realizing the device, and gave `errp` for it.
pub unsafe fn init(pdev: *mut PCIDevice, interrupts: Interrupts, errp: *mut *mut Error) -> bool {
    if interrupts.msi > 0 {
        // SAFETY: as the caller guarantees; the offset 0 leaves the place of the capability to QEMU.
        let msi = |errp| unsafe {
            bindings::msi_init(pdev, 0, c_uint::from(interrupts.msi), true, false, errp)
        };
        // SAFETY: as above.
        if !unsafe { try_init(msi, interrupts.msi_required, errp) } {
            return false;
        }
    }
    if let Some(MsiX { vectors, bar }) = interrupts.msix {
        // SAFETY: as the caller guarantees.
        let msix =
            |errp| unsafe { bindings::msix_init_exclusive_bar(pdev, vectors.into(), bar, errp) };
        // SAFETY: as above.
        if !unsafe { try_init(msix, interrupts.msi_required, errp) } {
            // SAFETY: does nothing where there is no MSI.
            unsafe { bindings::msi_uninit(pdev) };
            return false;
        }
        // SAFETY: the device has MSI-X, if the machine has.
        for vector in (0..vectors).filter(|_| unsafe { bindings::seam_msix_present(pdev) }) {
            // SAFETY: the vector is one of the device's.
            unsafe { bindings::msix_vector_use(pdev, vector.into()) };
        }
    }
    if interrupts.pin {
        // SAFETY: the device has all of its configuration space by now.
        unsafe { *(*pdev).config.add(bindings::PCI_INTERRUPT_PIN as usize) = PIN };
    }
    true
}

/// Calls `init`. A machine without MSI is an error only if MSI is required.
///
/// # Safety
///
/// `errp` is as QEMU gives it, and `init` sets the error that it is given if it fails.
unsafe fn try_init(
    init: impl FnOnce(*mut *mut Error) -> c_int,
    required: bool,
    errp: *mut *mut Error,
) -> bool {
    let mut error = ptr::null_mut();
    let status = init(&mut error);
    if status >= 0 {
        return true;
    }
    let tolerable = !required && status == -(bindings::ENOTSUP as c_int);
    // SAFETY: `init` has set the error, which is passed on or freed.
    unsafe {
        if tolerable {
            bindings::error_free(error);
        } else {
            bindings::error_propagate(errp, error);
        }
    }
    tolerable
}

/// Undoes [`init`].
///
/// # Safety
///
/// QEMU is unrealizing the device.
pub unsafe fn exit(pdev: *mut PCIDevice) {
    // SAFETY: both do nothing without MSI or MSI-X.
    unsafe {
        bindings::msix_uninit_exclusive_bar(pdev);
        bindings::msi_uninit(pdev);
    }
}

/// Sends one of the interrupts that a device asked for, the pin's level first.
///
/// # Safety
///
/// The device is realized, none of its callbacks has it borrowed, and the caller holds the BQL. The device may not be
/// realized any more afterwards.
pub unsafe fn deliver(pdev: *mut PCIDevice, pending: &mut Pending) {
    // SAFETY: as the caller guarantees, here and below.
    let (msix, msi) = unsafe { (bindings::msix_enabled(pdev), bindings::msi_enabled(pdev)) };
    if let Some(level) = pending.level.take() {
        // With messages the pin stays low. It may have been high before the guest enabled them.
        let level = level && msix == 0 && !msi;
        // SAFETY: as above. QEMU asserts that there is a pin. It may be another one, or none, by a state that was
        // loaded.
        unsafe {
            if *(*pdev).config.add(bindings::PCI_INTERRUPT_PIN as usize) == PIN {
                bindings::pci_set_irq(pdev, level.into());
            }
        }
        return;
    }
    let vector = pending.vectors.trailing_zeros();
    pending.vectors &= pending.vectors.wrapping_sub(1);
    // SAFETY: as above. QEMU asserts that the vector is in the table of MSI-X, which can have fewer than MSI; or below
    // the power of two that is enabled for MSI, which can be fewer than the device has; and below 32, while a state
    // that was loaded can have 128 enabled.
    unsafe {
        if msix != 0 {
            let entries = (*pdev).msix_entries_nr as c_uint;
            bindings::msix_notify(pdev, vector.checked_rem(entries).unwrap_or_default());
        } else if msi {
            let enabled = bindings::msi_nr_vectors_allocated(pdev).min(MOST_MSI_VECTORS);
            bindings::msi_notify(pdev, vector & (enabled - 1));
        }
    }
}
