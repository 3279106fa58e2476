// SPDX-License-Identifier: GPL-2.0-or-later

//! The work that devices give to the test machine, and when it runs.

use core::fmt;
use std::collections::VecDeque;

use super::{Machine, World};
use crate::device::PciDevice;
use crate::host::{AloneWork, BesideWork};

/// Work that has not run yet.
pub(super) struct Schedule<D: PciDevice> {
    /// What the device has given to its host in this call.
    pub(super) alone: Option<AloneWork<D, World<D>>>,
    /// What runs beside the device.
    pub(super) beside: VecDeque<BesideWork<World<D>>>,
}

impl<D: PciDevice> Default for Schedule<D> {
    fn default() -> Self {
        Self {
            alone: None,
            beside: VecDeque::new(),
        }
    }
}

/// Work cannot be copied.
impl<D: PciDevice> Clone for Schedule<D> {
    fn clone(&self) -> Self {
        assert!(
            self.beside.is_empty(),
            "a machine with work cannot be cloned"
        );
        Self::default()
    }
}

impl<D: PciDevice> fmt::Debug for Schedule<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces of work", self.beside.len())
    }
}

impl<D: PciDevice> Machine<D> {
    /// Does what the device's method has given to its host, except what is held.
    pub(super) fn work(&mut self) {
        if let Some(work) = self.world.work.alone.take() {
            let before = self.world.work.beside.len();
            let result = work(&mut self.device, &mut self.world);
            let rests = self.world.work.beside.len() - before;
            assert!(rests <= 1, "work gives one rest");
            self.world
                .errors
                .extend(result.err().map(|error| error.to_string()));
        }
        while !self.world.holds_work && !self.world.work.beside.is_empty() {
            self.run_work(0);
        }
    }

    /// Runs the held work of this index, in the order in which it was given.
    pub fn run_work(&mut self, index: usize) {
        let work = self.world.work.beside.remove(index);
        let before = self.world.work.beside.len();
        work.expect("held work of this index")(&mut self.world);
        let after = self.world.work.beside.len();
        assert!(after == before, "a rest gives no other");
    }

    /// A reset, saving and loading wait for all work.
    pub(super) fn check_that_no_work_is_held(&self) {
        assert!(
            self.world.work.beside.is_empty(),
            "QEMU would wait for the work"
        );
    }
}
