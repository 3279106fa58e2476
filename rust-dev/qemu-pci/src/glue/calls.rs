// SPDX-License-Identifier: GPL-2.0-or-later

//! Accesses, timers and resets, and how a device is called.

use core::ffi::{c_uint, c_void};
use core::fmt::{self, Display};

use super::bindings::{self, MemTxAttrs};
use super::cell::{self, Bql};
use super::device_ref::DeviceRef;
use super::error;
use super::hooked::Hooks;
use super::host::{QemuHost, QemuWork};
use super::instance::{Region, TimerSlot};
use super::interrupt::{self, Pending};
use crate::access::Access;
use crate::device::{self, Counter};
use crate::gate::Until;
use crate::host::AloneWork;
use crate::register::GuestError;

impl Region {
    /// For `MemoryRegionOps::read_with_attrs`.
    ///
    /// # Safety
    ///
    /// `opaque` is a region of a device `D`, and the caller holds the BQL.
    pub unsafe fn read<D: Hooks>(
        opaque: *mut c_void,
        offset: u64,
        size: c_uint,
        attrs: MemTxAttrs,
    ) -> u64 {
        let region = opaque.cast::<Self>();
        // SAFETY: as the caller guarantees; `init` wrote the fields.
        let (from, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        let mut value = 0;
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            value |= from.read(access, attrs) << shift;
        }
        value
    }

    /// For `MemoryRegionOps::write_with_attrs`.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    pub unsafe fn write<D: Hooks>(
        opaque: *mut c_void,
        offset: u64,
        value: u64,
        size: c_uint,
        attrs: MemTxAttrs,
    ) {
        let region = opaque.cast::<Self>();
        // SAFETY: as above.
        let (to, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            to.write(access, device::cut(value >> shift, access.size), attrs);
        }
    }
}

/// `QEMUTimer`'s callback.
///
/// # Safety
///
/// `opaque` is a slot of a device `D`, and the caller holds the BQL.
pub unsafe extern "C" fn expired<D: Hooks>(opaque: *mut c_void) {
    let slot = opaque.cast::<TimerSlot>();
    // SAFETY: as the caller guarantees; `init` wrote the fields.
    let (device, index) = unsafe { (DeviceRef::<D>::new((*slot).device), (*slot).index) };
    device.expired(index);
}

/// Who calls a device.
#[derive(Clone, Copy)]
pub enum Caller {
    /// An access with these attributes.
    Access(MemTxAttrs),
    /// Another caller, which keeps the BQL.
    Other,
    /// The same, and no work of the device may go on meanwhile.
    Whole,
}

