// SPDX-License-Identifier: GPL-2.0-or-later

//! An open file of the driver's node: its ioctls, and the mapped memory that the device fills.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;

use crate::abi::{BULK_MAX_BYTES, IOCTL_FILL, IOCTL_RAND, IOCTL_SEED, REG_SIZE};

/// What a device is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// An open file, and its mapped memory once `map` has succeeded.
///
/// # Invariants
///
/// The file's only mapping is `memory`, and only `fill` has the driver write there. Others get the descriptor by
/// `as_fd`, but mapping and ioctls need unsafe code, and its documentation forbids both.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    memory: Option<Memory>,
}

impl OpenFile {
    /// Opens the node at `path`.
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::ReadWrite)
            .open(path)?;
        // INVARIANT: The file was just opened, close-on-exec, and is not mapped yet.
        Ok(Self { file, memory: None })
    }

    /// The descriptor's number, for `/proc/self/fdinfo`.
    pub fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Calls the file's `read()`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Takes the next number of the stream.
    pub fn rand(&self) -> io::Result<u32> {
        let mut word = 0_u32;
        let node = self.file.as_raw_fd();
        // SAFETY: The command writes one u32, for which `word` is valid, and `word` outlives the call. Another
        // driver also writes no more, because the command's number encodes a size of four bytes.
        checked(unsafe { libc::ioctl(node, IOCTL_RAND as libc::Ioctl, &raw mut word) })?;
        Ok(word)
    }

    /// Restarts the stream from `seed`.
    pub fn seed(&self, seed: u32) -> io::Result<()> {
        let node = self.file.as_raw_fd();
        // SAFETY: The command reads one u32, for which `seed` is valid, and `seed` outlives the call.
        checked(unsafe { libc::ioctl(node, IOCTL_SEED as libc::Ioctl, &raw const seed) })
    }

    /// Maps the file's memory on the first call.
    pub fn map(&mut self) -> io::Result<()> {
        if self.memory.is_none() {
            // INVARIANT: There was no mapping before.
            self.memory = Some(Memory::map(&self.file)?);
        }
        Ok(())
    }

    /// Fills the first `length` bytes of the memory with the next numbers. The memory must be mapped and must have
    /// this size. After an error, `filled` is empty.
    pub fn fill(&mut self, length: usize) -> io::Result<()> {
        let Some(memory) = &mut self.memory else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        memory.filled = 0;
        // The driver takes whole numbers. A length above `u32::MAX` is more than it accepts in any case.
        let whole = u32::try_from(length.next_multiple_of(REG_SIZE)).unwrap_or(u32::MAX);
        let part = [0_u32, whole];
        let node = self.file.as_raw_fd();
        // SAFETY: The command reads two u32, for which `part` is valid, and `part` outlives the call. It also
        // writes to the file's memory. By the type's invariant `memory` is the only mapping, and `&mut self`
        // excludes any slice of it.
        checked(unsafe { libc::ioctl(node, IOCTL_FILL as libc::Ioctl, &raw const part) })?;
        // INVARIANT: The driver has filled `length` bytes of its own pages.
        memory.filled = length.min(BULK_MAX_BYTES);
        Ok(())
    }

    /// Returns what the last [`Self::fill`] has filled; an empty slice if it failed.
    pub fn filled(&self) -> &[u8] {
        match &self.memory {
            // SAFETY: By the invariant of `Memory`, `filled` bytes at `start` are mapped readable, and they stay
            // mapped while `memory` is borrowed. They do not change during that time: the driver writes only for
            // `fill`, which needs `&mut self`, by the type's invariant. The mapping is read-only and the only one.
            // A forked child shares both, but safe code cannot fork.
            Some(memory) => unsafe { slice::from_raw_parts(memory.start.as_ptr(), memory.filled) },
            None => &[],
        }
    }
}

/// A read-only mapping of a file's memory, unmapped on drop.
///
/// # Invariants
///
/// `start` points to a mapping of [`BULK_MAX_BYTES`] bytes. `filled` is at most that. The first `filled` bytes are
/// the driver's pages, which stay valid while mapped (pages of a regular file could be truncated).
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    filled: usize,
}

// SAFETY: The mapping belongs to the process, not to a thread, and any thread may unmap it.
unsafe impl Send for Memory {}

// SAFETY: A shared reference gives only read access.
unsafe impl Sync for Memory {}

impl Memory {
    fn map(file: &File) -> io::Result<Self> {
        // A regular file could be truncated or written to while it is mapped.
        if !file.metadata()?.file_type().is_char_device() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        // SAFETY: With a null address the kernel chooses a free range, so no existing mapping is replaced.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                BULK_MAX_BYTES,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        // INVARIANT: `BULK_MAX_BYTES` bytes at `start` are mapped, none are filled.
        Ok(Self { start, filled: 0 })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `start` and the length are those of the mapping that `map` created. Slices of it borrow `self`,
        // so none exists any more. After an error it stays mapped, which is harmless.
        unsafe { libc::munmap(self.start.as_ptr().cast(), BULK_MAX_BYTES) };
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Converts the result of an ioctl.
fn checked(status: libc::c_int) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
