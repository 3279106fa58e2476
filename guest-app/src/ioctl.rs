// SPDX-License-Identifier: GPL-2.0-or-later

//! The driver's two ioctls: the only unsafe code of the app.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::abi::{IOCTL_RAND, IOCTL_SEED};

/// Takes the next number of the stream.
pub fn rand(node: BorrowedFd<'_>) -> io::Result<u32> {
    let mut word = 0_u32;
    // SAFETY: `word` is valid for the one u32 that the command stores, and outlives the call. A
    // node of another driver keeps to those four bytes too, for the command's number states them.
    let status = unsafe { libc::ioctl(node.as_raw_fd(), IOCTL_RAND as libc::Ioctl, &raw mut word) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(word)
}

/// Restarts the stream from `seed`.
pub fn seed(node: BorrowedFd<'_>, seed: u32) -> io::Result<()> {
    // SAFETY: `seed` is valid for the one u32 that the command reads, and outlives the call.
    let status =
        unsafe { libc::ioctl(node.as_raw_fd(), IOCTL_SEED as libc::Ioctl, &raw const seed) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