impl<D: Hooks> DeviceRef<D> {
    /// For the enter phase of a reset.
    pub fn reset_enter(self) {
        self.call(Caller::Whole, |device, _| {
            // Both or none: a device that waits for a timer must have it running.
            self.stop_timers();
            device.reset();
        });
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.reset)(self.path_pointer()) };
    }

    /// For the exit phase of a reset.
    pub fn reset_exit(self) {
        self.call(Caller::Whole, |device, host| device.reset_exit(host));
    }

    fn expired(self, index: usize) {
        if let Some(Err(error)) = self.call(Caller::Other, |device, host| device.timer(host, index))
        {
            self.guest_error(&format_args!("timer {index}: {error}"));
        }
    }

    fn read(self, access: Access, attrs: MemTxAttrs) -> u64 {
        let caller = Caller::Access(attrs);
        let result = self.call(caller, |device, host| device::read(device, host, access));
        let value = match result {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.guest_error(&Bad {
                    access,
                    direction: "read",
                    error,
                });
                device::refused::<D>(access)
            }
            None => device::refused::<D>(access),
        };
        let Access { bar, offset, size } = access;
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.read)(self.path_pointer(), bar.into(), offset, size, value) };
        value
    }

    fn write(self, access: Access, value: u64, attrs: MemTxAttrs) {
        let Access { bar, offset, size } = access;
        // SAFETY: as above.
        unsafe { (D::TRACE.write)(self.path_pointer(), bar.into(), offset, size, value) };
        let caller = Caller::Access(attrs);
        let result = self.call(caller, |device, host| {
            device::write(device, host, access, value)
        });
        if let Some(Err(error)) = result {
            self.guest_error(&Bad {
                access,
                direction: "write",
                error,
            });
        }
    }

    /// A counter's value; 0 while the device is not realized.
    pub fn counter(self, counter: &Counter<D>) -> u64 {
        let shown = |device: &mut Option<D>| device.as_ref().map(counter.get);
        let value = self.enter(Caller::Other).then(|| self.device().with(shown));
        value.flatten().flatten().unwrap_or_default()
    }

    /// Calls the device, then does the work and sends the interrupts that it asked for. Drops the call, and reports that
    /// as a guest error, if another call on this device is running, the device is not realized, or the BQL is not held.
    pub fn call<R>(
        self,
        caller: Caller,
        f: impl FnOnce(&mut D, &mut QemuHost<'_, D>) -> R,
    ) -> Option<R> {
        // SAFETY: it is only used if the device is realized, and `with` has checked the BQL.
        let mut host = unsafe { QemuHost::new(self) };
        let result = self.enter(caller).then(|| {
            self.device().with(|device| {
                let is_callable = self.is_realized() && !self.is_sending_to_itself(caller);
                let device = device.as_mut().filter(|_| is_callable)?;
                Some(f(device, &mut host))
            })
        });
        let result = result.flatten().flatten();
        if let Some(work) = host.work.take() {
            self.run(caller, work);
        }
        if D::PARALLEL && self.gate().has_waiting() {
            self.gate().wake();
        }
        let Some(result) = result else {
            self.guest_error(&"access dropped: device busy, not realized, or BQL not held");
            return None;
        };
        if !host.pending.is_empty() {
            self.send(&mut host.pending);
        }
        Some(result)
    }

    /// Sends interrupts. The BQL is held all the time.
    fn send(self, pending: &mut Pending) {
        let before = self.sending().replace(true);
        while !pending.is_empty() && self.is_realized() {
            // SAFETY: it is realized, and not borrowed any more. The BQL is held.
            unsafe { interrupt::deliver(self.pci_device().as_ptr(), pending) };
        }
        self.sending().set(before);
    }

    /// Whether this access is a message of the device to its own BAR. It could send the next one, and so on without end.
    /// QEMU's guard refuses such accesses of other devices.
    fn is_sending_to_itself(self, caller: Caller) -> bool {
        D::PARALLEL && matches!(caller, Caller::Access(_)) && self.sending().get()
    }

    /// Waits until this caller may use the device. Returns false if that will not be.
    #[inline]
    pub fn enter(self, caller: Caller) -> bool {
        // The work of other devices never leaves their gate.
        !D::PARALLEL || self.gate().is_unused() || self.wait(caller)
    }

    #[cold]
    fn wait(self, caller: Caller) -> bool {
        if !cell::is_locked() {
            return false;
        }
        let pdev = self.pci_device().as_ptr();
        match caller {
            // SAFETY: the device exists, and the BQL is held.
            Caller::Access(attrs) if unsafe { bindings::seam_is_access_of_vcpu(pdev, attrs) } => {
                self.gate().queue(&Bql)
            }
            Caller::Access(_) | Caller::Other => self.gate().wait(Until::DeviceIsFree),
            Caller::Whole => self.gate().wait(Until::NoWork),
        }
    }

    /// Does the work that a call of the device asked for, without the BQL if that is possible.
    #[cold]
    fn run(self, caller: Caller, work: AloneWork<D, QemuWork<D>>) {
        // An unplug is possible even during the device's method.
        if !self.is_realized() {
            return;
        }
        let attrs = match caller {
            Caller::Access(attrs) if D::PARALLEL && self.parallel().get() => Some(attrs),
            _ => None,
        };
        let pdev = self.pci_device().as_ptr();
        // SAFETY: the device exists, and the BQL is held.
        let may_leave =
            attrs.is_some_and(|attrs| unsafe { bindings::seam_may_release_bql(pdev, attrs) });
        // SAFETY: until it is dropped, the work has left the gate during an access of a virtual CPU, which QEMU does in
        // an RCU critical section, and there is no IOMMU; or the BQL is held.
        let mut outside = unsafe { QemuWork::new(self) };
        let done = self.device().with(|device| {
            let device = device.as_mut()?;
            let left = may_leave.then(|| {
                let count = self.lock_releases();
                count.set(count.get() + 1);
                self.gate().leave(&Bql)
            });
            Some((work(device, &mut outside), left))
        });
        // The device is not borrowed any more, so the gate can let others use it.
        let Some((result, mut left)) = done.flatten() else {
            return;
        };
        if let Some(rest) = outside.rest.take() {
            if let Some(left) = &mut left {
                left.give_back();
            }
            rest(&mut outside);
        }
        drop(left);
        if let Err(error) = result {
            self.guest_error(&error);
        }
    }

    /// Counts a guest error, and logs and traces it if the user asked for that. If not, nothing is formatted or
    /// allocated, so that a guest cannot keep QEMU busy with it.
    fn guest_error(self, what: &dyn Display) {
        self.guest_error_count().with(|count| *count += 1);
        let logged = error::guest_errors_are_logged();
        // SAFETY: looks at variables of QEMU's; no precondition.
        let traced = unsafe { (D::TRACE.guest_error_is_traced)() };
        if !logged && !traced {
            return;
        }
        let what = error::c_text(what);
        if logged {
            error::log_guest_error(D::NAME, self.path(), &what);
        }
        if traced {
            // SAFETY: both are NUL-terminated texts.
            unsafe { (D::TRACE.guest_error)(self.path_pointer(), what.as_ptr()) };
        }
    }
}

/// A refused access, for the log.
struct Bad<E> {
    access: Access,
    direction: &'static str,
    error: GuestError<E>,
}

impl<E: Display> Display for Bad<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Access { bar, offset, size }, direction) = (self.access, self.direction);
        write!(
            f,
            "{size}-byte {direction} at offset {offset:#x} of BAR {bar}: {}",
            self.error
        )
    }
}
