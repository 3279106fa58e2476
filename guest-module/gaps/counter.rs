// SPDX-License-Identifier: GPL-2.0-or-later

//! A counter that is cheap to increase on every processor.

use core::ptr::NonNull;
use kernel::prelude::*;

use super::c;

/// A counter that starts at 0. Each processor adds to a part of its own, without an atomic operation.
///
/// # Invariants
///
/// The pointer is the result of `my_rng_counter_new`, which nothing else frees.
pub(crate) struct Counter(NonNull<c::Counter>);

// SAFETY: The C functions can be called on any processor, and at the same time, until it is freed.
unsafe impl Send for Counter {}

// SAFETY: As above.
unsafe impl Sync for Counter {}

impl Counter {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The function has no requirements. It may sleep.
        let counter = NonNull::new(unsafe { c::my_rng_counter_new() }).ok_or(ENOMEM)?;
        // INVARIANT: It was just allocated.
        Ok(Self(counter))
    }

    pub(crate) fn add(&self, count: usize) {
        // SAFETY: By the type's invariant the pointer is valid.
        unsafe { c::my_rng_counter_add(self.0.as_ptr(), count as u64) };
    }

    pub(super) fn as_ptr(&self) -> *const c::Counter {
        self.0.as_ptr()
    }

    /// The sum of all that was added. Additions at the same time may be missing.
    pub(crate) fn sum(&self) -> u64 {
        // SAFETY: By the type's invariant the pointer is valid.
        unsafe { c::my_rng_counter_sum(self.0.as_ptr()) }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the pointer is valid, and it is not used after this.
        unsafe { c::my_rng_counter_free(self.0.as_ptr()) };
    }
}

#[kunit_tests(my_rng_counter)]
mod tests {
    use super::*;

    #[test]
    fn sum_is_all_that_was_added() {
        let counter = Counter::new();
        assert!(counter.is_ok());
        if let Ok(counter) = counter {
            assert_eq!(counter.sum(), 0);
            counter.add(1);
            counter.add(0);
            counter.add(1 << 40);
            assert_eq!(counter.sum(), (1 << 40) + 1);
        }
    }
}
