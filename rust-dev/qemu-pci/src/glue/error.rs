// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's errors, reports and log.

use core::ffi::{CStr, c_int};
use core::fmt::Display;
use std::ffi::CString;

use super::bindings;

/// The text as a C string, without NUL bytes, which would end it early.
pub fn c_text(text: &dyn Display) -> CString {
    let mut bytes = text.to_string().into_bytes();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// Sets QEMU's error for the operation that failed. QEMU shows the text to the user who asked for it.
///
/// # Safety
///
/// `errp` is null, or points to an error that is not set, as QEMU's functions take it.
pub unsafe fn set(errp: *mut *mut bindings::Error, device: &CStr, text: &dyn Display) {
    let text = c_text(text);
    // SAFETY: the caller vouches for `errp`. The format takes two strings; these and the names are
    // NUL-terminated and live through the call, which copies the message and keeps only the names, which are
    // static.
    unsafe {
        bindings::error_setg_internal(
            errp,
            c"qemu-pci".as_ptr(),
            line!() as c_int,
            c"set".as_ptr(),
            c"%s: %s".as_ptr(),
            device.as_ptr(),
            text.as_ptr(),
        );
    }
}

/// Tells the user, on the monitor that gave the command or on standard error, as `device path: text`.
pub fn report(device: &CStr, path: &CStr, text: &dyn Display) {
    let text = c_text(text);
    // SAFETY: the format takes three strings, and all are NUL-terminated and live through the call.
    unsafe {
        bindings::error_report(
            c"%s %s: %s".as_ptr(),
            device.as_ptr(),
            path.as_ptr(),
            text.as_ptr(),
        );
    }
}

/// Whether `-d guest_errors` is on.
pub fn guest_errors_are_logged() -> bool {
    // SAFETY: reads a global of QEMU's; no precondition.
    unsafe { bindings::qemu_loglevel_mask(bindings::LOG_GUEST_ERROR as c_int) }
}

/// Logs a guest error, as a line `device path: what`.
pub fn log_guest_error(device: &CStr, path: &CStr, what: &CStr) {
    // SAFETY: the format takes three strings, and all are NUL-terminated and live through the call, which
    // copies them.
    unsafe {
        bindings::qemu_log(
            c"%s %s: %s\n".as_ptr(),
            device.as_ptr(),
            path.as_ptr(),
            what.as_ptr(),
        );
    }
}
