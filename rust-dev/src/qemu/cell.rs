// SPDX-License-Identifier: GPL-2.0-or-later

//! Where a model lives while QEMU holds a pointer to it.

use core::cell::RefCell;

use super::bindings;

/// A value that QEMU's callbacks reach through a shared reference.
///
/// QEMU's big lock (BQL) keeps other threads away, and is looked for at each borrow; this keeps the one
/// thread from two borrows at once. QEMU may call back into a device while one of the device's own
/// callbacks runs, so no `&mut` may be made from the pointer that it hands out. Callbacks borrow the value
/// here instead, for as long as plain Rust code runs on it, and act on QEMU after the borrow has ended.
/// What a model asks of its `Host` meanwhile (entropy, memory, tracing) does not come back to a device, but
/// for an IOMMU whose tables a guest has put into a device's registers: QEMU refuses that for the device
/// itself, and so does this cell.
pub struct BqlCell<T>(RefCell<T>);

impl<T> BqlCell<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Runs `f` on the value; `None` if it is borrowed already, which a callback that keeps to the
    /// rule above never meets, or if this thread does not hold the lock, as when a migration stream
    /// brings a device's state where none may come.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        // SAFETY: looks at a variable of this thread; no precondition.
        if !unsafe { bindings::seam_bql_locked() } {
            return None;
        }
        self.0.try_borrow_mut().ok().map(|mut value| f(&mut value))
    }
}
