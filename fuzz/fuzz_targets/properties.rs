// SPDX-License-Identifier: GPL-2.0-or-later

//! See [`my_rng_fuzz::properties`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use my_rng_fuzz::properties::{Asked, run};

fuzz_target!(|asked: Asked<'_>| run(&asked));
