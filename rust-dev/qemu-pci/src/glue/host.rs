// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU as a [`Host`].

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::bindings::PCIDevice;
use super::device_ref::DeviceRef;
use super::dma::{self, MappedRam};
use super::hooked::Hooks;
use super::interrupt::Pending;
use super::{random, timer};
use crate::device;
use crate::event::TraceEvents;
use crate::host::Host;

/// QEMU, during one call of a device.
///
/// # Invariants
///
/// `device` was realized when this was made, and this thread holds the BQL for as long as `'a`.
pub struct QemuHost<'a, D: Hooks> {
    device: DeviceRef<D>,
    /// The interrupts to send after the call.
    pub pending: Pending,
    locked: PhantomData<&'a ()>,
}

impl<'a, D: Hooks> QemuHost<'a, D> {
    /// QEMU for a call of this device.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub unsafe fn new(device: DeviceRef<D>) -> Self {
        // INVARIANT: as the caller guarantees.
        Self {
            device,
            pending: Pending::default(),
            locked: PhantomData,
        }
    }

    fn pdev(&self) -> NonNull<PCIDevice> {
        self.device.pci_device()
    }
}

impl<'a, D: Hooks> Host<D> for QemuHost<'a, D> {
    type Readable = MappedRam<'a, false>;
    type Writable = MappedRam<'a, true>;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        // SAFETY: by the type's invariant.
        unsafe { dma::read(self.pdev(), address, bytes) }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        // SAFETY: by the type's invariant.
        unsafe { dma::write(self.pdev(), address, bytes) }
    }

    fn map_read(&mut self, address: u64, length: usize) -> Option<Self::Readable> {
        // SAFETY: by the type's invariant; the result lives no longer than the lock is held.
        unsafe { MappedRam::new(self.pdev(), address, length) }
    }

    fn map_write(&mut self, address: u64, length: usize) -> Option<Self::Writable> {
        // SAFETY: as above.
        unsafe { MappedRam::new(self.pdev(), address, length) }
    }

    fn interrupt(&mut self, vector: u16) {
        self.pending.level = Some(true);
        self.pending.vectors |= 1_u64.checked_shl(vector.into()).unwrap_or_default();
    }

    fn lower(&mut self) {
        self.pending.level = Some(false);
    }

    fn now(&mut self) -> u64 {
        timer::now()
    }

    fn start_timer(&mut self, timer: usize, delay: u64) {
        let deadline = timer::now().saturating_add(device::delay::<D>(delay));
        // After an unplug nothing would stop it.
        if self.device.is_realized() {
            self.device.set_timer(timer, deadline);
        }
    }

    fn stop_timer(&mut self, timer: usize) {
        self.device.set_timer(timer, device::NOT_RUNNING);
    }

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        random::fill(D::NAME, self.device.path(), bytes)
    }

    fn trace(&mut self, event: D::Event) {
        let (index, arguments) = event.parts();
        // SAFETY: the path is NUL-terminated, and the arguments are as many as the function takes at most.
        unsafe { (D::TRACE.event)(self.device.path_pointer(), index, arguments.as_ptr()) };
    }
}
