// SPDX-License-Identifier: GPL-2.0-or-later

//! A fixed number of items that callers share.

use core::mem;
use kernel::{
    prelude::*,
    sync::{new_condvar, new_spinlock, CondVar, SpinLock},
};

/// Items that callers use for a short time. A caller waits while all are in use.
///
/// The pool is fair: a returned item is promised to a waiting caller, so a caller that arrives later cannot
/// take it. Waiting callers are woken in FIFO order.
#[pin_data]
pub(crate) struct Pool<T> {
    #[pin]
    state: SpinLock<State<T>>,
    /// Notified when an item is promised, when the pool is closed, and when an item is returned after that.
    #[pin]
    changed: CondVar,
    /// The number of items, free or in use.
    count: usize,
}

struct State<T> {
    free: KVec<T>,
    /// The number of waiting callers.
    waiting: usize,
    /// How many free items are reserved for waiting callers; at most the number of either.
    promised: usize,
    is_closed: bool,
}

impl<T> State<T> {
    /// Takes an item for a new caller. Returns `None` if all free items are promised.
    fn take_unpromised(&mut self) -> Option<T> {
        if self.free.len() == self.promised {
            return None;
        }
        self.free.pop()
    }

    /// Takes an item for a caller that has waited. Returns `None` if none is promised.
    fn take_promised(&mut self) -> Option<T> {
        self.promised = self.promised.checked_sub(1)?;
        self.free.pop()
    }

    /// Returns an item. If the result is true, wake one waiting caller: each promise wakes one.
    fn give_back(&mut self, item: T) -> bool {
        let kept = self.free.push_within_capacity(item);
        // The vector never shrinks.
        debug_assert!(kept.is_ok());
        let is_wanted = self.waiting > self.promised;
        self.promised += usize::from(is_wanted);
        is_wanted
    }
}

impl<T> Pool<T> {
    pub(crate) fn new(items: KVec<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            count: items.len(),
            state <- new_spinlock!(
                State {
                    free: items,
                    waiting: 0,
                    promised: 0,
                    is_closed: false,
                },
                "my_rng::Pool::state"
            ),
            changed <- new_condvar!("my_rng::Pool::changed"),
        })
    }

    /// Calls `f` with an item, and sleeps before that while all are in use. Fails with `ERESTARTSYS` if a
    /// signal arrives during the sleep, and with `ENODEV` if the pool is closed.
    ///
    /// `f` must not sleep, because [`Self::close`] and other callers wait for it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let item = self.take()?;
        let result = f(&item);
        self.give_back(item);
        Ok(result)
    }

    fn take(&self) -> Result<T> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(ENODEV);
        }
        if let Some(item) = state.take_unpromised() {
            return Ok(item);
        }
        loop {
            state.waiting += 1;
            let is_interrupted = self.changed.wait_interruptible(&mut state);
            state.waiting -= 1;
            if state.is_closed {
                return Err(ENODEV);
            }
            // Check this even after a signal: a promise wakes only one caller, and it may have been this
            // one. If it was another, that one finds no promise and waits again.
            if let Some(item) = state.take_promised() {
                return Ok(item);
            }
            if is_interrupted {
                return Err(ERESTARTSYS);
            }
        }
    }

    fn give_back(&self, item: T) {
        let mut state = self.state.lock();
        // After `close`, wake it for every item.
        if state.give_back(item) || state.is_closed {
            self.changed.notify_one();
        }
    }

    /// Fails with `ENODEV` if the pool is closed.
    pub(crate) fn check(&self) -> Result {
        (!self.state.lock().is_closed).then_some(()).ok_or(ENODEV)
    }

    /// Closes the pool: waiting and later callers get `ENODEV`. Sleeps until no item is in use, then
    /// returns all items.
    pub(crate) fn close(&self) -> KVec<T> {
        let mut state = self.state.lock();
        state.is_closed = true;
        self.changed.notify_all();
        while state.free.len() < self.count {
            self.changed.wait(&mut state);
        }
        mem::take(&mut state.free)
    }
}

#[kunit_tests(my_rng_pool)]
mod tests {
    use super::*;

    fn state(count: usize) -> State<usize> {
        let mut free = KVec::new();
        for item in 0..count {
            assert!(free.push(item, GFP_KERNEL).is_ok());
        }
        State {
            free,
            waiting: 0,
            promised: 0,
            is_closed: false,
        }
    }

    #[test]
    fn later_caller_does_not_get_a_promised_item() {
        let mut state = state(1);
        assert_eq!(state.take_unpromised(), Some(0));
        assert_eq!(state.take_unpromised(), None);
        state.waiting = 1;
        assert!(state.give_back(0));
        // For example, the caller that has just returned it.
        assert_eq!(state.take_unpromised(), None);
        state.waiting = 0;
        assert_eq!(state.take_promised(), Some(0));
        assert!(!state.give_back(0));
        assert_eq!(state.take_unpromised(), Some(0));
    }

    #[test]
    fn each_waiting_caller_is_promised_one_item() {
        let mut state = state(3);
        while state.take_unpromised().is_some() {}
        state.waiting = 2;
        assert!(state.give_back(0));
        assert!(state.give_back(1));
        assert!(!state.give_back(2));
        assert_eq!(state.promised, 2);
        // The third is not promised.
        assert!(state.take_unpromised().is_some());
        assert_eq!(state.take_unpromised(), None);
        for waiting in [1, 0] {
            state.waiting = waiting;
            assert!(state.take_promised().is_some());
        }
        assert_eq!(state.take_promised(), None);
    }
}
