// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's random numbers for guests.

use core::ffi::CStr;
use core::ptr;
use std::sync::Once;

use super::{bindings, error};

/// Fills `bytes` with the host's entropy or, under `-seed` and in record and replay, with repeatable bytes. Returns
/// false if there was none; the first time that is reported. Only to be called on the threads of QEMU's callbacks
/// (virtual CPUs, main loop): on a thread of one's own QEMU's source is not seeded, and asserts under replay. The BQL is
/// not needed.
pub fn fill(device: &CStr, path: &CStr, bytes: &mut [u8]) -> bool {
    static REPORTED: Once = Once::new();
    let mut errp: *mut bindings::Error = ptr::null_mut();
    // SAFETY: the slice is writable for its whole length, and the error is not set yet.
    let status = unsafe {
        bindings::qemu_guest_getrandom(bytes.as_mut_ptr().cast(), bytes.len(), &mut errp)
    };
    if status == 0 {
        return true;
    }
    REPORTED.call_once(|| {
        error::report(
            device,
            path,
            &"the host has no entropy to give (reported once)",
        );
    });
    // SAFETY: QEMU gave us the error, if it is one, to free.
    unsafe { bindings::error_free(errp) };
    false
}
