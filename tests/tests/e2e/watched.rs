// SPDX-License-Identifier: GPL-2.0-or-later

//! Guests that `scripts/check-debug-kernel.sh` also boots with the debug kernel (`vm/linux-debug.config`).

use my_rng_e2e::Guest;

/// A guest with enough memory for that kernel, and more arguments for it.
pub fn guest(append: &str) -> Guest {
    Guest::new()
        // KASAN takes an eighth of the memory, and other checks make everything larger.
        .option("--mem", "1G")
        // With five levels of page tables KASAN can report a valid access: while the kernel detects the processor's
        // features again, an interrupt sees four levels for a moment.
        .option("--append", format!("no5lvl {append}"))
}
