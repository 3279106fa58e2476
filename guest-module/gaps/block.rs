// SPDX-License-Identifier: GPL-2.0-or-later

//! A few numbers on the stack.

use core::mem::{size_of, MaybeUninit};
use kernel::{bindings, iov::IovIterDest, prelude::*};

/// Numbers on their way to a caller, as little-endian bytes. They are wiped when dropped: none stays in
/// kernel memory.
///
/// It works in 64-bit words, which are not initialized before they are used, because `memset` and `memcpy`
/// take longer for so few bytes.
///
/// # Invariants
///
/// The first `bytes` bytes of `words` are initialized, rounded up to whole words.
pub(crate) struct Block {
    words: [MaybeUninit<u64>; Self::WORDS],
    bytes: usize,
}

impl Block {
    const WORDS: usize = 64;

    /// How many bytes fit in.
    pub(crate) const SIZE: usize = Self::WORDS * size_of::<u64>();

    pub(crate) fn new() -> Self {
        // INVARIANT: No bytes are used.
        Self {
            words: [const { MaybeUninit::uninit() }; Self::WORDS],
            bytes: 0,
        }
    }

    /// Appends a number. It is lost if the block is full.
    pub(crate) fn push(&mut self, number: u32) {
        let is_second = self.bytes % size_of::<u64>() != 0;
        if let Some(word) = self.words.get_mut(self.bytes / size_of::<u64>()) {
            let number = u64::from(number);
            if is_second {
                // SAFETY: By the type's invariant the word with the last number is initialized.
                let first = unsafe { word.assume_init() };
                word.write(first | (number << u32::BITS).to_le());
            } else {
                word.write(number.to_le());
            }
            // INVARIANT: The word was just written.
            self.bytes += size_of::<u32>();
        }
    }

    /// Appends two numbers, as they are in memory, to an even number of them. They are lost if the block is
    /// full.
    pub(crate) fn push_pair(&mut self, numbers: u64) {
        let index = self.bytes.div_ceil(size_of::<u64>());
        if let Some(word) = self.words.get_mut(index) {
            word.write(numbers);
            // INVARIANT: The word was just written.
            self.bytes = (index + 1) * size_of::<u64>();
        }
    }

    /// Copies the first `length` bytes to `to`. Returns how many bytes could be stored.
    pub(crate) fn copy_to(&self, length: usize, to: &mut IovIterDest<'_>) -> usize {
        let length = length.min(self.bytes);
        // SAFETY: By the type's invariant `length` bytes are initialized, and `to` is a valid destination.
        unsafe { bindings::_copy_to_iter(self.words.as_ptr().cast(), length, to.as_raw()) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let used = self.bytes.div_ceil(size_of::<u64>());
        for word in self.words.iter_mut().take(used) {
            // SAFETY: The reference is valid for writes. Volatile, so that the compiler does not leave it out.
            unsafe { word.as_mut_ptr().write_volatile(0) };
        }
    }
}

#[kunit_tests(my_rng_block)]
mod tests {
    use super::*;

    fn bytes(block: &Block) -> &[u8] {
        // SAFETY: By the type's invariant the bytes are initialized.
        unsafe { core::slice::from_raw_parts(block.words.as_ptr().cast(), block.bytes) }
    }

    #[test]
    fn numbers_are_in_order_as_little_endian_bytes() {
        let mut block = Block::new();
        assert_eq!(bytes(&block), &[] as &[u8]);
        block.push(0x0403_0201);
        assert_eq!(bytes(&block), [1, 2, 3, 4]);
        block.push(0x0807_0605);
        block.push(0x8c8b_8a89);
        assert_eq!(
            bytes(&block),
            [1, 2, 3, 4, 5, 6, 7, 8, 0x89, 0x8a, 0x8b, 0x8c]
        );
    }

    #[test]
    fn pairs_are_kept_as_they_are() {
        let mut block = Block::new();
        block.push_pair(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
        block.push(0x0c0b_0a09);
        assert_eq!(bytes(&block), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn full_block_takes_no_more() {
        let mut block = Block::new();
        for number in 0..200 {
            block.push(number);
        }
        block.push_pair(0);
        assert_eq!(bytes(&block).len(), Block::SIZE);
        assert_eq!(bytes(&block)[Block::SIZE - 4..], [127, 0, 0, 0]);
    }
}
