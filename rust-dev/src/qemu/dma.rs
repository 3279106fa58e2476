// SPDX-License-Identifier: GPL-2.0-or-later

//! Guest memory that a device reads and writes.

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::bindings::{
    self, DMADirection_DMA_DIRECTION_FROM_DEVICE as FROM_DEVICE, PCIDevice, dma_addr_t,
};
use crate::pci::GuestMemory;

/// Guest memory, mapped into QEMU for a device.
///
/// # Invariants
///
/// `start` leads to `length` bytes of a guest's memory, which stay where they are until they are unmapped:
/// `pci_dma_map` gave them for `device`, which lives as long as `'a`. Anybody may read and write them at any
/// time, so they are only accessed as a device's registers would be, and no reference to them is made.
pub struct Mapped<'a> {
    device: NonNull<PCIDevice>,
    start: NonNull<u8>,
    length: usize,
    /// How far it was written to, from its start.
    written: usize,
    alive: PhantomData<&'a ()>,
}

impl Mapped<'_> {
    /// Maps the memory from `address` on, as much as lies in one piece, but no more than `length`. `None`
    /// where the device sees no memory there that it can write to.
    ///
    /// # Safety
    ///
    /// The device is a realized one that lives as long as the result, and the caller holds QEMU's big
    /// lock for as long.
    pub unsafe fn new(device: NonNull<PCIDevice>, address: u64, length: usize) -> Option<Self> {
        let mut mapped = length as dma_addr_t;
        // For the device to write to: for one that only reads, QEMU reads what is no memory at once.
        // SAFETY: the device is one, and we hold the lock, by the caller's word.
        let start =
            unsafe { bindings::pci_dma_map(device.as_ptr(), address, &mut mapped, FROM_DEVICE) };
        let place = NonNull::new(start.cast())?;
        let mut offset = 0;
        // SAFETY: only looks the address up.
        let region = unsafe { bindings::memory_region_from_host(start, &mut offset) };
        if region.is_null() || mapped > length as dma_addr_t {
            // What is no memory QEMU would have us write to a buffer, and then do the accesses. That may be
            // another device's registers, or our own; nothing of that is wanted here.
            // SAFETY: it was mapped just now, and nothing was written.
            unsafe { bindings::pci_dma_unmap(device.as_ptr(), start, mapped, FROM_DEVICE, 0) };
            return None;
        }
        // INVARIANT: that is what `pci_dma_map` has just done.
        Some(Self {
            device,
            start: place,
            length: mapped as usize,
            written: 0,
            alive: PhantomData,
        })
    }

    /// How many of `length` bytes there are from `at` on, and a pointer to the first.
    fn at(&self, at: usize, length: usize) -> (*mut u8, usize) {
        let at = at.min(self.length);
        (
            self.start.as_ptr().wrapping_add(at),
            length.min(self.length - at),
        )
    }

    fn has_written_to(&mut self, end: usize) {
        self.written = self.written.max(end.min(self.length));
    }
}

impl GuestMemory for Mapped<'_> {
    fn size(&self) -> usize {
        self.length
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        let (from, length) = self.at(at, bytes.len());
        for (i, byte) in bytes.iter_mut().take(length).enumerate() {
            // SAFETY: within the mapped bytes, by `at`; a volatile access of a byte, as others may write it.
            *byte = unsafe { ptr::read_volatile(from.wrapping_add(i)) };
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let (mut to, length) = self.at(at, bytes.len());
        let mut bytes = bytes.get(..length).unwrap_or_default();
        // In pieces as large as the place allows: nobody sees a status, of 4 bytes, half written.
        if to.cast::<u64>().is_aligned() {
            while let Some((number, rest)) = bytes.split_first_chunk() {
                let number = u64::from_ne_bytes(*number);
                // SAFETY: within the mapped bytes, by `at`, and aligned; volatile, as others may access it.
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
            // SAFETY: within the mapped bytes, by `at`; volatile, as others may access it.
            unsafe { ptr::write_volatile(to, *byte) };
            to = to.wrapping_add(1);
        }
        self.has_written_to(at + length);
    }

    // Where `next` is made: what it works on can be in registers then, which makes it twice as fast.
    #[inline(always)]
    fn write_u64s(&mut self, at: usize, count: usize, mut next: impl FnMut() -> u64) {
        let (to, length) = self.at(at, count.saturating_mul(8));
        if !to.cast::<u64>().is_aligned() {
            for i in 0..length / 8 {
                self.write(at + i * 8, &next().to_le_bytes());
            }
            return;
        }
        let to = to.cast::<u64>();
        for i in 0..length / 8 {
            // SAFETY: within the mapped bytes, by `at`, and aligned; volatile, as others may access it.
            unsafe { ptr::write_volatile(to.wrapping_add(i), next().to_le()) };
        }
        self.has_written_to(at + length);
    }
}

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        // SAFETY: these are the device's, and were mapped, by the invariant; once only. What was
        // written is told, for whoever watches the memory: migration, the display, translated code.
        unsafe {
            bindings::pci_dma_unmap(
                self.device.as_ptr(),
                self.start.as_ptr().cast(),
                self.length as dma_addr_t,
                FROM_DEVICE,
                self.written as dma_addr_t,
            );
        }
    }
}
