// SPDX-License-Identifier: GPL-2.0-or-later

//! The speed of the generators on the host: the most that a device can give.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::results::Results;

/// As large as the buffer of one of the driver's files.
const BUFFER: usize = 256 * 1024;
const SAMPLE: Duration = Duration::from_millis(50);

/// Adds a sample of each generator.
pub fn sample(results: &mut Results) {
    results.add("native.chacha8", speed(&mut ChaCha8Rng::seed_from_u64(1)));
    results.add("native.chacha20", speed(&mut ChaCha20Rng::seed_from_u64(1)));
    results.add(
        "native.xoshiro256pp",
        speed(&mut Xoshiro256PlusPlus::seed_from_u64(1)),
    );
}

/// The speed in MB/s.
fn speed(generator: &mut impl Rng) -> f64 {
    let mut buffer = vec![0; BUFFER];
    generator.fill_bytes(&mut buffer);
    let start = Instant::now();
    let mut bytes = 0.0;
    loop {
        generator.fill_bytes(black_box(&mut buffer));
        bytes += BUFFER as f64;
        let elapsed = start.elapsed();
        if elapsed >= SAMPLE {
            return bytes / elapsed.as_secs_f64() / 1e6;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generator_is_measured() {
        let mut results = Results::default();
        sample(&mut results);
        for name in ["native.chacha8", "native.chacha20", "native.xoshiro256pp"] {
            assert!(results.summary(name).unwrap().median > 0.0);
        }
    }
}
