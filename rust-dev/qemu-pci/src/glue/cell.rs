// SPDX-License-Identifier: GPL-2.0-or-later

//! Where a device lives while QEMU holds a pointer to it.

use core::cell::RefCell;

use super::bindings;
use crate::gate::BigLock;

/// A value that QEMU's callbacks reach through a shared reference.
///
/// The BQL keeps other threads out; each borrow checks that it is held. A borrow may go on without the BQL only while
/// a [`Gate`](crate::gate::Gate) keeps all others away. The cell keeps one thread from borrowing twice:
/// QEMU may call a device while one of the device's own callbacks runs, so a `&mut` from QEMU's pointer would be
/// unsound. A callback borrows the value only while the device's method runs, and acts on QEMU (interrupts, reports)
/// after that. The method's own calls of its `Host` do not re-enter the device, except through an IOMMU whose tables a
/// guest has put into the device's BAR: this cell refuses that.
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

/// QEMU's big lock.
#[derive(Debug)]
pub struct Bql;

impl BigLock for Bql {
    fn lock(&self) {
        // SAFETY: this thread does not hold it, as the trait says.
        unsafe { bindings::seam_bql_lock() };
    }

    fn unlock(&self) {
        // SAFETY: this thread holds it, as the trait says.
        unsafe { bindings::seam_bql_unlock() };
    }
}

/// Whether this thread holds the BQL.
pub fn is_locked() -> bool {
    // SAFETY: looks at a variable of this thread; no precondition.
    unsafe { bindings::seam_bql_locked() }
}
