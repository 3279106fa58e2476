// SPDX-License-Identifier: GPL-2.0-or-later

//! A guest's memory.

use core::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::{Mapping, ReadMemory, WriteMemory};

/// The size of a page, in bytes.
const PAGE: u64 = 4096;

/// What a device may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Nothing: no RAM is there.
    Hole,
    /// Read and write it.
    Ram,
    /// Only read it.
    ReadOnly,
    /// Only write it.
    WriteOnly,
}

impl Page {
    /// Whether the device may read it.
    #[must_use]
    pub fn is_readable(self) -> bool {
        matches!(self, Self::Ram | Self::ReadOnly)
    }

    /// Whether the device may write it.
    #[must_use]
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Ram | Self::WriteOnly)
    }
}

/// The memory of one machine, in pages of 4096 bytes. Clones are the same memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    start: u64,
    pages: Arc<[Page]>,
    /// A mapping never extends across these addresses. In order.
    cuts: Arc<[u64]>,
    bytes: Arc<Mutex<Vec<u8>>>,
    reads: Arc<Mutex<Vec<Range<u64>>>>,
}

impl Memory {
    /// Pages from `start` on, a multiple of 4096; all bytes are 0.
    #[must_use]
    pub fn new(start: u64, pages: &[Page]) -> Self {
        assert!(start % PAGE == 0, "{start:#x} is not a page's address");
        Self {
            start,
            pages: pages.into(),
            cuts: Arc::default(),
            bytes: Arc::new(Mutex::new(vec![0; pages.len() * PAGE as usize])),
            reads: Arc::default(),
        }
    }

    /// The same memory, but a device can map at most a page at a time, as behind an IOMMU.
    #[must_use]
    pub fn scattered(self) -> Self {
        let (start, count) = (self.start, self.pages.len() as u64);
        self.cut_at((1..count).map(|page| start + page * PAGE))
    }

    /// The same memory, but a mapping never extends across these addresses, which are in order.
    #[must_use]
    pub fn cut_at(self, addresses: impl IntoIterator<Item = u64>) -> Self {
        let cuts: Arc<[u64]> = addresses.into_iter().collect();
        assert!(cuts.is_sorted(), "these addresses are not in order");
        Self { cuts, ..self }
    }

    /// Another memory with the same contents.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            bytes: Arc::new(Mutex::new(self.with(|bytes| bytes.clone()))),
            reads: Arc::default(),
            ..self.clone()
        }
    }

    /// Whether both have the same contents.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
            || self.with(|bytes| other.with(|theirs| bytes == theirs))
    }

    fn with<R>(&self, f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        f(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_read(&self, address: u64, length: usize) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.push(address..address.saturating_add(length as u64));
    }

    /// The addresses that devices have read from since the last call. Between two reads of the same bytes the guest may
    /// have changed them.
    pub fn take_reads(&self) -> Vec<Range<u64>> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        core::mem::take(&mut *reads)
    }

    /// How many of `length` bytes from `address` on a device may use in one piece; 0 if none.
    #[must_use]
    pub fn piece(&self, address: u64, length: u64, may: impl Fn(Page) -> bool) -> u64 {
        let there = |address: u64| {
            let page = address.checked_sub(self.start).map(|offset| offset / PAGE);
            page.and_then(|page| self.pages.get(usize::try_from(page).ok()?))
                .is_some_and(|page| may(*page))
        };
        let mut end = address;
        while end - address < length && there(end) {
            end = (end / PAGE + 1) * PAGE;
        }
        let next = self.cuts.partition_point(|cut| *cut <= address);
        if let Some(cut) = self.cuts.get(next) {
            end = end.min(*cut);
        }
        length.min(end - address)
    }

    /// The guest's processor reads memory, which must be there.
    #[must_use]
    pub fn load(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.get(address, &mut bytes);
        bytes
    }

    /// The guest's processor writes memory, which must be there.
    pub fn store(&self, address: u64, bytes: &[u8]) {
        let at = self.offset(address);
        self.with(|all| {
            let place = all.get_mut(at..at + bytes.len()).expect("memory");
            place.copy_from_slice(bytes);
        });
    }

    fn get(&self, address: u64, bytes: &mut [u8]) {
        let at = self.offset(address);
        self.with(|all| bytes.copy_from_slice(all.get(at..at + bytes.len()).expect("memory")));
    }

    fn offset(&self, address: u64) -> usize {
        usize::try_from(address - self.start).expect("an address of the memory")
    }

    /// DMA into `bytes`.
    pub(super) fn copy_from(&self, mut address: u64, bytes: &mut [u8]) -> bool {
        self.note_read(address, bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = self.piece(address, rest.len() as u64, Page::is_readable);
            if piece == 0 {
                return false;
            }
            let (first, others) = rest.split_at_mut(piece as usize);
            self.get(address, first);
            address += piece;
            rest = others;
        }
        true
    }

    /// DMA from `bytes`.
    pub(super) fn copy_to(&self, mut address: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let piece = self.piece(address, bytes.len() as u64, Page::is_writable);
            if piece == 0 {
                return false;
            }
            let (first, others) = bytes.split_at(piece as usize);
            self.store(address, first);
            address += piece;
            bytes = others;
        }
        true
    }

    /// The piece that a device can map.
    pub(super) fn map(
        &self,
        address: u64,
        length: usize,
        may: impl Fn(Page) -> bool,
    ) -> Option<Mapped> {
        let length = self.piece(address, length as u64, may);
        (length > 0).then(|| Mapped {
            memory: self.clone(),
            address,
            length,
        })
    }
}

