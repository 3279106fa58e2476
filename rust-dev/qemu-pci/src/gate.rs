// SPDX-License-Identifier: GPL-2.0-or-later

//! Who may use a device while some of its work runs without QEMU's big lock (BQL).
//!
//! A device is used with the BQL held, so there is one caller at a time. Work that runs without the BQL leaves it
//! through the gate ([`Gate::leave`]) and has the device alone, until it gives it back ([`Left::give_back`]): then it
//! runs beside the device's other callers. The gate makes those wait who must:
//!
//! - A caller that has to keep the BQL waits for work that has the device; one that resets, saves or unplugs the
//!   device waits for all work ([`Gate::wait`]).
//! - A virtual CPU gives up the BQL to wait for work that has the device. Virtual CPUs share it evenly
//!   ([`Gate::queue`]).
//!
//! Nothing can deadlock: work waits for nothing that needs the BQL until it has come back through the gate, and only then
//! takes the BQL;
//! and there is at most one thread that waits with the BQL held.

#[cfg(test)]
mod tests;

use core::cell::Cell;
use core::{hint, ptr};
use std::collections::VecDeque;
use std::sync::PoisonError;

// The model checker's, which explore how threads can interleave.
#[cfg(test)]
use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicU32, Ordering},
};
#[cfg(not(test))]
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicU32, Ordering},
};

/// Work has the device.
const ALONE: u32 = 1 << 31;
/// Threads wait.
const WAITING: u32 = 1 << 30;
/// How much work runs beside the device's other callers. There is at most one for each virtual CPU.
const BESIDE: u32 = WAITING - 1;

/// How many times a virtual CPU looks before it sleeps. Its turn often comes within some microseconds, and to be woken
/// takes as long.
const LOOKS: u32 = if cfg!(test) { 0 } else { 300 };

/// How many times in a row others may use the device before the virtual CPU that waits longest. To hand it over each
/// time would leave it idle until that one is awake.
const PASSES: u32 = if cfg!(test) { 1 } else { 8 };

/// QEMU's big lock.
pub trait BigLock {
    /// Takes it. This thread does not hold it.
    fn lock(&self);
    /// Releases it. This thread holds it.
    fn unlock(&self);
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// No work has the device.
    DeviceIsFree,
    /// There is no work.
    NoWork,
}

#[cfg(not(test))]
thread_local! {
    /// The gate that this thread's work has left through.
    static LEFT: Cell<*const Gate> = const { Cell::new(ptr::null()) };
}
#[cfg(test)]
loom::thread_local! {
    // Loom's macro takes no `const`.
    static LEFT: Cell<*const Gate> = Cell::new(ptr::null());
}

/// The gate of one device.
#[derive(Debug)]
pub struct Gate {
    state: AtomicU32,
    waiting: Mutex<Waiting>,
    /// Wakes the thread that waits with the BQL held.
    ended: Condvar,
}

/// The virtual CPUs that wait.
#[derive(Debug, Default)]
struct Waiting {
    /// In the order in which they came.
    turns: VecDeque<Arc<Condvar>>,
    /// How many times others have used the device before the first of them.
    passes: u32,
}

impl Waiting {
    fn is_first(&self, turn: &Arc<Condvar>) -> bool {
        let first = self.turns.front();
        first.is_some_and(|first| Arc::ptr_eq(first, turn))
    }

    fn wake_first(&self) {
        if let Some(turn) = self.turns.front() {
            turn.notify_one();
        }
    }
}

