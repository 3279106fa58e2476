// SPDX-License-Identifier: GPL-2.0-or-later

//! Guest memory that a device reads and writes.

use core::cell::RefCell;
use core::ptr::NonNull;

use super::bindings::{self, PCIDevice, SeamMapping};
use super::cell;
use super::span::Span;
use crate::host::{ReadMemory, WriteMemory};

/// Copies guest memory from `address` on into `bytes`. Returns false if the device cannot read all of it.
///
/// # Safety
///
/// The device is realized, and the caller holds the BQL.
pub unsafe fn read(device: NonNull<PCIDevice>, address: u64, bytes: &mut [u8]) -> bool {
    let (start, length) = (bytes.as_mut_ptr().cast(), bytes.len() as u64);
    // SAFETY: as the caller guarantees; the bytes are ours to write.
    unsafe { bindings::seam_dma_copy(device.as_ptr(), address, start, length, false) }
}

/// Copies `bytes` to guest memory from `address` on. Returns false if the device cannot write all of it.
///
/// # Safety
///
/// The device is realized, and the caller holds the BQL.
pub unsafe fn write(device: NonNull<PCIDevice>, address: u64, bytes: &[u8]) -> bool {
    let (start, length) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as u64);
    // SAFETY: as the caller guarantees; for a write, the function only reads the bytes.
    unsafe { bindings::seam_dma_copy(device.as_ptr(), address, start, length, true) }
}

/// Guest memory, mapped into QEMU for a device to write (`WRITE`) or read it.
///
/// # Invariants
///
/// `mapping` is what `seam_dma_map` gave, and `span` is its bytes, which stay where they are until they are
/// unmapped.
pub struct MappedRam<const WRITE: bool> {
    mapping: SeamMapping,
    span: Span,
}

impl<const WRITE: bool> MappedRam<WRITE> {
    /// Maps the memory from `address` on, as much as lies in one piece, but no more than `length`. `None` where
    /// the device cannot access memory this way.
    ///
    /// # Safety
    ///
    /// The device is realized, and the caller holds the BQL. If the result is dropped without the BQL, this thread
    /// calls [`unmap_dropped`] when it has the BQL again.
    pub unsafe fn new(device: NonNull<PCIDevice>, address: u64, length: usize) -> Option<Self> {
        // SAFETY: as the caller guarantees.
        let mapping =
            unsafe { bindings::seam_dma_map(device.as_ptr(), address, length as u64, WRITE) };
        let start = NonNull::new(mapping.host.cast())?;
        // SAFETY: these bytes stay there until they are unmapped, which happens after this was dropped.
        let span = unsafe { Span::new(start, mapping.size as usize) };
        // INVARIANT: as was just done.
        Some(Self { mapping, span })
    }
}

impl ReadMemory for MappedRam<false> {
    fn size(&self) -> usize {
        self.mapping.size as usize
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        self.span.read(at, bytes);
    }
}

impl WriteMemory for MappedRam<true> {
    fn size(&self) -> usize {
        self.mapping.size as usize
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.span.write(at, bytes);
    }

    // See `Span::write_u64s`.
    #[inline(always)]
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64) {
        self.span.write_u64s(at, count, next);
    }
}

/// Memory that was mapped and is not used any more.
struct Dropped {
    mapping: SeamMapping,
    is_write: bool,
    used: u64,
}

impl Dropped {
    /// Unmaps it.
    ///
    /// # Safety
    ///
    /// `mapping` is what `seam_dma_map` gave for this direction, and the caller holds the BQL.
    unsafe fn unmap(self) {
        let Self {
            mapping,
            is_write,
            used,
        } = self;
        // SAFETY: it is unmapped once, and was mapped, as the caller guarantees. QEMU passes on how much was written
        // to those who watch the memory: migration, the display, translated code.
        unsafe { bindings::seam_dma_unmap(&mapping, is_write, used) };
    }
}

thread_local! {
    /// What this thread has to unmap as soon as it has the BQL.
    static DROPPED: RefCell<Vec<Dropped>> = const { RefCell::new(Vec::new()) };
}

impl<const WRITE: bool> Drop for MappedRam<WRITE> {
    fn drop(&mut self) {
        let dropped = Dropped {
            mapping: self.mapping,
            is_write: WRITE,
            used: if WRITE {
                self.span.written() as u64
            } else {
                self.mapping.size
            },
        };
        if cell::is_locked() {
            // SAFETY: it was mapped, by the invariant, and the BQL is held.
            unsafe { dropped.unmap() };
        } else {
            // The work of a device must not wait for the BQL.
            DROPPED.with_borrow_mut(|list| list.push(dropped));
        }
    }
}

/// Unmaps what work on this thread has dropped without the BQL.
///
/// # Safety
///
/// The caller holds the BQL.
pub unsafe fn unmap_dropped() {
    // Unmapping calls nothing of ours, so the list is not borrowed twice.
    DROPPED.with_borrow_mut(|list| {
        for dropped in list.drain(..) {
            // SAFETY: it was mapped, by the invariant of what was dropped, and the BQL is held.
            unsafe { dropped.unmap() };
        }
    });
}
