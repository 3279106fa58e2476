// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's registers, mapped through its BAR's file in sysfs.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use crate::abi::{BAR_SIZE, REG_FAILURES, REG_INFO, REG_RNG, REG_SEED, REG_SIZE};

/// A register; the value is its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    Rng = REG_RNG as isize,
    Seed = REG_SEED as isize,
    Info = REG_INFO as isize,
    Failures = REG_FAILURES as isize,
}

const _: () = assert!(REG_FAILURES + REG_SIZE <= BAR_SIZE && REG_SIZE == size_of::<u32>());

/// The mapped registers, unmapped on drop.
///
/// # Invariants
///
/// `start` points to a shared mapping of [`BAR_SIZE`] bytes, which can be read, and written if `is_writable`. They are
/// the BAR's, as its file begins with it.
#[derive(Debug)]
pub struct Registers {
    start: NonNull<u8>,
    is_writable: bool,
}

// SAFETY: The mapping belongs to the process, not to a thread, and any thread may unmap it.
unsafe impl Send for Registers {}

// SAFETY: Each access is a single instruction on a register. The device orders those of several threads.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps the file of a BAR that begins a page. It must be open for writing if `is_writable`.
    pub fn map(file: &File, is_writable: bool) -> io::Result<Self> {
        // An access beyond the end of a file would end the process.
        if file.metadata()?.len() < BAR_SIZE as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let write = if is_writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: With a null address the kernel chooses a free range, so no existing mapping is replaced.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                BAR_SIZE,
                libc::PROT_READ | write,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        // INVARIANT: `BAR_SIZE` bytes at `start` were just mapped so.
        Ok(Self { start, is_writable })
    }

    /// Reads a register.
    pub fn read(&self, register: Register) -> u32 {
        // SAFETY: By the type's invariant and the assertion above, the register is mapped readable. Its offset is a
        // multiple of four, and `start` is at the start of a page. Nobody has a reference to it.
        u32::from_le(unsafe { ptr::read_volatile(self.at(register)) })
    }

    /// Writes a register. Fails with `EBADF`, like the driver, if it was mapped for reading only.
    pub fn write(&self, register: Register, value: u32) -> io::Result<()> {
        if !self.is_writable {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: As in `read`, and it is mapped writable.
        unsafe { ptr::write_volatile(self.at(register), value.to_le()) };
        Ok(())
    }

    fn at(&self, register: Register) -> *mut u32 {
        self.start.as_ptr().wrapping_add(register as usize).cast()
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: `start` and the length are those of the mapping that `map` created, and nobody has a reference to
        // it. After an error it stays mapped, which is harmless.
        unsafe { libc::munmap(self.start.as_ptr().cast(), BAR_SIZE) };
    }
}

/// The size of a page, in bytes.
pub fn page_size() -> u64 {
    // SAFETY: The call touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It does not fail.
    u64::try_from(size).unwrap_or(1)
}

/// Locks a file until it is closed. Fails with `EWOULDBLOCK` if it is locked already.
pub fn lock(file: &File) -> io::Result<()> {
    // SAFETY: The descriptor is open, and the call touches no memory of ours.
    let status = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
