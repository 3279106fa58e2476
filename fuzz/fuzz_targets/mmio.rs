// SPDX-License-Identifier: GPL-2.0-or-later

//! See [`my_rng_fuzz::mmio`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use my_rng_fuzz::mmio::{Script, run};

fuzz_target!(|script: Script| run(&script));
