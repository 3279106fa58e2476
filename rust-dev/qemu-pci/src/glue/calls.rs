// SPDX-License-Identifier: GPL-2.0-or-later

//! Accesses, timers and resets, and how a device is called.

use core::ffi::{c_uint, c_void};
use core::fmt::{self, Display};

use super::device_ref::DeviceRef;
use super::hooked::Hooks;
use super::host::QemuHost;
use super::instance::{Region, TimerSlot};
use super::{error, interrupt};
use crate::access::Access;
use crate::device;
use crate::register::GuestError;

impl Region {
    /// For `MemoryRegionOps::read`.
    ///
    /// # Safety
    ///
    /// `opaque` is a region of a device `D`, and the caller holds the BQL.
    pub unsafe fn read<D: Hooks>(opaque: *mut c_void, offset: u64, size: c_uint) -> u64 {
        let region = opaque.cast::<Self>();
        // SAFETY: as the caller guarantees; `init` wrote the fields.
        let (from, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        let mut value = 0;
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            value |= from.read(access) << shift;
        }
        value
    }

    /// For `MemoryRegionOps::write`.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    pub unsafe fn write<D: Hooks>(opaque: *mut c_void, offset: u64, value: u64, size: c_uint) {
        let region = opaque.cast::<Self>();
        // SAFETY: as above.
        let (to, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            to.write(access, device::cut(value >> shift, access.size));
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

impl<D: Hooks> DeviceRef<D> {
    /// For the enter phase of a reset.
    pub fn reset_enter(self) {
        self.call(|device, _| {
            // Both or none: a device that waits for a timer must have it running.
            self.stop_timers();
            device.reset();
        });
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.reset)(self.path_pointer()) };
    }

    /// For the exit phase of a reset.
    pub fn reset_exit(self) {
        self.call(|device, host| device.reset_exit(host));
    }

    fn expired(self, index: usize) {
        if let Some(Err(error)) = self.call(|device, host| device.timer(host, index)) {
            self.guest_error(&format_args!("timer {index}: {error}"));
        }
    }

    fn read(self, access: Access) -> u64 {
        let result = self.call(|device, host| device::read(device, host, access));
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

    fn write(self, access: Access, value: u64) {
        let Access { bar, offset, size } = access;
        // SAFETY: as above.
        unsafe { (D::TRACE.write)(self.path_pointer(), bar.into(), offset, size, value) };
        let result = self.call(|device, host| device::write(device, host, access, value));
        if let Some(Err(error)) = result {
            self.guest_error(&Bad {
                access,
                direction: "write",
                error,
            });
        }
    }

    /// Calls the device, and then sends the interrupts that it asked for. Drops the call, and reports that as a guest
    /// error, if another call on this device is running, the device is not realized, or the BQL is not held.
    pub fn call<R>(self, f: impl FnOnce(&mut D, &mut QemuHost<'_, D>) -> R) -> Option<R> {
        let called = self.device().with(|device| {
            let device = device.as_mut().filter(|_| self.is_realized())?;
            // SAFETY: it is realized, and `with` has checked the BQL.
            let mut host = unsafe { QemuHost::new(self) };
            let result = f(device, &mut host);
            Some((result, host.pending))
        });
        let Some((result, mut pending)) = called.flatten() else {
            self.guest_error(&"access dropped: device busy, not realized, or BQL not held");
            return None;
        };
        while !pending.is_empty() && self.is_realized() {
            // SAFETY: it is realized, and not borrowed any more. The BQL is held, or there would be no result.
            unsafe { interrupt::deliver(self.pci_device().as_ptr(), &mut pending) };
        }
        Some(result)
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
