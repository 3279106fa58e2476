// SPDX-License-Identifier: GPL-2.0-or-later

//! The C library itself as the oracle of the default generator. Its state is process-wide, so this is
//! one test in a program of its own.

#![cfg(target_env = "gnu")]
#![allow(unsafe_code)]

use my_rng_dev::generator::GlibcRandom;

// In glibc, `srand` and `rand` are other names of `srandom` and `random`.
fn c_srand(seed: u32) {
    // SAFETY: `srand` takes any number; it locks its own state.
    unsafe { libc::srand(seed) }
}

fn c_rand() -> u32 {
    // SAFETY: `rand` has no precondition; it locks its own state.
    let number = unsafe { libc::rand() };
    u32::try_from(number).expect("rand() gives 31 bits")
}

fn compare(seed: u32, count: usize) {
    c_srand(seed);
    let mut random = GlibcRandom::new(seed);
    for i in 0..count {
        assert_eq!(random.next_u32(), c_rand(), "seed {seed:#x}, number {i}");
    }
}

#[test]
fn as_the_c_library() {
    // Corner seeds (0, extremes, the modulus and its neighbours) and a spread over all 32 bits.
    let corners = [
        0,
        1,
        2,
        0x42,
        127_773,
        0x7fff_fffe,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        u32::MAX,
    ];
    let spread = (0..2000_u32).map(|i| i.wrapping_mul(0x9e37_79b9));
    for seed in corners.into_iter().chain(spread) {
        compare(seed, 500);
    }
    for seed in [0x42, 0xdead_beef] {
        compare(seed, 1_000_000);
    }
}
