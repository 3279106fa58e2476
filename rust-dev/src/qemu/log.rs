// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's log.

use core::ffi::{CStr, c_int};
use core::fmt::Display;
use std::ffi::CString;

use super::bindings;

/// Says under `-d guest_errors` what the guest did wrong, as `device: what` on a line of its own.
pub fn guest_error(device: &CStr, what: &dyn Display) {
    // SAFETY: reads a global of QEMU's; no precondition.
    if !unsafe { bindings::qemu_loglevel_mask(bindings::LOG_GUEST_ERROR as c_int) } {
        return;
    }
    // A message of ours has no NUL inside; one that had would be dropped rather than cut.
    if let Ok(what) = CString::new(what.to_string()) {
        // SAFETY: the format takes two strings, and both are NUL-terminated and live through the
        // call, which copies them.
        unsafe { bindings::qemu_log(c"%s: %s\n".as_ptr(), device.as_ptr(), what.as_ptr()) };
    }
}
