// SPDX-License-Identifier: GPL-2.0-or-later

//! Guests that `scripts/check-debug-kernel.sh` also boots with the kernel that watches itself, which
//! `vm/linux-debug.config` describes.

use my_rng_e2e::Guest;

/// What a kernel says that has found fault with itself.
const COMPLAINTS: [&str; 15] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Call Trace",
    "panicked at",
    "refcount_t:",
    "KASAN:",
    "UBSAN:",
    "ODEBUG:",
    "INFO: possible",
    "INFO: task",
    "INFO: lockdep is turned off",
    "self-detected stall",
    "sleeping function called",
    "suspected memory leaks",
];

/// A guest that has room for that kernel, with more arguments for it.
pub fn guest(append: &str) -> Guest {
    Guest::new()
        // KASAN keeps books of an eighth of the memory, and other checks make everything larger.
        .option("--mem", "1G")
        // With five levels of page tables an interrupt at the moment when the kernel looks anew at what the
        // processor has, which are four for that moment, makes KASAN complain of a good access.
        .option("--append", format!("no5lvl {append}"))
}

/// The lines in which the kernel complains of itself.
pub fn complaints(console: &str) -> Vec<&str> {
    let mut excused = false;
    console
        .lines()
        .filter(|line| {
            // That there was no memory, which may have been made so, is told with a trace.
            excused |= line.contains("vmalloc error: size");
            if line.contains("Call Trace") && std::mem::take(&mut excused) {
                return false;
            }
            COMPLAINTS.iter().any(|sign| line.contains(sign))
        })
        .collect()
}

#[test]
fn complaints_are_told_from_allocations_that_failed() {
    assert!(
        complaints("[ 1.0] vmalloc error: size 4\n[ 1.0] Call Trace:\n[ 1.0] my_rng: fine")
            .is_empty()
    );
    let lines = "vmalloc error: size 4\nCall Trace:\nWARNING: lib/debugobjects.c:672\nCall Trace:";
    assert_eq!(
        complaints(lines),
        ["WARNING: lib/debugobjects.c:672", "Call Trace:"]
    );
}
