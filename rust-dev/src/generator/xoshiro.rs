// SPDX-License-Identifier: GPL-2.0-or-later

//! The stream of xoshiro256++ (D. Blackman and S. Vigna), from a state that is made from the seed.

use rand_core::{Rng, SeedableRng};

use super::{POSITIONS, Sink};

/// The numbers of xoshiro256++, each 64 bits wide, as two words: the low half first. The state is what
/// `SplitMix64` gives first, four times, when it starts from the seed.
///
/// Words are 32 bits wide. It is the fastest of the generators, made for simulation: anyone who sees some of its
/// numbers can compute the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xoshiro256PlusPlus {
    seed: u32,
    /// How many words were given.
    position: u64,
    /// The second half of the last number, if only the first was given; else 0.
    half: u32,
    stream: rand_xoshiro::Xoshiro256PlusPlus,
}

impl Xoshiro256PlusPlus {
    /// The stream of `seed`, at its start.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self {
            seed,
            position: 0,
            half: 0,
            stream: rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed.into()),
        }
    }

    /// The stream of `seed` after its first `position` words; `None` if `position` is too large.
    #[must_use]
    pub fn at(seed: u32, position: u64) -> Option<Self> {
        if position >= POSITIONS {
            return None;
        }
        let mut random = Self::new(seed);
        random.stream.jump_ce(position / 2, 0);
        random.position = position & !1;
        if position % 2 != 0 {
            random.next_u32();
        }
        Some(random)
    }

    /// Where the stream stands: its seed, and how many words it has given.
    #[must_use]
    pub fn place(&self) -> (u32, u64) {
        (self.seed, self.position)
    }

    /// The next word.
    pub fn next_u32(&mut self) -> u32 {
        let word = if self.position % 2 == 0 {
            let number = self.stream.next_u64();
            self.half = (number >> 32) as u32;
            number as u32
        } else {
            core::mem::take(&mut self.half)
        };
        self.position += 1;
        word
    }

    /// Fills `sink` with the next words.
    pub fn fill(&mut self, sink: &mut impl Sink) {
        loop {
            let room = sink.room();
            let numbers = room / 8;
            if self.position % 2 == 0 && numbers > 0 {
                // A local copy can stay in registers.
                let mut stream = self.stream.clone();
                sink.write_u64s(numbers, || stream.next_u64());
                self.stream = stream;
                self.position += 2 * numbers as u64;
            } else if room > 0 {
                // The other half of a number, or the first half of one.
                sink.write(&self.next_u32().to_le_bytes());
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{POSITIONS, Xoshiro256PlusPlus};
    use crate::known_answers;

    #[test]
    fn known_answers() {
        for answer in &known_answers::XOSHIRO256PP {
            let mut random = Xoshiro256PlusPlus::new(answer.seed);
            let stream: Vec<u32> = (0..1000).map(|_| random.next_u32()).collect();
            assert_eq!(stream[..5], answer.first, "seed {:#x}", answer.seed);
            assert_eq!(stream[999], answer.thousandth, "seed {:#x}", answer.seed);
        }
    }

    #[test]
    fn stream_continues_from_its_place() {
        let mut random = Xoshiro256PlusPlus::new(0x42);
        for position in 0..300 {
            assert_eq!(random.place(), (0x42, position));
            let mut resumed = Xoshiro256PlusPlus::at(0x42, position).unwrap();
            assert_eq!(resumed, random);
            assert_eq!(resumed.next_u32(), random.next_u32(), "position {position}");
        }
    }

    #[test]
    fn distant_places_are_exact_and_impossible_ones_refused() {
        for position in [u64::from(u32::MAX) * 16, POSITIONS - 1] {
            let mut random = Xoshiro256PlusPlus::at(7, position).unwrap();
            assert_eq!(random.place(), (7, position));
            random.next_u32();
            assert_eq!(random.place(), (7, position + 1));
        }
        // A jump and single steps lead to the same place.
        let mut far = Xoshiro256PlusPlus::at(7, 1 << 40).unwrap();
        for _ in 0..6 {
            far.next_u32();
        }
        assert_eq!(Xoshiro256PlusPlus::at(7, (1 << 40) + 6), Some(far));
        assert_eq!(Xoshiro256PlusPlus::at(7, POSITIONS), None);
        assert_eq!(Xoshiro256PlusPlus::at(7, u64::MAX), None);
    }
}
