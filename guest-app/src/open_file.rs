// SPDX-License-Identifier: GPL-2.0-or-later

//! A file that is open on the driver's node: its ioctls, and the memory that the device fills for it. The
//! only unsafe code of the app.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;

use crate::abi::{BULK_MAX_BYTES, IOCTL_FILL, IOCTL_RAND, IOCTL_SEED, REG_SIZE};

/// An open file, and its memory once that is mapped.
///
/// # Invariants
///
/// Nobody else has the file, and it is mapped nowhere but in `memory`. So the descriptor is never lent out.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    memory: Option<Memory>,
}

impl OpenFile {
    /// Opens the node at `path`, read-write as the classic clients do.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // INVARIANT: It is new, and a program that this one executes does not get it.
        Ok(Self { file, memory: None })
    }

    /// The number by which `/proc` knows it.
    pub fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// What the file's own `read()` gives.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Takes the next number of the stream.
    pub fn rand(&self) -> io::Result<u32> {
        let mut word = 0_u32;
        let node = self.file.as_raw_fd();
        // SAFETY: `word` is valid for the one u32 that the command stores, and outlives the call. A
        // node of another driver keeps to those four bytes too, for the command's number states them.
        checked(unsafe { libc::ioctl(node, IOCTL_RAND as libc::Ioctl, &raw mut word) })?;
        Ok(word)
    }

    /// Restarts the stream from `seed`.
    pub fn seed(&self, seed: u32) -> io::Result<()> {
        let node = self.file.as_raw_fd();
        // SAFETY: `seed` is valid for the one u32 that the command reads, and outlives the call.
        checked(unsafe { libc::ioctl(node, IOCTL_SEED as libc::Ioctl, &raw const seed) })
    }

    /// Maps the file's memory, unless that is done.
    pub fn map(&mut self) -> io::Result<()> {
        if self.memory.is_none() {
            // INVARIANT: It was mapped nowhere.
            self.memory = Some(Memory::map(&self.file)?);
        }
        Ok(())
    }

    /// Has the first `length` bytes of the memory filled with the stream's next numbers. The memory has to
    /// be mapped, and to have as many bytes. Where this fails, nothing is filled.
    pub fn fill(&mut self, length: usize) -> io::Result<()> {
        let Some(memory) = &mut self.memory else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        memory.filled = 0;
        // In whole numbers; a length that is no u32 is too much for the driver in any case.
        let whole = u32::try_from(length.next_multiple_of(REG_SIZE)).unwrap_or(u32::MAX);
        let part = [0_u32, whole];
        let node = self.file.as_raw_fd();
        // SAFETY: `part` is valid for the two u32 that the command reads, and outlives the call. The command
        // writes to the file's memory, which is mapped nowhere but in `memory` (by the type's invariant);
        // there nobody looks at it now, for it is borrowed exclusively.
        let fill =
            || checked(unsafe { libc::ioctl(node, IOCTL_FILL as libc::Ioctl, &raw const part) });
        // A signal that came before it was our turn: nothing was taken yet.
        while let Err(error) = fill() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // INVARIANT: The driver has taken the length, so no more than the memory has.
        memory.filled = length.min(BULK_MAX_BYTES);
        Ok(())
    }

    /// What [`Self::fill`] has filled, if it was the last to be called and has not failed.
    pub fn filled(&self) -> &[u8] {
        match &self.memory {
            // SAFETY: So many bytes are mapped for reading, by the invariant of `Memory`, as long as `memory`
            // is borrowed. Nobody can write to them meanwhile. The driver does it for `fill` only, which
            // somebody would need the file for, and that nobody has but `self`, which is borrowed, too. The
            // mapping is for reading, and there is no other. A process that was forked has the file and the
            // mapping as well, but code that is safe cannot go on in it.
            Some(memory) => unsafe { slice::from_raw_parts(memory.start.as_ptr(), memory.filled) },
            None => &[],
        }
    }
}

/// A file's memory, mapped for reading until this is dropped.
///
/// # Invariants
///
/// `start` leads to [`BULK_MAX_BYTES`] bytes that are mapped. The first `filled` of them are the driver's
/// own pages, which do not go away under the mapping; those of another file might.
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    filled: usize,
}

// SAFETY: It is reached by its address from all threads alike, and belongs to none.
unsafe impl Send for Memory {}

// SAFETY: With a shared reference it can only be read.
unsafe impl Sync for Memory {}

impl Memory {
    fn map(file: &File) -> io::Result<Self> {
        // Another file could be cut off under its mapping, or be written to.
        if !file.metadata()?.file_type().is_char_device() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        // SAFETY: The kernel chooses a place where nothing else is mapped.
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
        // INVARIANT: It is mapped, and nothing is filled.
        Ok(Self { start, filled: 0 })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `map` has mapped it, and whoever looked at it had borrowed this. An error would leave it
        // mapped, which does no harm.
        unsafe { libc::munmap(self.start.as_ptr().cast(), BULK_MAX_BYTES) };
    }
}

/// What an ioctl that gives 0 or fails has to say.
fn checked(status: libc::c_int) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
