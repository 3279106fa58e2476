// SPDX-License-Identifier: GPL-2.0-or-later

//! Guest memory that a device reads and writes.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::bindings::{self, PCIDevice, SeamMapping};
use super::span::Span;
use crate::pci::GuestMemory;

/// Copies guest memory from `address` on; whether the device can read memory at all of these addresses.
///
/// # Safety
///
/// The device is an initialized one, and the caller holds QEMU's big lock.
pub unsafe fn read(device: NonNull<PCIDevice>, address: u64, bytes: &mut [u8]) -> bool {
    // SAFETY: the device is one, and we hold the lock, by the caller's word; the bytes are ours to write.
    unsafe {
        bindings::seam_dma_read(
            device.as_ptr(),
            address,
            bytes.as_mut_ptr().cast(),
            bytes.len() as u64,
        )
    }
}

/// Guest memory, mapped into QEMU for a device to write to.
///
/// # Invariants
///
/// `mapping` is what `seam_dma_map` gave, and `span` is its bytes, which stay where they are until they are
/// unmapped. This thread holds QEMU's big lock as long as `'a`.
pub struct Mapped<'a> {
    mapping: SeamMapping,
    span: Span,
    locked: PhantomData<&'a ()>,
}

impl Mapped<'_> {
    /// Maps the memory from `address` on, as much as lies in one piece, but no more than `length`. `None`
    /// where the device cannot write to memory.
    ///
    /// # Safety
    ///
    /// The device is an initialized one. The caller holds QEMU's big lock for as long as the result lives.
    pub unsafe fn new(device: NonNull<PCIDevice>, address: u64, length: usize) -> Option<Self> {
        // SAFETY: the device is one, and we hold the lock, by the caller's word.
        let mapping = unsafe { bindings::seam_dma_map(device.as_ptr(), address, length as u64) };
        let start = NonNull::new(mapping.host.cast())?;
        // SAFETY: these bytes stay there until they are unmapped, which happens when this is dropped.
        let span = unsafe { Span::new(start, mapping.size as usize) };
        // INVARIANT: as was just done, and the lock is held by the caller's word.
        Some(Self {
            mapping,
            span,
            locked: PhantomData,
        })
    }
}

impl GuestMemory for Mapped<'_> {
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

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        // SAFETY: it was mapped, by the invariant, and is unmapped once. QEMU passes on how much was written
        // to those who watch the memory: migration, the display, translated code.
        unsafe { bindings::seam_dma_unmap(&self.mapping, self.span.written() as u64) };
    }
}
