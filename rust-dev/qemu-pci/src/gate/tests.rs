// SPDX-License-Identifier: GPL-2.0-or-later

//! Models for loom: it runs each with every way in which its threads can interleave, up to a number of preemptions.
//! It finds deadlocks, lost wake-ups, and two threads that use the device at the same time.

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{BigLock, Gate, PASSES, Until};

/// QEMU's big lock.
#[derive(Default)]
struct Bql {
    is_held: Mutex<bool>,
    is_free: Condvar,
}

impl BigLock for Bql {
    fn lock(&self) {
        let mut held = self.is_held.lock().unwrap();
        while *held {
            held = self.is_free.wait(held).unwrap();
        }
        *held = true;
    }

    fn unlock(&self) {
        let mut held = self.is_held.lock().unwrap();
        assert!(*held, "the thread does not hold the lock");
        *held = false;
        drop(held);
        self.is_free.notify_one();
    }
}

/// How work uses the device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// It has the device to the end.
    Alone,
    /// It gives the device back.
    Beside,
}

/// A device in a machine.
struct Machine {
    bql: Bql,
    gate: Gate,
    /// Loom fails if two threads use it at the same time.
    device: UnsafeCell<()>,
    /// How much work runs beside.
    beside: AtomicUsize,
    is_gone: AtomicBool,
    /// How many virtual CPUs have come that count, and a bit for each of them that has had its turn.
    came: AtomicUsize,
    served: AtomicUsize,
}

impl Machine {
    /// Uses the device for a moment. Returns whether it is there.
    fn use_device(&self) -> bool {
        let is_there = !self.is_gone.load(Ordering::Relaxed);
        if is_there {
            self.device.with_mut(|_| ());
        }
        is_there
    }

    /// What the glue does before it uses the device for a virtual CPU.
    fn enter(&self) -> bool {
        self.gate.is_unused() || self.gate.queue(&self.bql)
    }

    /// The same for a caller that keeps the BQL.
    fn enter_locked(&self, until: Until) -> bool {
        self.gate.is_unused() || self.gate.wait(until)
    }

    /// A virtual CPU's access that uses the device, and then does this work.
    fn access(&self, work: Option<How>) {
        self.bql.lock();
        assert!(self.enter());
        let is_there = self.use_device();
        if let Some(work) = work.filter(|_| is_there) {
            let mut left = self.gate.leave(&self.bql);
            assert!(self.use_device(), "the device is gone during its work");
            if work == How::Beside {
                self.beside.fetch_add(1, Ordering::Relaxed);
                left.give_back();
                self.beside.fetch_sub(1, Ordering::Relaxed);
            }
            drop(left);
        }
        if self.gate.has_waiting() {
            self.gate.wake();
        }
        self.bql.unlock();
    }

    /// An access that does no work. Those that came before it and found the device busy have their turn first, except
    /// that they are passed at most [`PASSES`] times in a row.
    fn access_in_order(&self) {
        self.bql.lock();
        let turn = self.came.load(Ordering::Relaxed);
        self.came.store(turn + 1, Ordering::Relaxed);
        assert!(self.enter());
        let served = self.served.load(Ordering::Relaxed);
        let passes = self.gate.waiting().passes;
        // Who comes from the queue starts the count anew.
        let before = (1 << turn) - 1;
        assert!(
            passes > 0 || served & before == before,
            "it was before its turn"
        );
        assert!(passes <= PASSES);
        self.served.store(served | 1 << turn, Ordering::Relaxed);
        self.use_device();
        if self.gate.has_waiting() {
            self.gate.wake();
        }
        self.bql.unlock();
    }

    /// Accesses that pass a virtual CPU that waits do so at most [`PASSES`] times.
    fn pass(&self) {
        let mut passes = 0;
        for _ in 0..=PASSES {
            self.bql.lock();
            let waits = self.gate.has_waiting();
            let served = self.served.load(Ordering::Relaxed);
            assert!(self.enter());
            if waits && served == self.served.load(Ordering::Relaxed) {
                passes += 1;
            }
            assert!(passes <= PASSES, "it waits for too long");
            self.use_device();
            if self.gate.has_waiting() {
                self.gate.wake();
            }
            self.bql.unlock();
        }
    }

