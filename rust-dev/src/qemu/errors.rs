// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's errors and reports.

use core::ffi::{CStr, c_int};
use core::fmt::Display;
use core::ptr;
use std::ffi::CString;

use super::bindings;

/// The text as C wants it. A NUL in it, which no text of ours has, would end it early.
fn c_text(text: &dyn Display) -> CString {
    let mut bytes = text.to_string().into_bytes();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// Fails the operation that QEMU gave `errp` for, with a text that reaches whoever asked for it.
///
/// # Safety
///
/// `errp` is null, or points to an error that is not set, as QEMU's functions take it.
pub unsafe fn set(errp: *mut *mut bindings::Error, device: &CStr, text: &dyn Display) {
    let text = c_text(text);
    // SAFETY: the caller vouches for `errp`; the format takes two strings, and these and the names are
    // NUL-terminated and live through the call, which copies the message and keeps only the names,
    // which are static.
    unsafe {
        bindings::error_setg_internal(
            errp,
            c"rust-dev".as_ptr(),
            line!() as c_int,
            c"set".as_ptr(),
            c"%s: %s".as_ptr(),
            device.as_ptr(),
            text.as_ptr(),
        );
    }
}

/// Tells the user, on the monitor that gave the command or on standard error.
pub fn report(device: &CStr, text: &dyn Display) {
    let text = c_text(text);
    // SAFETY: the format takes two strings, and both are NUL-terminated and live through the call.
    unsafe { bindings::error_report(c"%s: %s".as_ptr(), device.as_ptr(), text.as_ptr()) };
}

/// Says under `-d guest_errors` what the guest did wrong, as `device: what` on a line of its own, and
/// gives `what` to `trace`.
pub fn guest_error(device: &CStr, what: &dyn Display, trace: impl FnOnce(&CStr)) {
    let what = c_text(what);
    // SAFETY: reads a global of QEMU's; no precondition.
    if unsafe { bindings::qemu_loglevel_mask(bindings::LOG_GUEST_ERROR as c_int) } {
        // SAFETY: the format takes two strings, and both are NUL-terminated and live through the
        // call, which copies them.
        unsafe { bindings::qemu_log(c"%s: %s\n".as_ptr(), device.as_ptr(), what.as_ptr()) };
    }
    trace(&what);
}

/// Entropy of the host's, or, under `-seed` and in record and replay, what stands in for it. To be
/// called where QEMU calls a device for its guest: on a virtual CPU's thread, mostly. Whether there
/// was any; that there was none is reported, the first time.
pub fn random(device: &CStr, bytes: &mut [u8]) -> bool {
    static REPORTED: std::sync::Once = std::sync::Once::new();
    let mut error: *mut bindings::Error = ptr::null_mut();
    // SAFETY: the slice is writable for its whole length, and the error is not set yet.
    let status = unsafe {
        bindings::qemu_guest_getrandom(bytes.as_mut_ptr().cast(), bytes.len(), &mut error)
    };
    if status == 0 {
        return true;
    }
    REPORTED.call_once(|| {
        report(
            device,
            &"the host has no entropy to give, and the guest reads 0 (reported once)",
        );
    });
    // SAFETY: QEMU gave us the error, if it is one, to free.
    unsafe { bindings::error_free(error) };
    false
}
