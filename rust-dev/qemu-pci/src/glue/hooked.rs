// SPDX-License-Identifier: GPL-2.0-or-later

//! What the hooks of a device give to the generic code.

use core::ffi::{c_char, c_uint, c_void};

use super::bindings::{MemTxAttrs, MemTxResult, hwaddr};
use super::qemu_type::Type;
use crate::device::PciDevice;

/// `MemoryRegionOps::read_with_attrs`.
pub type ReadHook =
    Option<unsafe extern "C" fn(*mut c_void, hwaddr, *mut u64, c_uint, MemTxAttrs) -> MemTxResult>;
/// `MemoryRegionOps::write_with_attrs`.
pub type WriteHook =
    Option<unsafe extern "C" fn(*mut c_void, hwaddr, u64, c_uint, MemTxAttrs) -> MemTxResult>;

/// A device's trace events: the C functions that qemu-pci-build makes. Paths and texts are NUL-terminated.
pub struct Trace {
    /// The guest has read: BAR, offset, size, and the value.
    pub read: unsafe extern "C" fn(*const c_char, c_uint, u64, c_uint, u64),
    /// The guest writes: BAR, offset, size, and the value.
    pub write: unsafe extern "C" fn(*const c_char, c_uint, u64, c_uint, u64),
    /// The device was reset.
    pub reset: unsafe extern "C" fn(*const c_char),
    /// A guest error: its text.
    pub guest_error: unsafe extern "C" fn(*const c_char, *const c_char),
    /// Whether guest errors are traced.
    pub guest_error_is_traced: unsafe extern "C" fn() -> bool,
    /// One of the device's own events: its index, and its arguments.
    pub event: unsafe extern "C" fn(*const c_char, usize, *const u64),
}

/// A device with C functions, which [`hooks!`](crate::hooks!) makes.
pub trait Hooks: PciDevice {
    /// Its trace events.
    const TRACE: Trace;

    /// The type, made at the first call.
    fn qemu_type() -> &'static Type;
}
