// SPDX-License-Identifier: GPL-2.0-or-later

//! Fields that QEMU reads and writes by their address.
//!
//! QEMU knows a device's properties, and the fields of its migrated state, as numbers and pointers at
//! offsets in the instance. They are kept behind the instance's fixed part, laid out here, and are
//! copied to and from the model's own structs: what QEMU writes there is never taken for a Rust value
//! before it was looked at, and nothing of the model's can be written over.

use core::ffi::{CStr, c_char};
use core::mem::size_of;
use core::ptr;

/// Gives out places, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    offset: usize,
}

impl Cursor {
    /// Starts at `offset` bytes into the instance.
    pub const fn new(offset: usize) -> Self {
        Self { offset }
    }

    /// The place for `count` numbers or pointers of `size` bytes, aligned to their size.
    pub const fn take(&mut self, size: usize, count: usize) -> usize {
        let offset = self.offset.next_multiple_of(size);
        self.offset = offset + size * count;
        offset
    }

    /// How much is given out, from the start of the instance, in bytes.
    pub const fn end(&self) -> usize {
        self.offset
    }
}

/// A number as QEMU keeps it: any bytes of its size are one.
pub trait Number: Copy {}
impl Number for u8 {}
impl Number for u32 {}
impl Number for u64 {}

/// The bytes of one instance.
///
/// # Invariants
///
/// `start` is aligned as an instance is, to 8 at the least, and `end` bytes from it are alive and
/// initialized; from `first` on nobody holds a reference to them, and nobody else touches them while
/// this exists.
#[derive(Clone, Copy)]
pub struct Storage {
    start: *mut u8,
    first: usize,
    end: usize,
}

impl Storage {
    /// The part of an instance from `first` to `end` bytes.
    ///
    /// # Safety
    ///
    /// As the invariants of the type say, for as long as the result is used.
    pub const unsafe fn new(start: *mut u8, first: usize, end: usize) -> Self {
        // INVARIANT: by the caller's word.
        Self { start, first, end }
    }

    /// The address of the number of type `T` at `offset`; a panic, which ends QEMU, where a model's
    /// fields are not always the same ones.
    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset >= self.first
                && offset
                    .checked_add(size_of::<T>())
                    .is_some_and(|end| end <= self.end)
                && offset % size_of::<T>() == 0,
            "the fields that a model shows must always be the same ones"
        );
        self.start.wrapping_add(offset).cast()
    }

    /// Reads a number.
    pub fn read<T: Number>(&self, offset: usize) -> T {
        let at = self.at::<T>(offset);
        // SAFETY: `at` is within the storage, which is initialized, and aligned, as the storage is and
        // as the offset is; any bytes are a number.
        unsafe { ptr::read(at) }
    }

    /// Writes a number.
    pub fn write<T: Number>(&self, offset: usize, value: T) {
        let at = self.at::<T>(offset);
        // SAFETY: as in `read`; nobody holds a reference to it.
        unsafe { ptr::write(at, value) };
    }

    /// Reads the text that the pointer at `offset` leads to; nothing where it is null.
    ///
    /// # Safety
    ///
    /// The pointer is null or leads to a NUL-terminated text.
    pub unsafe fn read_text(&self, offset: usize) -> Option<String> {
        let at = self.at::<*const c_char>(offset);
        // SAFETY: as in `read`; what is there is a pointer by the caller's word.
        let text = unsafe { ptr::read(at) };
        if text.is_null() {
            return None;
        }
        // SAFETY: by the caller's word, and the storage's owner leaves it alone meanwhile.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Storage};

    #[test]
    fn places_are_aligned_and_apart() {
        let mut cursor = Cursor::new(24);
        assert_eq!(cursor.take(1, 1), 24);
        assert_eq!(cursor.take(4, 1), 28);
        assert_eq!(cursor.take(8, 2), 32);
        assert_eq!(cursor.take(1, 3), 48);
        assert_eq!(cursor.take(4, 0), 52);
        assert_eq!(cursor.end(), 52);
    }

    #[test]
    fn numbers_keep_their_value() {
        let mut bytes = [0_u64; 4];
        // SAFETY: the array is alive, initialized and aligned, and used through the storage alone.
        let storage = unsafe { Storage::new(bytes.as_mut_ptr().cast(), 8, 32) };
        storage.write(8, 0x0123_4567_89ab_cdef_u64);
        storage.write(16, 0xdead_beef_u32);
        storage.write(31, 0xff_u8);
        assert_eq!(storage.read::<u64>(8), 0x0123_4567_89ab_cdef);
        assert_eq!(storage.read::<u32>(16), 0xdead_beef);
        assert_eq!(storage.read::<u8>(31), 0xff);
    }
}
