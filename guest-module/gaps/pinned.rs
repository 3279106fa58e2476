// SPDX-License-Identifier: GPL-2.0-or-later

//! A caller's pinned memory, for a device to write to.

use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT, bindings, iov::IovIterDest, page::PAGE_SIZE, prelude::*,
};

use super::Table;

/// Pages of a caller, pinned for writing until dropped.
///
/// # Invariants
///
/// `iov_iter_extract_pages` pinned `pages` for writing; each entry holds one pin. They contain the `length`
/// bytes from `offset` in the first page. `length` is not 0, except while `take` drops a value that it does
/// not return.
pub(crate) struct Pinned {
    pages: KVec<*mut bindings::page>,
    offset: usize,
    length: usize,
}

impl Pinned {
    /// Pins the next contiguous memory in `to`, at most `most` bytes. Address and length are multiples of
    /// `unit`. Does not advance `to`. Returns `None` if fewer than `least` bytes, or none, can be pinned.
    ///
    /// Sleeps to fault in pages, also for a long time if another program controls them (userfaultfd).
    pub(crate) fn take(
        to: &mut IovIterDest<'_>,
        least: usize,
        most: usize,
        unit: usize,
    ) -> Option<Self> {
        let iter = to.as_raw();
        // SAFETY: An `IovIterDest` wraps a valid `struct iov_iter`.
        let kind: u32 = unsafe { (*iter).iter_type }.into();
        if kind != bindings::iter_type_ITER_UBUF && kind != bindings::iter_type_ITER_IOVEC {
            return None;
        }
        // The memory may begin and end inside a page.
        let room = most.div_ceil(PAGE_SIZE) + 1;
        let mut pages =
            KVec::<*mut bindings::page>::with_capacity(room, GFP_KERNEL_ACCOUNT).ok()?;
        let mut array = pages.as_mut_ptr();
        let mut offset = 0;
        // SAFETY: `iter` is valid, and `array` has room for `room` pages, so the function does not allocate
        // one.
        let got = unsafe {
            bindings::iov_iter_extract_pages(iter, &mut array, most, room as c_uint, 0, &mut offset)
        };
        let got = usize::try_from(got).ok().filter(|got| *got > 0)?;
        // SAFETY: The function has just advanced `to` by `got` bytes.
        unsafe { to.revert(got) };
        // SAFETY: The function has stored exactly the pages that contain the `got` bytes from `offset`,
        // which are at most `room`.
        unsafe { pages.inc_len((offset + got).div_ceil(PAGE_SIZE)) };
        // INVARIANT: The pages contain `got` bytes from `offset`, and `length` is at most `got`. If it is
        // 0, the value is dropped below.
        let pinned = Self {
            pages,
            offset,
            length: got / unit * unit,
        };
        (pinned.length >= least.max(1) && offset % unit == 0).then_some(pinned)
    }

    /// The length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Returns a scatter-gather table of it, with segments of at most `max_segment` bytes.
    pub(crate) fn table(&self, max_segment: u32) -> Result<Table<'_>> {
        // SAFETY: By the type's invariant the pages stay pinned while `self` is borrowed, and contain these
        // bytes, at least one.
        unsafe { Table::new(&self.pages, self.offset, self.length, max_segment) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let count = self.pages.len() as c_ulong;
        // SAFETY: By the type's invariant each entry holds one pin, which this releases.
        unsafe { bindings::unpin_user_pages_dirty_lock(self.pages.as_mut_ptr(), count, true) };
    }
}
