// SPDX-License-Identifier: GPL-2.0-or-later

//! The work that devices give to the test machine, and when it runs.

use core::fmt;
use std::collections::VecDeque;

use super::Machine;
use crate::device::PciDevice;
use crate::host::Work;

/// Work that has not run yet.
pub(super) struct Schedule<D>(VecDeque<Work<D>>);

impl<D> Schedule<D> {
    pub(super) fn push(&mut self, work: Work<D>) {
        self.0.push_back(work);
    }
}

impl<D> Default for Schedule<D> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

/// Work cannot be copied.
impl<D> Clone for Schedule<D> {
    fn clone(&self) -> Self {
        assert!(self.0.is_empty(), "a machine with work cannot be cloned");
        Self::default()
    }
}

impl<D> fmt::Debug for Schedule<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces of work", self.0.len())
    }
}

impl<D: PciDevice> Machine<D> {
    /// Does what the device's method has given to its host, except what is held.
    pub(super) fn work(&mut self) {
        let mut held = VecDeque::new();
        while let Some(work) = self.world.work.0.pop_front() {
            match work {
                Work::Beside(_) if self.world.holds_work => held.push_back(work),
                work => self.run(work),
            }
        }
        self.world.work.0 = held;
    }

    /// Runs the held work of this index, in the order in which it was given.
    pub fn run_work(&mut self, index: usize) {
        let work = self.world.work.0.remove(index);
        self.run(work.expect("held work of this index"));
    }

    fn run(&mut self, work: Work<D>) {
        match work {
            Work::Beside(work) => work(&mut self.world),
            Work::Alone(work) => work(&mut self.device, &mut self.world),
        }
    }

    /// A reset, saving and loading wait for all work.
    pub(super) fn check_that_no_work_is_held(&self) {
        assert!(self.world.work.0.is_empty(), "QEMU would wait for the work");
    }
}
