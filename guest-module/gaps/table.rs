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

/// DMA addresses and lengths in bytes.
pub(crate) type Segments<'a> = dyn Iterator<Item = (DmaAddress, u32)> + 'a;

/// A scatter-gather table of pages, which can be mapped for a device to write to.
///
/// # Invariants
///
/// `0` is a valid `struct sg_table` of pages that stay valid for `'a`. It is mapped for DMA only inside
/// `with_device`.
pub(crate) struct Table<'a>(bindings::sg_table, PhantomData<&'a ()>);

// SAFETY: `self` owns the table and its list, and neither is bound to a task.
unsafe impl Send for Table<'_> {}

impl Table<'_> {
    /// Creates a table of the `length` bytes from `offset` in the first page, with segments of at most
    /// `max_segment` bytes.
    ///
    /// # Safety
    ///
    /// The pages must stay valid as long as the result, and must contain these bytes. `length` must not be
    /// 0.
    pub(super) unsafe fn new(
        pages: &[*mut bindings::page],
        offset: usize,
        length: usize,
        max_segment: u32,
    ) -> Result<Self> {
        // Leave out pages behind the last byte, which would become an empty segment.
        let count = (offset + length).div_ceil(PAGE_SIZE);
        let mut table = MaybeUninit::<bindings::sg_table>::zeroed();
        // SAFETY: `table` is valid for writes. The caller guarantees the pages and that they contain the
        // bytes, so `pages` has at least `count` entries, which the function only reads.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                table.as_mut_ptr(),
                pages.as_ptr().cast_mut(),
                count as c_uint,
                offset as c_uint,
                length,
                max_segment,
                bindings::GFP_KERNEL_ACCOUNT,
            )
        })?;
        // SAFETY: The call above has initialized it.
        // INVARIANT: The table is valid and not mapped; the caller guarantees the pages.
        Ok(Self(unsafe { table.assume_init() }, PhantomData))
    }

    /// Maps the table for DMA, calls `f`, which lets the device write to it, and unmaps it. Sleeps only if
    /// `f` does.
    pub(crate) fn with_device<R>(
        &mut self,
        device: &device::Device<Bound>,
        f: impl FnOnce(&mut Segments<'_>) -> Result<R>,
    ) -> Result<R> {
        let (device, table) = (super::raw_device(device), &raw mut self.0);
        // SAFETY: By the type's invariant the table is valid and not mapped. The device is bound.
        to_result(unsafe { bindings::dma_map_sgtable(device, table, FROM_DEVICE, 0) })?;
        // SAFETY: The table is valid and stays unchanged while `entries` is used, because `self` is
        // borrowed mutably.
        let entries = unsafe { SGTable::from_raw(table) };
        let mut segments = entries
            .iter()
            .map(|entry| (entry.dma_address(), entry.dma_len() as u32));
        let result = f(&mut segments);
        // SAFETY: The table was mapped above for the same device and direction.
        unsafe { bindings::dma_unmap_sgtable(device, table, FROM_DEVICE, 0) };
        result
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the table is valid and not mapped, and it is not used after this.
        unsafe { bindings::sg_free_table(&mut self.0) };
    }
}
