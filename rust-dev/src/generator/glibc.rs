// SPDX-License-Identifier: GPL-2.0-or-later

//! The stream of the GNU C library's `srand` and `rand`.
//!
//! It is the additive feedback generator of `random(3)` with its default state ("TYPE_3"):
//! `r[i] = r[i - 3] + r[i - 31]` modulo 2^32, and gives the upper 31 bits. The state
//! starts from a Lehmer generator (multiplier 16807, modulus 2^31 - 1) and ten turns of the table
//! are thrown away. See `random(3)` and D. Knuth, The Art of Computer Programming, volume 2,
//! section 3.2.2.

/// The length of the table, which is also the longer lag.
pub(super) const LONG_LAG: usize = 31;
/// The shorter lag.
const SHORT_LAG: usize = 3;
/// How many numbers seeding throws away.
const DISCARDED: usize = 10 * LONG_LAG;

/// Gives exactly the numbers that glibc's `rand()` gives after `srand(seed)`. The state is its own.
///
/// Numbers are 31 bits wide: bit 31 is always 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlibcRandom {
    /// The last 31 sums.
    table: [u32; LONG_LAG],
    /// The index of the oldest one, which the next sum replaces; below `LONG_LAG`.
    oldest: usize,
}

impl GlibcRandom {
    /// The state after `srand(seed)`. As in C, seed 0 is the same as seed 1.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut word = seed.max(1) as i32;
        let mut table = [0; LONG_LAG];
        for slot in &mut table {
            *slot = word as u32;
            word = lehmer(word);
        }
        // The table is full and its start is the oldest entry, but the C library begins to add at
        // the fourth: the sums so far count from there.
        let mut random = Self {
            table,
            oldest: SHORT_LAG,
        };
        for _ in 0..DISCARDED {
            random.next_u32();
        }
        random
    }

    /// A generator in the middle of its stream, from what [`Self::place`] gave; `None` if `oldest` is not an index of
    /// the table.
    #[must_use]
    pub fn at(table: [u32; LONG_LAG], oldest: usize) -> Option<Self> {
        (oldest < LONG_LAG).then_some(Self { table, oldest })
    }

    /// Where the stream stands: the table, and the index of the oldest sum in it.
    #[must_use]
    pub fn place(&self) -> ([u32; LONG_LAG], usize) {
        (self.table, self.oldest)
    }

    /// The next number of `rand()`.
    #[expect(
        clippy::indexing_slicing,
        reason = "both indices are below the table's length"
    )]
    pub fn next_u32(&mut self) -> u32 {
        // Modulo the length, without a division.
        let front = self.oldest.min(LONG_LAG - 1);
        let rear = front
            .checked_sub(SHORT_LAG)
            .unwrap_or(front % SHORT_LAG + LONG_LAG - SHORT_LAG);
        let sum = self.table[front].wrapping_add(self.table[rear]);
        self.table[front] = sum;
        self.oldest = if front == LONG_LAG - 1 { 0 } else { front + 1 };
        sum >> 1
    }
}

/// One step of the Lehmer generator, in Schrage's form (no product exceeds 32 bits). Written on
/// signed numbers as the C library does it: a seed with bit 31 set starts from a negative one.
fn lehmer(word: i32) -> i32 {
    let next = 16807 * (word % 127_773) - 2836 * (word / 127_773);
    if next < 0 { next + i32::MAX } else { next }
}

#[cfg(test)]
mod tests {
    use super::GlibcRandom;
    use crate::known_answers;

    #[test]
    fn known_answers() {
        for answer in &known_answers::LIBC {
            let mut random = GlibcRandom::new(answer.seed);
            let stream: Vec<u32> = (0..1_000_000).map(|_| random.next_u32()).collect();
            assert_eq!(stream[..5], answer.first, "seed {:#x}", answer.seed);
            assert_eq!(stream[999], answer.thousandth, "seed {:#x}", answer.seed);
            assert_eq!(stream[999_999], answer.millionth, "seed {:#x}", answer.seed);
        }
    }

    #[test]
    fn streams_are_independent() {
        let mut alone = GlibcRandom::new(7);
        let expected: Vec<u32> = (0..100).map(|_| alone.next_u32()).collect();
        let mut one = GlibcRandom::new(7);
        let mut other = GlibcRandom::new(8);
        let interleaved: Vec<u32> = (0..100)
            .map(|_| {
                other.next_u32();
                one.next_u32()
            })
            .collect();
        assert_eq!(interleaved, expected);
    }
}
