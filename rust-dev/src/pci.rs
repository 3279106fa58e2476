// SPDX-License-Identifier: GPL-2.0-or-later

//! What a device model says of itself to become a PCI device with one memory BAR.
//!
//! The glue to QEMU is written against this trait alone; a model that implements it never sees a
//! pointer.

use core::ffi::CStr;
use core::fmt;

/// How a device presents itself in PCI configuration space.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Vendor id.
    pub vendor_id: u16,
    /// Device id.
    pub device_id: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code: class in the high byte, subclass in the low byte.
    pub class: u16,
}

/// A 32-bit, non-prefetchable memory BAR.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBar {
    /// Which of the six base address registers.
    pub index: u8,
    /// Size in bytes, a power of two and at least 16.
    pub size: usize,
}

/// A model of a PCI device.
///
/// QEMU calls all methods with its big lock held, so never two at a time. They run while a virtual
/// CPU waits: they must end soon, whatever the guest asks for.
pub trait PciModel: Sized + 'static {
    /// The name under which QEMU shows the device's memory and logs for it.
    const NAME: &'static CStr;
    /// One line for `-device help`.
    const DESCRIPTION: &'static CStr;
    /// The ids in configuration space.
    const IDENTITY: Identity;
    /// Where the registers stand.
    const BAR: MemoryBar;

    /// What the guest did wrong, for people who read `-d guest_errors`.
    type GuestError: fmt::Display;

    /// The device as it is when power comes on.
    fn new() -> Self;

    /// Takes the device back to its state at power-on.
    fn reset(&mut self);

    /// The guest reads `size` bytes (1 to 4) at `offset` into the BAR; `offset` may be unaligned. An
    /// error is logged, and the guest reads 0.
    ///
    /// # Errors
    ///
    /// When no such read is defined.
    fn read(&mut self, offset: u64, size: u32) -> Result<u64, Self::GuestError>;

    /// The guest writes the low `size` bytes (1 to 4) of `value` at `offset` into the BAR; `offset`
    /// may be unaligned. An error is logged, and the write is dropped.
    ///
    /// # Errors
    ///
    /// When no such write is defined.
    fn write(&mut self, offset: u64, value: u64, size: u32) -> Result<(), Self::GuestError>;
}
