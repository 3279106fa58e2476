// SPDX-License-Identifier: GPL-2.0-or-later

//! Memory that a device writes to, and that programs can be given to read in.

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
/// Programs may have them mapped, and may write to them at any time. So nothing here makes a reference
/// to their bytes.
///
/// # Invariants
///
/// `pages` are those of `memory`, in their order, and it has `size` bytes. It is never touched but by
/// its address, and never grows.
pub(crate) struct Buffer {
    memory: VVec<u8>,
    pages: KVec<*mut bindings::page>,
    size: usize,
}

// SAFETY: The pointers lead to what `memory` owns, and that can be sent to any task.
unsafe impl Send for Buffer {}

// SAFETY: All that can be done with a shared reference is to have bytes copied, and references to pages
// made, which is the same from any task.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Makes one of `size` bytes, all 0, which is charged to the caller's cgroup.
    pub(crate) fn new(size: usize) -> Result<Self> {
        let mut memory = VVec::<u8>::with_capacity(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO)?;
        let mut pages = KVec::with_capacity(size.div_ceil(PAGE_SIZE), GFP_KERNEL_ACCOUNT)?;
        for page in memory.page_iter() {
            pages.push(page.as_ptr(), GFP_KERNEL_ACCOUNT)?;
        }
        if pages.len() != size.div_ceil(PAGE_SIZE) {
            return Err(ENOMEM);
        }
        // INVARIANT: These are its pages, and nothing else has it.
        Ok(Self {
            memory,
            pages,
            size,
        })
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A part of it, for a device. A device takes no piece that is longer than `most`.
    pub(crate) fn table(&self, part: Range<usize>, most: u32) -> Result<Table<'_>> {
        if part.is_empty() || part.end > self.size {
            return Err(EINVAL);
        }
        let pages = self.pages.get(part.start / PAGE_SIZE..).ok_or(EINVAL)?;
        // SAFETY: The pages are there as long as we are, and have the part, for it ends within them.
        unsafe { Table::new(pages, part.start % PAGE_SIZE, part.len(), most) }
    }

    /// Copies its first `length` bytes; returns how many could be stored.
    pub(crate) fn copy_to(&self, length: usize, to: &mut IovIterDest<'_>) -> usize {
        let length = length.min(self.size);
        // SAFETY: There are as many bytes, which were all written once, by the type's invariant and
        // `__GFP_ZERO`, and `to` may be written to. Others may write to the bytes meanwhile, as they may
        // to those of a user's memory; what is copied is then theirs or ours.
        unsafe { bindings::_copy_to_iter(self.memory.as_ptr().cast(), length, to.as_raw()) }
    }

    /// Overwrites its first `length` bytes, so that nobody finds them in the kernel's memory later.
    pub(crate) fn wipe(&mut self, length: usize) {
        let length = length.min(self.size);
        // SAFETY: There are as many bytes, by the type's invariant. Others may write to them meanwhile,
        // as above.
        unsafe { super::c::my_rng_memzero_explicit(self.memory.as_mut_ptr().cast(), length) };
    }

    /// Maps it into the memory of a program, from its first byte on, as far as `vma` goes.
    pub(crate) fn map(&self, vma: &VmaNew) -> Result {
        // SAFETY: `vma` is being made, so nobody else changes it.
        let first = unsafe { (*vma.as_ptr()).vm_pgoff };
        let count = (vma.end() - vma.start()) / PAGE_SIZE;
        // Of a file that was opened for reading only a shared mapping has only this flag of the two.
        let shared = vma.flags() & virt::flags::MAYSHARE != 0;
        if first != 0 || count > self.pages.len() || !shared {
            return Err(EINVAL);
        }
        vma.set_dontexpand();
        vma.set_dontdump();
        vma.try_clear_mayexec()?;
        let mapping = vma.set_mixedmap();
        for (index, page) in self.pages.iter().take(count).enumerate() {
            // SAFETY: The page is one of ours, by the type's invariant. Whoever maps it keeps a reference
            // to it.
            let page = unsafe { BorrowedPage::from_raw(NonNull::new(*page).ok_or(EFAULT)?) };
            mapping.vm_insert_page(vma.start() + index * PAGE_SIZE, &page)?;
        }
        Ok(())
    }
}
