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
use crate::host::{AloneWork, BesideWork, Host, Outside, Work};

/// QEMU, during one call of a device.
///
/// # Invariants
///
/// `device` was realized when this was made, and this thread holds the BQL for as long as `'a`.
pub struct QemuHost<'a, D: Hooks> {
    device: DeviceRef<D>,
    /// The work to do after the call.
    pub(super) work: Option<AloneWork<D, QemuWork<D>>>,
    /// The interrupts to send after that.
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
            work: None,
            pending: Pending::default(),
            locked: PhantomData,
        }
    }

    fn pdev(&self) -> NonNull<PCIDevice> {
        self.device.pci_device()
    }

    /// What a call may do as well as work.
    fn outside(&self) -> QemuWork<D> {
        // SAFETY: by the type's invariant the device was realized, and the BQL is held.
        unsafe { QemuWork::new(self.device) }
    }
}

/// QEMU, during work that may run without the BQL.
///
/// # Invariants
///
/// `device` was realized when this was made. Either this thread holds the BQL; or the work has left the device's gate,
/// this thread is in an RCU critical section, and there is no IOMMU before the device.
pub struct QemuWork<D: Hooks> {
    device: DeviceRef<D>,
    /// What is left to do without the device.
    pub(super) rest: Option<BesideWork<Self>>,
}

impl<D: Hooks> QemuWork<D> {
    /// QEMU for work of this device.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub unsafe fn new(device: DeviceRef<D>) -> Self {
        // INVARIANT: as the caller guarantees.
        Self { device, rest: None }
    }
}

impl<D: Hooks> Outside<D> for QemuWork<D> {
    // A `MappedRam` cannot be sent to another thread, so a device, which can, does not keep one.
    type Writable = MappedRam<false, true>;
    type Shared = MappedRam<true, true>;

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        random::fill(D::NAME, self.device.path(), bytes)
    }

    fn trace(&mut self, event: D::Event) {
        let (index, arguments) = event.parts();
        // SAFETY: the path is NUL-terminated, and the arguments are as many as the function takes at most. QEMU's
        // functions for trace events may be called from any thread.
        unsafe { (D::TRACE.event)(self.device.path_pointer(), index, arguments.as_ptr()) };
    }

    fn map_write(&mut self, address: u64, length: usize) -> Option<Self::Writable> {
        // SAFETY: by the type's invariant. The work drops it, as `Mapping` says.
        unsafe { MappedRam::new(self.device.pci_device(), address, length) }
    }

    fn map_shared(&mut self, address: u64, length: usize) -> Option<Self::Shared> {
        // SAFETY: as above.
        unsafe { MappedRam::new(self.device.pci_device(), address, length) }
    }
}

impl<D: Hooks> Work<D> for QemuWork<D> {
    fn run_beside(&mut self, rest: impl FnOnce(&mut Self) + 'static) {
        self.rest = Some(Box::new(rest));
    }
}

impl<D: Hooks> Outside<D> for QemuHost<'_, D> {
    type Writable = <QemuWork<D> as Outside<D>>::Writable;
    type Shared = <QemuWork<D> as Outside<D>>::Shared;

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        self.outside().random(bytes)
    }

    fn trace(&mut self, event: D::Event) {
        self.outside().trace(event);
    }

    fn map_write(&mut self, address: u64, length: usize) -> Option<Self::Writable> {
        self.outside().map_write(address, length)
    }

    fn map_shared(&mut self, address: u64, length: usize) -> Option<Self::Shared> {
        self.outside().map_shared(address, length)
    }
}

impl<D: Hooks> Host<D> for QemuHost<'_, D> {
    type Readable = MappedRam<true, false>;
    type Work = QemuWork<D>;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        // SAFETY: by the type's invariant.
        unsafe { dma::read(self.pdev(), address, bytes) }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        // SAFETY: by the type's invariant.
        unsafe { dma::write(self.pdev(), address, bytes) }
    }

    fn map_read(&mut self, address: u64, length: usize) -> Option<Self::Readable> {
        // SAFETY: by the type's invariant.
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

    fn run_alone(
        &mut self,
        work: impl FnOnce(&mut D, &mut QemuWork<D>) -> Result<(), D::Error> + 'static,
    ) {
        self.work = Some(Box::new(work));
    }
}
