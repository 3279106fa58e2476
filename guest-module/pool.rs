// SPDX-License-Identifier: GPL-2.0-or-later

//! A fixed number of things that callers share.

use core::mem;
use kernel::{
    prelude::*,
    sync::{new_condvar, new_spinlock, CondVar, SpinLock},
};

/// Things that callers use one at a time, each for a short while. A caller that finds none left waits.
///
/// Callers take turns: a thing that comes back is promised to those who wait, so that a caller that comes
/// later, or once more, does not get it before them. Of those who wait, the first that came is woken.
#[pin_data]
pub(crate) struct Pool<T> {
    #[pin]
    state: SpinLock<State<T>>,
    /// Notified when a thing is promised, and when the pool is closed or a thing comes back after that.
    #[pin]
    changed: CondVar,
    /// How many things there are, in use or not.
    count: usize,
}

struct State<T> {
    free: KVec<T>,
    /// How many callers wait.
    waiting: usize,
    /// How many of the free things are for callers that wait; never more than there are of either.
    promised: usize,
    is_closed: bool,
}

impl<T> State<T> {
    /// A thing for a caller that has just come, unless those that are free are promised.
    fn take_unpromised(&mut self) -> Option<T> {
        if self.free.len() == self.promised {
            return None;
        }
        self.free.pop()
    }

    /// A thing for a caller that has waited, if one is promised.
    fn take_promised(&mut self) -> Option<T> {
        self.promised = self.promised.checked_sub(1)?;
        self.free.pop()
    }

    /// Returns whether a caller that waits has to be woken: one for each promise.
    fn give_back(&mut self, thing: T) -> bool {
        let kept = self.free.push_within_capacity(thing);
        // Its place in the vector is still there.
        debug_assert!(kept.is_ok());
        let is_wanted = self.waiting > self.promised;
        self.promised += usize::from(is_wanted);
        is_wanted
    }
}

impl<T> Pool<T> {
    pub(crate) fn new(things: KVec<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            count: things.len(),
            state <- new_spinlock!(
                State {
                    free: things,
                    waiting: 0,
                    promised: 0,
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
        if state.is_closed {
            return Err(ENODEV);
        }
        if let Some(thing) = state.take_unpromised() {
            return Ok(thing);
        }
        loop {
            state.waiting += 1;
            let is_interrupted = self.changed.wait_interruptible(&mut state);
            state.waiting -= 1;
            if state.is_closed {
                return Err(ENODEV);
            }
            // Even after a signal: each promise wakes one caller only, maybe this one. If it was another,
            // that one finds no promise and waits on.
            if let Some(thing) = state.take_promised() {
                return Ok(thing);
            }
            if is_interrupted {
                return Err(ERESTARTSYS);
            }
        }
    }

    fn give_back(&self, thing: T) {
        let mut state = self.state.lock();
        // Once the pool is closed, only `close` waits.
        if state.give_back(thing) || state.is_closed {
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

#[kunit_tests(my_rng_pool)]
mod tests {
    use super::*;

    fn state(count: usize) -> State<usize> {
        let mut free = KVec::new();
        for thing in 0..count {
            assert!(free.push(thing, GFP_KERNEL).is_ok());
        }
        State {
            free,
            waiting: 0,
            promised: 0,
            is_closed: false,
        }
    }

    #[test]
    fn who_comes_later_does_not_get_what_is_promised() {
        let mut state = state(1);
        assert_eq!(state.take_unpromised(), Some(0));
        assert_eq!(state.take_unpromised(), None);
        state.waiting = 1;
        assert!(state.give_back(0));
        // The caller that gave it back comes again.
        assert_eq!(state.take_unpromised(), None);
        state.waiting = 0;
        assert_eq!(state.take_promised(), Some(0));
        assert!(!state.give_back(0));
        assert_eq!(state.take_unpromised(), Some(0));
    }

    #[test]
    fn each_who_waits_is_promised_one_thing() {
        let mut state = state(3);
        while state.take_unpromised().is_some() {}
        state.waiting = 2;
        assert!(state.give_back(0));
        assert!(state.give_back(1));
        assert!(!state.give_back(2));
        assert_eq!(state.promised, 2);
        // The third is for anybody.
        assert!(state.take_unpromised().is_some());
        assert_eq!(state.take_unpromised(), None);
        for waiting in [1, 0] {
            state.waiting = waiting;
            assert!(state.take_promised().is_some());
        }
        assert_eq!(state.take_promised(), None);
    }
}
