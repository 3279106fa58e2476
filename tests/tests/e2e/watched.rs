// SPDX-License-Identifier: GPL-2.0-or-later

//! Guests that `scripts/check-debug-kernel.sh` also boots with the kernel that watches itself, which
//! `vm/linux-debug.config` describes.

use my_rng_e2e::Guest;

/// A guest that has room for that kernel, with more arguments for it.
pub fn guest(append: &str) -> Guest {
    Guest::new()
        // KASAN keeps books of an eighth of the memory, and other checks make everything larger.
        .option("--mem", "1G")
        // With five levels of page tables an interrupt at the moment when the kernel looks anew at what the
        // processor has, which are four for that moment, makes KASAN complain of a good access.
        .option("--append", format!("no5lvl {append}"))
}
