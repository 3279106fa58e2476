// SPDX-License-Identifier: GPL-2.0-or-later OR MIT

//! Known answers of the default generator, made with glibc's `srand` and `rand`: what the unit
//! tests, the end-to-end tests and `make demo` hold the device against.

/// What a seed gives.
pub struct KnownAnswer {
    /// The seed.
    pub seed: u32,
    /// The first to fifth number after seeding.
    pub first: [u32; 5],
    /// The thousandth number.
    pub thousandth: u32,
    /// The millionth number.
    pub millionth: u32,
}

/// The table of the specification (`docs/my-rng.rst`).
pub const LIBC: [KnownAnswer; 6] = [
    KnownAnswer {
        seed: 0,
        first: [1804289383, 846930886, 1681692777, 1714636915, 1957747793],
        thousandth: 1143565421,
        millionth: 429357853,
    },
    KnownAnswer {
        seed: 1,
        first: [1804289383, 846930886, 1681692777, 1714636915, 1957747793],
        thousandth: 1143565421,
        millionth: 429357853,
    },
    KnownAnswer {
        seed: 0x42,
        first: [286129175, 1594929109, 971802288, 222134722, 1335014133],
        thousandth: 1736912126,
        millionth: 1398290216,
    },
    KnownAnswer {
        seed: 0x7fff_ffff,
        first: [1065668062, 2142264300, 1066566375, 1064012770, 2141034222],
        thousandth: 1698607095,
        millionth: 2070068422,
    },
    KnownAnswer {
        seed: 0x8000_0000,
        first: [1336741213, 1210407648, 1447044896, 337392383, 82502902],
        thousandth: 193932953,
        millionth: 1026566857,
    },
    KnownAnswer {
        seed: 0xffff_ffff,
        first: [254925627, 1205188300, 366127624, 1401405153, 76053476],
        thousandth: 1892540048,
        millionth: 949151631,
    },
];

/// The seed of the boot self-test.
pub const SELFTEST_SEED: u32 = 0x42;
