// SPDX-License-Identifier: GPL-2.0-or-later

//! The memory of a caller, for a device to write to.

use kernel::{bindings, iov::IovIterDest, page::PAGE_SIZE, prelude::*};

use super::Table;

/// Pages that a caller wants to have written to, which stay where they are until this is dropped.
///
/// # Invariants
///
/// `pages` were pinned by `iov_iter_extract_pages`, to be written to, and `length` bytes from `offset`
/// in the first of them on are within them.
pub(crate) struct Pinned {
    pages: KVec<*mut bindings::page>,
    offset: usize,
    length: usize,
}

impl Pinned {
    /// Pins what comes next in `to`, in one piece of the caller's memory and at most `most` bytes, and
    /// goes past it. Its start and length are multiples of `unit`. None where that is less than `least`
    /// bytes, or no memory of a program's that can be pinned; `to` is as it was then.
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
        let mut pages = KVec::<*mut bindings::page>::with_capacity(room, GFP_KERNEL).ok()?;
        let mut array = pages.as_mut_ptr();
        let mut offset = 0;
        // SAFETY: There is room for so many pages in the array, which is ours.
        let got = unsafe {
            bindings::iov_iter_extract_pages(iter, &mut array, most, room as c_uint, 0, &mut offset)
        };
        let got = usize::try_from(got).ok().filter(|got| *got > 0)?;
        // SAFETY: The function has stored as many pages as have `got` bytes from `offset` on.
        unsafe { pages.inc_len((offset + got).div_ceil(PAGE_SIZE)) };
        let length = got / unit * unit;
        // INVARIANT: That is what was done above.
        let pinned = Self {
            pages,
            offset,
            length,
        };
        let fits = length >= least && offset % unit == 0;
        let back = if fits { got - length } else { got };
        // SAFETY: It has just gone `got` bytes forward, and that is no less.
        unsafe { to.revert(back) };
        fits.then_some(pinned)
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// All of it, for a device. A device takes no piece that is longer than `most`.
    pub(crate) fn table(&self, most: u32) -> Result<Table<'_>> {
        // SAFETY: The pages are pinned as long as we live, and have these bytes, by the type's invariant;
        // they are some, as none are taken.
        unsafe { Table::new(&self.pages, self.offset, self.length, most) }
    }

    /// Goes back in `to`, from which it was taken last, by the last `length` bytes: they were not written to.
    pub(crate) fn give_back(self, length: usize, to: &mut IovIterDest<'_>) {
        // SAFETY: `take` has gone forward over as many bytes, and nothing since, by the caller's word.
        unsafe { to.revert(length.min(self.length)) };
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let count = self.pages.len() as c_ulong;
        // SAFETY: They were pinned once, each time that they are in the list, by the type's invariant.
        unsafe { bindings::unpin_user_pages_dirty_lock(self.pages.as_mut_ptr(), count, true) };
    }
}
