// SPDX-License-Identifier: GPL-2.0-or-later

//! Timers on the virtual clock.

use core::ffi::c_void;
use core::ptr::NonNull;

use super::bindings::{self, QEMUTimer};
use crate::device::NOT_RUNNING;

/// The virtual time, in nanoseconds.
pub fn now() -> u64 {
    // SAFETY: no precondition.
    let now = unsafe { bindings::qemu_clock_get_ns(bindings::QEMUClockType_QEMU_CLOCK_VIRTUAL) };
    u64::try_from(now).unwrap_or_default()
}

/// A timer of a device, by its address.
///
/// # Invariants
///
/// Points to a timer that went through [`Timer::init`] and lives as long as this does. This thread holds the BQL.
#[derive(Clone, Copy)]
pub struct Timer(NonNull<QEMUTimer>);

impl Timer {
    /// Makes a timer that calls `expired` with `opaque`. It is not running.
    ///
    /// # Safety
    ///
    /// `timer` points to memory for a timer, which does not move or end while the timer runs.
    /// `expired` may be called with `opaque` whenever the timer runs.
    pub unsafe fn init(
        timer: *mut QEMUTimer,
        expired: unsafe extern "C" fn(*mut c_void),
        opaque: *mut c_void,
    ) {
        let clock = bindings::QEMUClockType_QEMU_CLOCK_VIRTUAL;
        // SAFETY: as the caller guarantees.
        unsafe { bindings::timer_init_ns(timer, clock, Some(expired), opaque) };
    }

    /// The timer at this address.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub const unsafe fn from_ptr(timer: NonNull<QEMUTimer>) -> Self {
        // INVARIANT: as the caller guarantees.
        Self(timer)
    }

    /// Starts or moves the timer, or stops it if `deadline` is [`NOT_RUNNING`].
    pub fn set(self, deadline: u64) {
        // SAFETY: the timer is initialized, by the invariant.
        unsafe {
            match deadline {
                NOT_RUNNING => bindings::timer_del(self.0.as_ptr()),
                _ => bindings::timer_mod(
                    self.0.as_ptr(),
                    i64::try_from(deadline).unwrap_or(i64::MAX),
                ),
            }
        }
    }

    /// When it is due, or [`NOT_RUNNING`].
    pub fn deadline(self) -> u64 {
        // SAFETY: the timer is initialized, by the invariant.
        unsafe {
            if bindings::timer_pending(self.0.as_ptr()) {
                bindings::timer_expire_time_ns(self.0.as_ptr())
            } else {
                NOT_RUNNING
            }
        }
    }
}
