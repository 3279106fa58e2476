// SPDX-License-Identifier: GPL-2.0-or-later

//! See [`my_rng_fuzz::vmstate`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use my_rng_fuzz::vmstate::{Arrival, run};

fuzz_target!(|arrival: Arrival<'_>| run(&arrival));
