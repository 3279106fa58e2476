// SPDX-License-Identifier: GPL-2.0-or-later

//! Where a device lives while QEMU holds a pointer to it.

use core::cell::RefCell;

use super::bindings;

/// A value that QEMU's callbacks reach through a shared reference.
///
/// The BQL keeps other threads away, and is looked for at each borrow. This cell keeps the one thread from two
/// borrows at once: QEMU may call back into a device while one of the device's own callbacks runs, so no `&mut`
/// may be made from the pointer that it hands out. Callbacks borrow the value here instead, for as long as plain
/// Rust code runs on it, and act on QEMU (interrupts, reports) after the borrow has ended. What a device asks of
/// its `Host` meanwhile does not come back to it, except by way of an IOMMU whose tables a guest has put into the
/// device's own BAR: QEMU refuses that, and so does this cell.
pub struct BqlCell<T>(RefCell<T>);

impl<T> BqlCell<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Runs `f` on the value. `None`, without running it, if the value is borrowed already, or if this thread
    /// does not hold the BQL.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !is_locked() {
            return None;
        }
        self.0.try_borrow_mut().ok().map(|mut value| f(&mut value))
    }
}

/// Whether this thread holds the BQL.
pub fn is_locked() -> bool {
    // SAFETY: looks at a variable of this thread; no precondition.
    unsafe { bindings::seam_bql_locked() }
}
