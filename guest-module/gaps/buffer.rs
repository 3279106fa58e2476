// SPDX-License-Identifier: GPL-2.0-or-later

//! Memory that a device writes to and that programs can map.

use core::{ops::Range, ptr::NonNull};
use kernel::{
    alloc::flags::{__GFP_ZERO, GFP_KERNEL_ACCOUNT},
    bindings,
    iov::IovIterDest,
    mm::virt::{self, VmaNew},
    page::{AsPageIter, BorrowedPage, PAGE_SIZE},
    prelude::*,
};

use super::Table;

/// Pages for a device to write to.
///
/// Programs may have them mapped and write to them at any time, so no Rust reference to the bytes may
/// exist.
///
/// # Invariants
///
/// `pages` are the pages of `memory`, in order. `memory` has a capacity of at least `size` bytes, all
/// initialized; it is accessed only through its address, and is never reallocated.
pub(crate) struct Buffer {
    memory: VVec<u8>,
    pages: KVec<*mut bindings::page>,
    size: usize,
}

// SAFETY: The pointers refer to pages that `memory` owns, and a `VVec<u8>` may be sent to another task.
unsafe impl Send for Buffer {}

// SAFETY: A shared reference only allows copying bytes in C, mapping the pages, and having a device write to
// them. Any number of tasks may do so at the same time.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Allocates `size` zeroed bytes, charged to the caller's cgroup.
    pub(crate) fn new(size: usize) -> Result<Self> {
        let mut memory = VVec::<u8>::with_capacity(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO)?;
        let mut pages = KVec::with_capacity(size.div_ceil(PAGE_SIZE), GFP_KERNEL_ACCOUNT)?;
        for page in memory.page_iter() {
            pages.push(page.as_ptr(), GFP_KERNEL_ACCOUNT)?;
        }
        if pages.len() != size.div_ceil(PAGE_SIZE) {
            return Err(ENOMEM);
        }
        // INVARIANT: `pages` were just taken from `memory`, which was allocated zeroed with this capacity.
        Ok(Self {
            memory,
            pages,
            size,
        })
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns a scatter-gather table of a part of it, with segments of at most `max_segment` bytes.
    pub(crate) fn table(&self, part: Range<usize>, max_segment: u32) -> Result<Table<'_>> {
        if part.is_empty() || part.end > self.size {
            return Err(EINVAL);
        }
        let pages = self.pages.get(part.start / PAGE_SIZE..).ok_or(EINVAL)?;
        // SAFETY: `self` owns the pages, and the table borrows `self`. The part is not empty and ends
        // within `size`, so the pages contain it.
        unsafe { Table::new(pages, part.start % PAGE_SIZE, part.len(), max_segment) }
    }

    /// Copies the first `length` bytes to `to`. Returns how many bytes could be stored.
    pub(crate) fn copy_to(&self, length: usize, to: &mut IovIterDest<'_>) -> usize {
        let length = length.min(self.size);
        // SAFETY: By the type's invariant `memory` has `length` initialized bytes, and `to` is a valid
        // destination. A program or the device may write to the bytes at the same time; the copy is made in
        // C, so that is no data race in Rust, and it yields the old or the new bytes.
        unsafe { bindings::_copy_to_iter(self.memory.as_ptr().cast(), length, to.as_raw()) }
    }

    /// Zeroes the first `length` bytes, so that no secrets stay in kernel memory.
    pub(crate) fn wipe(&mut self, length: usize) {
        let length = length.min(self.size);
        // SAFETY: By the type's invariant `memory` has `length` bytes. As in `copy_to`, concurrent writes
        // are no data race in Rust.
        unsafe { super::c::my_rng_memzero_explicit(self.memory.as_mut_ptr().cast(), length) };
    }

    /// Maps it into a program's memory: from its first byte to the end of `vma`. Only shared mappings are
    /// allowed.
    pub(crate) fn map(&self, vma: &VmaNew) -> Result {
        // SAFETY: `vma` points to a valid `vm_area_struct`. It is not yet part of the address space, so
        // nothing else changes it.
        let first = unsafe { (*vma.as_ptr()).vm_pgoff };
        let count = (vma.end() - vma.start()) / PAGE_SIZE;
        // Not VM_SHARED, which the kernel clears if the file was opened read-only.
        let shared = vma.flags() & virt::flags::MAYSHARE != 0;
        if first != 0 || count > self.pages.len() || !shared {
            return Err(EINVAL);
        }
        vma.set_dontexpand();
        vma.set_dontdump();
        vma.try_clear_mayexec()?;
        let mapping = vma.set_mixedmap();
        for (index, page) in self.pages.iter().take(count).enumerate() {
            // SAFETY: By the type's invariant this is a valid page that `memory` owns for the duration of
            // the borrow. (The mapping takes its own reference.)
            let page = unsafe { BorrowedPage::from_raw(NonNull::new(*page).ok_or(EFAULT)?) };
            mapping.vm_insert_page(vma.start() + index * PAGE_SIZE, &page)?;
        }
        Ok(())
    }
}