    /// Calls from within work are refused, and none after it.
    fn call_within_work(&self) {
        for work in [How::Alone, How::Beside] {
            self.bql.lock();
            assert!(self.enter());
            let mut left = self.gate.leave(&self.bql);
            assert!(!self.gate.wait(Until::DeviceIsFree));
            assert!(!self.gate.queue(&self.bql));
            if work == How::Beside {
                left.give_back();
            }
            assert!(!self.gate.wait(Until::NoWork));
            drop(left);
            assert!(self.enter_locked(Until::NoWork));
            if self.gate.has_waiting() {
                self.gate.wake();
            }
            self.bql.unlock();
        }
    }

    /// A caller that keeps the BQL, such as another device's DMA.
    fn call(&self) {
        self.bql.lock();
        assert!(self.enter_locked(Until::DeviceIsFree));
        self.use_device();
        self.bql.unlock();
    }

    /// A reset.
    fn reset(&self) {
        self.bql.lock();
        assert!(self.enter_locked(Until::NoWork));
        assert_eq!(self.beside.load(Ordering::Relaxed), 0, "work is going on");
        self.use_device();
        self.bql.unlock();
    }

    /// An unplug.
    fn unplug(&self) {
        self.bql.lock();
        assert!(self.enter_locked(Until::NoWork));
        assert_eq!(self.beside.load(Ordering::Relaxed), 0, "work is going on");
        self.is_gone.store(true, Ordering::Relaxed);
        self.bql.unlock();
    }
}

/// Runs these threads, and one more that is this one, on a new machine in each interleaving with so many preemptions.
fn model_with(preemptions: usize, threads: &'static [fn(&Machine)]) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    // Printed by `cargo test -- --nocapture`.
    let ways = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&ways);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let machine = Arc::new(Machine {
            bql: Bql::default(),
            gate: Gate::new(),
            device: UnsafeCell::new(()),
            beside: AtomicUsize::new(0),
            is_gone: AtomicBool::new(false),
            came: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
        });
        let threads: Vec<_> = threads
            .iter()
            .map(|thread| {
                let machine = Arc::clone(&machine);
                thread::spawn(move || thread(&machine))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        machine.bql.lock();
        assert!(machine.gate.is_unused());
        machine.bql.unlock();
    });
    println!("{} threads: {ways:?} interleavings", threads.len());
}

/// The same with as many preemptions as take some seconds.
fn model(threads: &'static [fn(&Machine)]) {
    model_with(if threads.len() > 2 { 2 } else { 4 }, threads);
}

fn alone(machine: &Machine) {
    machine.access(Some(How::Alone));
}

fn beside(machine: &Machine) {
    machine.access(Some(How::Beside));
}

fn short(machine: &Machine) {
    machine.access(None);
}

#[test]
fn work_alone_excludes_other_accesses() {
    model(&[alone, alone]);
    model(&[alone, short]);
    model(&[alone, beside]);
}

#[test]
fn callers_that_keep_the_lock_wait_for_work_alone() {
    model(&[alone, Machine::call]);
    model(&[beside, Machine::call]);
}

#[test]
fn a_reset_and_an_unplug_wait_for_all_work() {
    model(&[alone, Machine::reset]);
    model(&[beside, Machine::reset]);
    model(&[alone, Machine::unplug]);
    model(&[beside, Machine::unplug]);
}

#[test]
fn three_threads_cannot_deadlock() {
    model(&[alone, alone, Machine::reset]);
    model(&[alone, alone, Machine::unplug]);
    model(&[alone, beside, Machine::reset]);
    model(&[alone, beside, Machine::unplug]);
    // With fewer, both pieces of work do not last until the unplug waits.
    model_with(3, &[beside, beside, Machine::unplug]);
    model(&[alone, short, Machine::call]);
}

#[test]
fn virtual_cpus_take_turns() {
    model(&[alone, alone, alone]);
    model(&[alone, alone, short]);
}

#[test]
fn a_thread_does_not_wait_for_its_own_work() {
    model(&[Machine::call_within_work]);
    model(&[Machine::call_within_work, alone]);
}

#[test]
fn who_waits_longest_is_next() {
    model(&[alone, Machine::access_in_order, Machine::access_in_order]);
}

#[test]
fn who_waits_is_not_passed_often() {
    model(&[alone, Machine::access_in_order, Machine::pass]);
}
