// SPDX-License-Identifier: GPL-2.0-or-later

//! Memory that others may read and write at the same time.

use core::ptr::{self, NonNull};

/// Some bytes of memory, to be written to.
///
/// # Invariants
///
/// `start` points to `length` bytes that stay valid as long as this exists. Others may read and write them at any
/// time, so all accesses are volatile, and no reference to the bytes is made.
pub struct Span {
    start: NonNull<u8>,
    length: usize,
    /// The end of the last byte that was written, from the start.
    written: usize,
}

impl Span {
    /// Makes one of `length` bytes from `start` on.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub const unsafe fn new(start: NonNull<u8>, length: usize) -> Self {
        // INVARIANT: as the caller guarantees.
        Self {
            start,
            length,
            written: 0,
        }
    }

    /// How many bytes from the start on may have been written.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// A pointer to the byte at `at`, and how many of `length` bytes are within the span. They count as written.
    fn place(&mut self, at: usize, length: usize) -> (*mut u8, usize) {
        let at = at.min(self.length);
        let length = length.min(self.length - at);
        if length > 0 {
            self.written = self.written.max(at + length);
        }
        (self.start.as_ptr().wrapping_add(at), length)
    }

    /// Reads the bytes from `at` on into `bytes`. Bytes beyond the end are not changed.
    pub fn read(&self, at: usize, bytes: &mut [u8]) {
        let at = at.min(self.length);
        let length = bytes.len().min(self.length - at);
        let mut bytes = bytes.get_mut(..length).unwrap_or_default();
        let mut from = self.start.as_ptr().wrapping_add(at);
        if from.cast::<u64>().is_aligned() {
            let mut numbers = bytes.chunks_exact_mut(size_of::<u64>());
            for number in &mut numbers {
                // SAFETY: within the bytes, and aligned; volatile, as others may access it.
                let read: u64 = unsafe { ptr::read_volatile(from.cast()) };
                number.copy_from_slice(&read.to_ne_bytes());
                from = from.wrapping_add(number.len());
            }
            bytes = numbers.into_remainder();
        }
        for byte in bytes {
            // SAFETY: as above.
            *byte = unsafe { ptr::read_volatile(from) };
            from = from.wrapping_add(1);
        }
    }

    /// Writes the bytes from `at` on, except those beyond the end.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let (mut to, length) = self.place(at, bytes.len());
        let mut bytes = bytes.get(..length).unwrap_or_default();
        // In pieces as large as the place allows: nobody sees a status, of 4 bytes, half written.
        if to.cast::<u64>().is_aligned() {
            while let Some((number, rest)) = bytes.split_first_chunk() {
                let number = u64::from_ne_bytes(*number);
                // SAFETY: within the bytes, by `place`, and aligned; volatile, as others may access it.
                unsafe { ptr::write_volatile(to.cast(), number) };
                (to, bytes) = (to.wrapping_add(size_of_val(&number)), rest);
            }
        }
        if to.cast::<u32>().is_aligned() {
            while let Some((number, rest)) = bytes.split_first_chunk() {
                let number = u32::from_ne_bytes(*number);
                // SAFETY: as above.
                unsafe { ptr::write_volatile(to.cast(), number) };
                (to, bytes) = (to.wrapping_add(size_of_val(&number)), rest);
            }
        }
        for byte in bytes {
            // SAFETY: within the bytes, by `place`; volatile, as others may access it.
            unsafe { ptr::write_volatile(to, *byte) };
            to = to.wrapping_add(1);
        }
    }

    /// Writes `count` values of `next` from `at` on, as 8 little-endian bytes each. A value that does not fit whole is
    /// not written.
    // Inlined into the code that makes `next`: its state can stay in registers then, which is twice as fast.
    #[inline(always)]
    pub fn write_u64s(&mut self, at: usize, count: usize, mut next: impl FnMut() -> u64) {
        let count = count.min(self.length.saturating_sub(at) / 8);
        let (to, _) = self.place(at, count * 8);
        if !to.cast::<u64>().is_aligned() {
            for i in 0..count {
                self.write(at + i * 8, &next().to_le_bytes());
            }
            return;
        }
        let to = to.cast::<u64>();
        for i in 0..count {
            // SAFETY: within the bytes, by `place`, and aligned; volatile, as others may access it.
            unsafe { ptr::write_volatile(to.wrapping_add(i), next().to_le()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;

    use super::Span;

    /// What 32 bytes of 0xff become, from the one at `start` on, and what counts as written.
    fn after(start: usize, write: impl FnOnce(&mut Span)) -> (Vec<u8>, usize) {
        let mut memory = [u64::MAX; 4];
        let at = memory.as_mut_ptr().cast::<u8>().wrapping_add(start);
        // SAFETY: the bytes are alive until the span was last used, and nobody else uses them.
        let mut span = unsafe { Span::new(NonNull::new(at).unwrap(), 32 - start) };
        write(&mut span);
        let written = span.written();
        let bytes = memory.into_iter().flat_map(u64::to_ne_bytes).skip(start);
        (bytes.collect(), written)
    }

    #[test]
    fn bytes_are_written_at_any_alignment() {
        let bytes: Vec<u8> = (1..=15).collect();
        for start in 0..8 {
            for at in 0..8 {
                let (memory, written) = after(start, |span| span.write(at, &bytes));
                assert_eq!(memory[..at], [0xff; 8][..at]);
                assert_eq!(memory[at..at + 15], bytes);
                assert!(memory[at + 15..].iter().all(|byte| *byte == 0xff));
                assert_eq!(written, at + 15);
            }
        }
    }

    #[test]
    fn bytes_are_read_at_any_alignment() {
        let mut memory: Vec<u8> = (0..32).collect();
        // SAFETY: the bytes are alive until the span was last used, and nobody else uses them.
        let span = unsafe { Span::new(NonNull::new(memory.as_mut_ptr()).unwrap(), 32) };
        for at in [0, 1, 3, 8, 21, 31, 32, 33, usize::MAX] {
            for length in [0, 1, 7, 8, 15, 16, 20] {
                let mut bytes = vec![0xff; length];
                span.read(at, &mut bytes);
                let there = 32_usize.saturating_sub(at).min(length);
                let expected: Vec<u8> = (at as u8..).take(there).collect();
                assert_eq!(bytes[..there], expected, "{length} bytes at {at}");
                assert!(bytes[there..].iter().all(|byte| *byte == 0xff));
            }
        }
    }

    #[test]
    fn numbers_are_written_at_any_alignment() {
        for start in 0..8 {
            for at in 0..8 {
                let mut number = 0x0807_0605_0403_0201;
                let (memory, written) = after(start, |span| {
                    span.write_u64s(at, 2, || {
                        number += 0x1010_1010_1010_1010;
                        number
                    });
                });
                assert_eq!(memory[at..at + 8], [17, 18, 19, 20, 21, 22, 23, 24]);
                assert_eq!(memory[at + 8..at + 16], [33, 34, 35, 36, 37, 38, 39, 40]);
                assert!(memory[at + 16..].iter().all(|byte| *byte == 0xff));
                assert_eq!(written, at + 16);
            }
        }
    }

    #[test]
    fn bytes_beyond_the_end_are_ignored() {
        for (at, bytes, expected) in [
            (28, 8, 32),
            (31, 1, 32),
            (32, 1, 0),
            (33, 4, 0),
            (usize::MAX, 4, 0),
            (5, 0, 0),
        ] {
            let (memory, written) = after(0, |span| span.write(at, &vec![0; bytes]));
            assert_eq!(written, expected, "{bytes} bytes at {at}");
            let zeros = memory.iter().filter(|byte| **byte == 0).count();
            assert_eq!(zeros, expected.saturating_sub(at), "{bytes} bytes at {at}");
        }
        // A number is written as a whole or not at all, and not asked for in vain.
        for (at, count, expected) in [(16, 3, 32), (20, 2, 28), (25, 1, 0), (usize::MAX, 1, 0)] {
            let mut asked = 0;
            let (_, written) = after(0, |span| {
                span.write_u64s(at, count, || {
                    asked += 8;
                    0
                });
            });
            assert_eq!(written, expected, "{count} numbers at {at}");
            assert_eq!(
                asked,
                expected.saturating_sub(at),
                "{count} numbers at {at}"
            );
        }
        assert_eq!(after(0, |span| span.write_u64s(0, usize::MAX, || 0)).1, 32);
    }
}
