// SPDX-License-Identifier: GPL-2.0-or-later

//! A count that transfers share with their device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number. [`share`](Self::share) gives the same one, while a clone has its own.
#[derive(Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// The same number, for another thread.
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clone for Count {
    fn clone(&self) -> Self {
        Self(Arc::new(self.get().into()))
    }
}

impl PartialEq for Count {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Count {}
