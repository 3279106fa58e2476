// SPDX-License-Identifier: GPL-2.0-or-later

//! Memory regions.

use core::ffi::{c_uint, c_void};

use super::bindings;

/// Called when the guest reads.
pub type ReadHook = unsafe extern "C" fn(*mut c_void, bindings::hwaddr, c_uint) -> u64;
/// Called when the guest writes.
pub type WriteHook = unsafe extern "C" fn(*mut c_void, bindings::hwaddr, u64, c_uint);

/// Access callbacks that see every access of 1 to 4 bytes as it came, unaligned ones too, and a
/// longer one as pieces of 4 bytes from the low address up; little-endian.
///
/// What is no access to the device is for the model to say, not for QEMU's memory core: the core
/// would turn some bad accesses into good ones (an aligned word cut out of an unaligned 8-byte
/// write), and logs its own refusals differently from version to version.
pub fn every_access(read: ReadHook, write: WriteHook) -> bindings::MemoryRegionOps {
    let mut ops = bindings::MemoryRegionOps {
        read: Some(read),
        write: Some(write),
        endianness: bindings::device_endian_DEVICE_LITTLE_ENDIAN,
        ..Default::default()
    };
    ops.valid.min_access_size = 1;
    ops.valid.max_access_size = 8;
    ops.valid.unaligned = true;
    ops.impl_.min_access_size = 1;
    ops.impl_.max_access_size = 4;
    ops.impl_.unaligned = true;
    ops
}
