// SPDX-License-Identifier: GPL-2.0-or-later

//! A fixed number of things that callers share.

use core::mem;
use kernel::{
    prelude::*,
    sync::{new_condvar, new_spinlock, CondVar, SpinLock},
};

/// Things that callers use one at a time, each for a short while. A caller that finds none left waits.
#[pin_data]
pub(crate) struct Pool<T> {
    #[pin]
    state: SpinLock<State<T>>,
    /// Notified when a thing comes back that somebody waits for, and when the pool is closed.
    #[pin]
    changed: CondVar,
    /// How many things there are, in use or not.
    count: usize,
}

struct State<T> {
    free: KVec<T>,
    /// How many callers wait.
    waiting: usize,
    is_closed: bool,
}

impl<T> Pool<T> {
    pub(crate) fn new(things: KVec<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            count: things.len(),
            state <- new_spinlock!(
                State {
                    free: things,
                    waiting: 0,
                    is_closed: false,
                },
                "my_rng::Pool::state"
            ),
            changed <- new_condvar!("my_rng::Pool::changed"),
        })
    }

    /// Runs `f` with one of the things. Sleeps before that while all are in use: fails with `ERESTARTSYS`
    /// if a signal comes meanwhile, and with `ENODEV` if the pool is closed.
    ///
    /// `f` must not sleep: others wait for it, [`Self::close`] among them.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let thing = self.take()?;
        let result = f(&thing);
        self.give_back(thing);
        Ok(result)
    }

    fn take(&self) -> Result<T> {
        let mut state = self.state.lock();
        let mut is_interrupted = false;
        loop {
            if state.is_closed {
                return Err(ENODEV);
            }
            // Looked for even after a signal: the notification of a thing wakes one caller only, maybe
            // this one.
            if let Some(thing) = state.free.pop() {
                return Ok(thing);
            }
            if is_interrupted {
                return Err(ERESTARTSYS);
            }
            state.waiting += 1;
            is_interrupted = self.changed.wait_interruptible(&mut state);
            state.waiting -= 1;
        }
    }

    fn give_back(&self, thing: T) {
        let mut state = self.state.lock();
        let kept = state.free.push_within_capacity(thing);
        // Its place in the vector is still there.
        debug_assert!(kept.is_ok());
        if state.is_closed {
            self.changed.notify_all();
        } else if state.waiting > 0 {
            self.changed.notify_one();
        }
    }

    /// Fails with `ENODEV` if the pool is closed.
    pub(crate) fn check(&self) -> Result {
        (!self.state.lock().is_closed).then_some(()).ok_or(ENODEV)
    }

    /// Ends the pool: those who wait, and all who come later, get `ENODEV`. Sleeps until nobody uses a
    /// thing any more, and returns them all.
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
