// SPDX-License-Identifier: GPL-2.0-or-later

//! Guest memory that a device reads and writes.

use core::ptr::NonNull;

use super::bindings::{self, PCIDevice, SeamMapping};
use super::span::Span;
use crate::host::{Mapping, ReadMemory, WriteMemory};

/// Copies guest memory from `address` on into `bytes`. Returns false if the device cannot read all of it.
///
/// # Safety
///
/// The device was realized when this call of it began, and the caller holds the BQL.
pub unsafe fn read(device: NonNull<PCIDevice>, address: u64, bytes: &mut [u8]) -> bool {
    let (start, length) = (bytes.as_mut_ptr().cast(), bytes.len() as u64);
    // SAFETY: as the caller guarantees; the bytes are ours to write.
    unsafe { bindings::seam_dma_copy(device.as_ptr(), address, start, length, false) }
}

/// Copies `bytes` to guest memory from `address` on. Returns false if the device cannot write all of it.
///
/// # Safety
///
/// The device was realized when this call of it began, and the caller holds the BQL.
pub unsafe fn write(device: NonNull<PCIDevice>, address: u64, bytes: &[u8]) -> bool {
    let (start, length) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as u64);
    // SAFETY: as the caller guarantees; for a write, the function only reads the bytes.
    unsafe { bindings::seam_dma_copy(device.as_ptr(), address, start, length, true) }
}

/// Guest memory, mapped into QEMU for a device to read (`READ`) or write (`WRITE`) it.
///
/// # Invariants
///
/// `mapping` is what `seam_dma_map` gave, and `span` is its bytes, which stay where they are until they are
/// unmapped.
pub struct MappedRam<const READ: bool, const WRITE: bool> {
    mapping: SeamMapping,
    span: Span,
}

impl<const READ: bool, const WRITE: bool> MappedRam<READ, WRITE> {
    /// Maps the memory from `address` on, as much as lies in one piece, but no more than `length`. `None` where
    /// the device cannot access memory this way.
    ///
    /// # Safety
    ///
    /// The device was realized when this call of it began. The caller holds the BQL; or it is in an RCU critical
    /// section, which outlives this; there is no IOMMU before the device; and `WRITE`.
    pub unsafe fn new(device: NonNull<PCIDevice>, address: u64, length: usize) -> Option<Self> {
        // SAFETY: as the caller guarantees.
        let mapping =
            unsafe { bindings::seam_dma_map(device.as_ptr(), address, length as u64, READ, WRITE) };
        let start = NonNull::new(mapping.host.cast())?;
        // SAFETY: these bytes stay there until they are unmapped, which happens when this is dropped.
        let span = unsafe { Span::new(start, mapping.size as usize) };
        // INVARIANT: as was just done.
        Some(Self { mapping, span })
    }
}

impl<const READ: bool, const WRITE: bool> Mapping for MappedRam<READ, WRITE> {
    fn size(&self) -> usize {
        self.mapping.size as usize
    }
}

impl<const WRITE: bool> ReadMemory for MappedRam<true, WRITE> {
    fn read(&self, at: usize, bytes: &mut [u8]) {
        self.span.read(at, bytes);
    }
}

impl<const READ: bool> WriteMemory for MappedRam<READ, true> {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.span.write(at, bytes);
    }

    // See `Span::write_u64s`.
    #[inline(always)]
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64) {
        self.span.write_u64s(at, count, next);
    }
}

impl<const READ: bool, const WRITE: bool> Drop for MappedRam<READ, WRITE> {
    fn drop(&mut self) {
        let used = if WRITE {
            self.span.written() as u64
        } else {
            self.mapping.size
        };
        // SAFETY: it is unmapped once, and was mapped, by the invariant. QEMU passes on how much was written to those who
        // watch the memory: migration, the display, translated code. Like QEMU's own threads for I/O, work does this
        // without the BQL.
        unsafe { bindings::seam_dma_unmap(&self.mapping, WRITE, used) };
    }
}
