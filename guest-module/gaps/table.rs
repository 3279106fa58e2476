// SPDX-License-Identifier: GPL-2.0-or-later

//! A scatter-gather table mapped for DMA.

use core::{marker::PhantomData, mem::MaybeUninit};
use kernel::{
    bindings,
    device::{self, Bound},
    dma::DmaAddress,
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    scatterlist::SGTable,
};

const FROM_DEVICE: bindings::dma_data_direction = bindings::dma_data_direction::DMA_FROM_DEVICE;

/// Where a device finds memory: addresses and lengths in bytes, one after the other.
pub(crate) type Segments<'a> = dyn Iterator<Item = (DmaAddress, u32)> + 'a;

/// A part of some pages, to be mapped for a device to write to.
///
/// # Invariants
///
/// `0` is a valid `struct sg_table` of pages that are there as long as `'a`, and not mapped.
pub(crate) struct Table<'a>(bindings::sg_table, PhantomData<&'a ()>);

// SAFETY: The table and its list are ours, and can be used from any task.
unsafe impl Send for Table<'_> {}

impl Table<'_> {
    /// Of `length` bytes from `offset` in the first of the pages on. A device takes no piece that is
    /// longer than `most`.
    ///
    /// # Safety
    ///
    /// The pages are there as long as the result, and they have so many bytes. `length` is not 0.
    pub(super) unsafe fn new(
        pages: &[*mut bindings::page],
        offset: usize,
        length: usize,
        most: u32,
    ) -> Result<Self> {
        // What is beyond the last byte would make an empty piece.
        let count = (offset + length).div_ceil(PAGE_SIZE);
        let mut table = MaybeUninit::<bindings::sg_table>::zeroed();
        // SAFETY: The caller guarantees the pages. The list of them is only read.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                table.as_mut_ptr(),
                pages.as_ptr().cast_mut(),
                count as c_uint,
                offset as c_uint,
                length,
                most,
                bindings::GFP_KERNEL_ACCOUNT,
            )
        })?;
        // SAFETY: It was initialized just now.
        // INVARIANT: The caller guarantees the pages.
        Ok(Self(unsafe { table.assume_init() }, PhantomData))
    }

    /// Maps it for a device while `f` has the device write to it. Does not sleep, if `f` does not.
    pub(crate) fn with_device<R>(
        &mut self,
        device: &device::Device<Bound>,
        f: impl FnOnce(&mut Segments<'_>) -> Result<R>,
    ) -> Result<R> {
        let (device, table) = (super::raw_device(device), &raw mut self.0);
        // SAFETY: The table is valid, and not mapped, by the type's invariant; the device is bound.
        to_result(unsafe { bindings::dma_map_sgtable(device, table, FROM_DEVICE, 0) })?;
        // SAFETY: The table lives through the call, and nobody changes it.
        let entries = unsafe { SGTable::from_raw(table) };
        let mut segments = entries
            .iter()
            .map(|entry| (entry.dma_address(), entry.dma_len() as u32));
        let result = f(&mut segments);
        // SAFETY: It was mapped just now, for this device and in this way.
        unsafe { bindings::dma_unmap_sgtable(device, table, FROM_DEVICE, 0) };
        result
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        // SAFETY: The table is valid, and not mapped, by the type's invariant.
        unsafe { bindings::sg_free_table(&mut self.0) };
    }
}
