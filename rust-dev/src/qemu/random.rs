// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's random numbers for guests.

use core::ffi::CStr;
use core::ptr;
use std::sync::Once;

use super::{bindings, errors};

/// Entropy of the host's, or, under `-seed` and in record and replay, what stands in for it. To be
/// called where QEMU calls a device for its guest: on a virtual CPU's thread, mostly. Whether there
/// was any; that there was none is reported, the first time.
pub fn fill(device: &CStr, path: &CStr, bytes: &mut [u8]) -> bool {
    static REPORTED: Once = Once::new();
    let mut error: *mut bindings::Error = ptr::null_mut();
    // SAFETY: the slice is writable for its whole length, and the error is not set yet.
    let status = unsafe {
        bindings::qemu_guest_getrandom(bytes.as_mut_ptr().cast(), bytes.len(), &mut error)
    };
    if status == 0 {
        return true;
    }
    REPORTED.call_once(|| {
        errors::report(
            device,
            path,
            &"the host has no entropy to give (reported once)",
        );
    });
    // SAFETY: QEMU gave us the error, if it is one, to free.
    unsafe { bindings::error_free(error) };
    false
}
