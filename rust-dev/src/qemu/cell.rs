// SPDX-License-Identifier: GPL-2.0-or-later

//! Where a model lives while QEMU holds a pointer to it.

use core::cell::RefCell;

/// A value that QEMU's callbacks reach through a shared reference.
///
/// QEMU's big lock (BQL) keeps other threads away; this keeps the one thread from two borrows at once.
/// QEMU may call back into a device while one of the device's own callbacks runs, so no `&mut` may
/// be made from the pointer that it hands out. Callbacks borrow the value here instead, for as long
/// as plain Rust code runs on it, and act on QEMU only after the borrow has ended.
pub struct BqlCell<T>(RefCell<T>);

impl<T> BqlCell<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Runs `f` on the value; `None` if it is borrowed already, which a callback that keeps to the
    /// rule above never meets.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_borrow_mut().ok().map(|mut value| f(&mut value))
    }
}
