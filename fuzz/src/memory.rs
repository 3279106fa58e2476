// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's memory: a few pages, with holes between them.

use std::cell::RefCell;
use std::rc::Rc;

use my_rng_dev::pci::GuestMemory;

/// The size of a page, in bytes.
pub const PAGE: u64 = 4096;
/// How many pages there can be. Few, so that a script can clear, copy and compare all of them: a longer
/// transfer names them more than once.
pub const PAGES: u64 = 16;
/// The address of the first.
pub const START: u64 = 0x10_0000;

/// The memory of one machine; clones are the same memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Up to the end of the last page that is there.
    bytes: Rc<RefCell<Vec<u8>>>,
    /// Bit n tells whether the n-th page is there.
    pages: u16,
    /// Whether each page is mapped by itself, as behind an IOMMU.
    scattered: bool,
}

impl Memory {
    /// Some pages, of zeros.
    #[must_use]
    pub fn new(pages: u16, scattered: bool) -> Self {
        let end = u64::from(u16::BITS - pages.leading_zeros()) * PAGE;
        Self {
            bytes: Rc::new(RefCell::new(vec![0; end as usize])),
            pages,
            scattered,
        }
    }

    /// Another memory with the same contents.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            bytes: Rc::new(RefCell::new(self.bytes.borrow().clone())),
            ..*self
        }
    }

    /// Whether both have the same contents.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        *self.bytes.borrow() == *other.bytes.borrow()
    }

    /// How many bytes from `address` on are in one piece, `length` at most; 0 where there is nothing.
    #[must_use]
    pub fn piece(&self, address: u64, length: u64) -> u64 {
        let there = |address: u64| match address.checked_sub(START) {
            Some(offset) => offset / PAGE < PAGES && self.pages >> (offset / PAGE) & 1 == 1,
            None => false,
        };
        let mut end = address;
        while end - address < length && there(end) {
            end = (end / PAGE + 1) * PAGE;
            if self.scattered {
                break;
            }
        }
        length.min(end - address)
    }

    fn offset(address: u64) -> usize {
        usize::try_from(address - START).expect("an address of the memory")
    }

    /// Reads what has to be there.
    pub fn read(&self, address: u64, bytes: &mut [u8]) {
        let all = self.bytes.borrow();
        let at = Self::offset(address);
        bytes.copy_from_slice(all.get(at..at + bytes.len()).expect("memory"));
    }

    /// Writes to what has to be there.
    pub fn write(&self, address: u64, new: &[u8]) {
        let mut bytes = self.bytes.borrow_mut();
        let at = Self::offset(address);
        bytes
            .get_mut(at..at + new.len())
            .expect("memory")
            .copy_from_slice(new);
    }

    /// Copies from `address` on what a device can read. Whether all of it is there.
    pub fn load(&self, mut address: u64, bytes: &mut [u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = self.piece(address, rest.len() as u64);
            if piece == 0 {
                return false;
            }
            let (first, others) = rest.split_at_mut(piece as usize);
            self.read(address, first);
            address += piece;
            rest = others;
        }
        true
    }

    /// The piece that a device can map.
    #[must_use]
    pub fn map(&self, address: u64, length: usize) -> Option<Mapped> {
        let length = self.piece(address, length as u64);
        (length > 0).then(|| Mapped {
            memory: self.clone(),
            address,
            length,
        })
    }
}

/// What a device has mapped.
#[derive(Debug)]
pub struct Mapped {
    memory: Memory,
    address: u64,
    length: u64,
}

impl Mapped {
    /// Nobody should go beyond the end, though nothing would come of it.
    fn within(&self, at: usize, count: usize) -> u64 {
        let end = at.checked_add(count).expect("no end");
        assert!(
            end as u64 <= self.length,
            "beyond the end of what is mapped"
        );
        self.address + at as u64
    }
}

impl GuestMemory for Mapped {
    fn size(&self) -> usize {
        usize::try_from(self.length).expect("a length")
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let to = self.within(at, bytes.len());
        self.memory.write(to, bytes);
    }

    fn write_u64s(&mut self, at: usize, count: usize, mut next: impl FnMut() -> u64) {
        for i in 0..count {
            self.write(at + i * 8, &next().to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, PAGE, START};

    #[test]
    fn pieces_end_where_memory_does() {
        // Pages 0, 1 and 3.
        let memory = Memory::new(0b1011, false);
        assert_eq!(memory.piece(START, 3 * PAGE), 2 * PAGE);
        assert_eq!(memory.piece(START + 100, 200), 200);
        assert_eq!(memory.piece(START + 2 * PAGE, 8), 0);
        assert_eq!(memory.piece(START + 4 * PAGE - 4, 8), 4);
        assert_eq!(memory.piece(START - 4, 8), 0);
        assert_eq!(memory.piece(u64::MAX - 3, 4), 0);
        let scattered = Memory::new(0b1011, true);
        assert_eq!(scattered.piece(START + 4, 3 * PAGE), PAGE - 4);
    }
}
