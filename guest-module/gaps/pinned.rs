// SPDX-License-Identifier: GPL-2.0-or-later

//! The memory of a caller, for a device to write to.

use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT, bindings, iov::IovIterDest, page::PAGE_SIZE, prelude::*,
};

use super::Table;

/// Pages that a caller wants to have written to, which stay where they are until this is dropped.
///
/// # Invariants
///
/// `pages` were pinned by `iov_iter_extract_pages`, to be written to, and `length` bytes from `offset`
/// in the first of them on are within them. `length` is not 0.
pub(crate) struct Pinned {
    pages: KVec<*mut bindings::page>,
    offset: usize,
    length: usize,
}

impl Pinned {
    /// Pins the next memory of the caller's in `to`, without going forward in it: one piece of at most
    /// `most` bytes. Its address and its length are multiples of `unit`. Returns `None` if fewer than
    /// `least` bytes, or none, can be pinned.
    ///
    /// Sleeps while pages are made, or are under the control of another program (userfaultfd).
    pub(crate) fn take(
        to: &mut IovIterDest<'_>,
        least: usize,
        most: usize,
        unit: usize,
    ) -> Option<Self> {
        let iter = to.as_raw();
        // SAFETY: It is a valid `struct iov_iter`.
        let kind: u32 = unsafe { (*iter).iter_type }.into();
        if kind != bindings::iter_type_ITER_UBUF && kind != bindings::iter_type_ITER_IOVEC {
            return None;
        }
        // It may begin and end within a page.
        let room = most.div_ceil(PAGE_SIZE) + 1;
        let mut pages =
            KVec::<*mut bindings::page>::with_capacity(room, GFP_KERNEL_ACCOUNT).ok()?;
        let mut array = pages.as_mut_ptr();
        let mut offset = 0;
        // SAFETY: There is room for so many pages in the array, which is ours.
        let got = unsafe {
            bindings::iov_iter_extract_pages(iter, &mut array, most, room as c_uint, 0, &mut offset)
        };
        let got = usize::try_from(got).ok().filter(|got| *got > 0)?;
        // SAFETY: It has just gone forward by so many bytes.
        unsafe { to.revert(got) };
        // SAFETY: The function has stored as many pages as have `got` bytes from `offset` on.
        unsafe { pages.inc_len((offset + got).div_ceil(PAGE_SIZE)) };
        // INVARIANT: The pages have `got` bytes from `offset` on, and this is no more. If it is 0, the value
        // is dropped here.
        let pinned = Self {
            pages,
            offset,
            length: got / unit * unit,
        };
        (pinned.length >= least.max(1) && offset % unit == 0).then_some(pinned)
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// All of it, for a device. A device takes no piece that is longer than `most`.
    pub(crate) fn table(&self, most: u32) -> Result<Table<'_>> {
        // SAFETY: By the type's invariant the pages are pinned as long as this value lives and have these
        // bytes, and there is at least one.
        unsafe { Table::new(&self.pages, self.offset, self.length, most) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let count = self.pages.len() as c_ulong;
        // SAFETY: They were pinned once, each time that they are in the list, by the type's invariant.
        unsafe { bindings::unpin_user_pages_dirty_lock(self.pages.as_mut_ptr(), count, true) };
    }
}