impl Gate {
    /// The gate of a device without work.
    pub fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            waiting: Mutex::new(Waiting::default()),
            ended: Condvar::new(),
        }
    }

    /// Whether no work has left, and nobody waits.
    #[inline]
    pub fn is_unused(&self) -> bool {
        self.state.load(Ordering::Acquire) == 0
    }

    /// Whether anybody waits.
    #[inline]
    pub fn has_waiting(&self) -> bool {
        self.state.load(Ordering::Acquire) & WAITING != 0
    }

    /// Lets the virtual CPU that waits longest look whether the device is free.
    #[cold]
    pub fn wake(&self) {
        self.waiting().wake_first();
    }

    /// Waits with the BQL held, which the caller keeps. Returns false, without waiting, if this thread's own work is
    /// what it would wait for.
    pub fn wait(&self, until: Until) -> bool {
        let work = match until {
            Until::DeviceIsFree => ALONE,
            Until::NoWork => ALONE | BESIDE,
        };
        // Work can only begin with the BQL held, so what is seen here stays.
        if self.state.load(Ordering::Acquire) & work == 0 {
            return true;
        }
        if self.is_left_by_this_thread() {
            return false;
        }
        let mut waiting = self.waiting();
        while self.state.fetch_or(WAITING, Ordering::AcqRel) & work != 0 {
            waiting = sleep(&self.ended, waiting);
        }
        // Nobody else has done that: it needs the BQL.
        self.update(&waiting);
        true
    }

    /// Waits for the device, and for its turn. The BQL is held before and after, but not while waiting. Returns false,
    /// without waiting, if this thread's own work has the device. Call [`wake`](Self::wake) after using the device, if
    /// anybody waits.
    pub fn queue(&self, bql: &impl BigLock) -> bool {
        if self.state.load(Ordering::Acquire) & (ALONE | WAITING) == 0 {
            return true;
        }
        if self.is_left_by_this_thread() {
            return false;
        }
        let turn = Arc::new(Condvar::new());
        {
            let mut waiting = self.waiting();
            if self.state.load(Ordering::Acquire) & ALONE == 0 && waiting.passes < PASSES {
                waiting.passes += 1;
                return true;
            }
            waiting.turns.push_back(Arc::clone(&turn));
            self.update(&waiting);
        }
        loop {
            bql.unlock();
            let mut looks = LOOKS;
            while looks > 0 && self.state.load(Ordering::Acquire) & ALONE != 0 {
                looks -= 1;
                hint::spin_loop();
            }
            let mut waiting = self.waiting();
            while !(waiting.is_first(&turn) && self.state.load(Ordering::Acquire) & ALONE == 0) {
                waiting = sleep(&turn, waiting);
            }
            drop(waiting);
            bql.lock();
            // Another caller may have been faster.
            let mut waiting = self.waiting();
            if self.state.load(Ordering::Acquire) & ALONE == 0 {
                waiting.turns.pop_front();
                waiting.passes = 0;
                self.update(&waiting);
                return true;
            }
        }
    }

    /// Releases the BQL for work that has the device. The device is free, and the caller holds the BQL and has not left
    /// before. Dropping the result comes back: then the work must have ended.
    pub fn leave<'a, B: BigLock>(&'a self, bql: &'a B) -> Left<'a, B> {
        self.state.fetch_or(ALONE, Ordering::AcqRel);
        LEFT.with(|left| left.set(self));
        bql.unlock();
        Left {
            gate: self,
            has_device: true,
            bql,
        }
    }

    fn is_left_by_this_thread(&self) -> bool {
        LEFT.with(|left| ptr::eq(left.get(), self))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes in the state whether virtual CPUs wait. The BQL is held, so no other thread waits with it.
    fn update(&self, waiting: &Waiting) {
        if waiting.turns.is_empty() {
            self.state.fetch_and(!WAITING, Ordering::AcqRel);
        } else {
            self.state.fetch_or(WAITING, Ordering::AcqRel);
        }
    }
}

fn sleep<'a>(until: &Condvar, waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
    until.wait(waiting).unwrap_or_else(PoisonError::into_inner)
}

/// Work that has left the gate. Dropping it comes back and takes the BQL.
#[derive(Debug)]
pub struct Left<'a, B: BigLock> {
    gate: &'a Gate,
    has_device: bool,
    bql: &'a B,
}

impl<B: BigLock> Left<'_, B> {
    /// Gives the device back. The work goes on beside the device's other callers.
    pub fn give_back(&mut self) {
        if self.has_device {
            self.has_device = false;
            // One step from alone to beside: a thread that waits for all work must see some at any time.
            self.change(ALONE - 1);
        }
    }

    /// Takes `less` from the gate's state, and wakes those who wait.
    fn change(&self, less: u32) {
        let state = self.gate.state.fetch_sub(less, Ordering::AcqRel);
        if state & WAITING != 0 {
            // A thread looks at the state with this lock held before it sleeps, so it is either woken here or has seen
            // the change.
            let waiting = self.gate.waiting();
            self.gate.ended.notify_one();
            waiting.wake_first();
        }
    }
}

impl<B: BigLock> Drop for Left<'_, B> {
    fn drop(&mut self) {
        LEFT.with(|left| left.set(ptr::null()));
        self.change(if self.has_device { ALONE } else { 1 });
        // Not earlier: the thread that waits for this work may hold it.
        self.bql.lock();
    }
}