/// Memory that a device has mapped.
#[derive(Debug)]
pub struct Mapped {
    memory: Memory,
    address: u64,
    length: u64,
}

impl Mapped {
    /// A device should not go beyond the end, although QEMU would ignore that.
    fn within(&self, at: usize, count: usize) -> u64 {
        let end = at.checked_add(count).expect("no end");
        assert!(
            end as u64 <= self.length,
            "beyond the end of what is mapped"
        );
        self.address + at as u64
    }
}

impl Mapping for Mapped {
    fn size(&self) -> usize {
        usize::try_from(self.length).expect("a length")
    }
}

impl ReadMemory for Mapped {
    fn read(&self, at: usize, bytes: &mut [u8]) {
        self.memory.note_read(self.address + at as u64, bytes.len());
        self.memory.get(self.within(at, bytes.len()), bytes);
    }
}

impl WriteMemory for Mapped {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.memory.store(self.within(at, bytes.len()), bytes);
    }

    fn write_u64s(&mut self, at: usize, count: usize, mut next: impl FnMut() -> u64) {
        for i in 0..count {
            self.write(at + i * 8, &next().to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, PAGE, Page};

    const START: u64 = 0x10_0000;

    fn memory() -> Memory {
        Memory::new(
            START,
            &[Page::Ram, Page::ReadOnly, Page::Hole, Page::WriteOnly],
        )
    }

    #[test]
    fn mapping_ends_at_inaccessible_memory() {
        let memory = memory();
        let readable = |address, length| memory.piece(address, length, Page::is_readable);
        assert_eq!(readable(START, 3 * PAGE), 2 * PAGE);
        assert_eq!(readable(START + 100, 200), 200);
        assert_eq!(readable(START + 2 * PAGE, 8), 0);
        assert_eq!(readable(START + 2 * PAGE - 4, 8), 4);
        assert_eq!(readable(START - 4, 8), 0);
        assert_eq!(readable(u64::MAX - 3, 4), 0);
        assert_eq!(memory.piece(START, 3 * PAGE, Page::is_writable), PAGE);
        assert_eq!(
            memory.piece(START + 3 * PAGE, PAGE, Page::is_writable),
            PAGE
        );
        let scattered = memory.clone().scattered();
        assert_eq!(
            scattered.piece(START + 4, 2 * PAGE, Page::is_readable),
            PAGE - 4
        );
        let cut = memory.clone().cut_at([START + 8, START + 12]);
        assert_eq!(cut.piece(START, 16, Page::is_readable), 8);
        assert_eq!(cut.piece(START + 8, 16, Page::is_readable), 4);
        assert_eq!(cut.piece(START + 12, 16, Page::is_readable), 16);
    }

    #[test]
    fn copies_end_at_inaccessible_memory() {
        let memory = memory();
        assert!(memory.copy_to(START + PAGE - 2, &[1, 2]));
        let mut bytes = [0; 4];
        assert!(memory.copy_from(START + PAGE - 2, &mut bytes));
        assert_eq!(bytes, [1, 2, 0, 0]);
        assert!(!memory.copy_to(START + PAGE - 1, &[3, 4]));
        assert_eq!(memory.load(START + PAGE - 2, 3), [1, 3, 0]);
        assert!(!memory.copy_from(START + 2 * PAGE - 1, &mut bytes));
        let copy = memory.copy();
        assert!(copy.is_like(&memory));
        copy.store(START, &[9]);
        assert!(!copy.is_like(&memory));
    }
}
