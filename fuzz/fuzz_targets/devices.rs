// SPDX-License-Identifier: GPL-2.0-or-later

//! See [`my_rng_fuzz::devices`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use my_rng_fuzz::devices::{Life, run};

fuzz_target!(|life: Life| run(&life));
