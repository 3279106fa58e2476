// SPDX-License-Identifier: GPL-2.0-or-later

//! The streams of ChaCha20 (RFC 8439) and of ChaCha8, the same with 8 rounds instead of 20. The key is made from the
//! seed.

use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use rand_core::{Rng, SeedableRng};

use super::POSITIONS;

/// A key stream that can be moved to a position. Its crate has these as methods of each type.
pub trait KeyStream: Rng + SeedableRng<Seed = [u8; 32]> {
    /// How many words were taken so far.
    fn place(&self) -> u128;
    /// Moves the stream to the position after this many words.
    fn go_to(&mut self, place: u128);
}

macro_rules! key_stream {
    ($($stream:ty),*) => {$(
        impl KeyStream for $stream {
            fn place(&self) -> u128 {
                self.get_word_pos()
            }

            fn go_to(&mut self, place: u128) {
                self.set_word_pos(place);
            }
        }
    )*};
}

key_stream!(ChaCha8Rng, ChaCha20Rng);

/// The words of a ChaCha key stream, little-endian. The key is the seed as four little-endian bytes
/// followed by 28 zero bytes; nonce and block counter start at 0.
///
/// Words are 32 bits wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChaCha<S> {
    seed: u32,
    stream: S,
}

/// With 8 rounds.
pub type ChaCha8 = ChaCha<ChaCha8Rng>;
/// With 20 rounds: RFC 8439.
pub type ChaCha20 = ChaCha<ChaCha20Rng>;

impl<S: KeyStream> ChaCha<S> {
    /// The stream of `seed`, at its start.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut key = [0; 32];
        for (byte, of_seed) in key.iter_mut().zip(seed.to_le_bytes()) {
            *byte = of_seed;
        }
        Self {
            seed,
            stream: S::from_seed(key),
        }
    }

    /// The stream of `seed` after its first `position` words; `None` if `position` is too large.
    #[must_use]
    pub fn at(seed: u32, position: u64) -> Option<Self> {
        let mut random = Self::new(seed);
        random.stream.go_to(position.into());
        (position < POSITIONS).then_some(random)
    }

    /// The stream as it stands. This one goes on after the next `words` words, which are left to the result.
    #[must_use]
    pub fn claim(&mut self, words: u64) -> Self
    where
        S: Clone,
    {
        let claimed = self.clone();
        self.stream.go_to(self.stream.place() + u128::from(words));
        claimed
    }

    /// Where the stream stands: its seed, and how many words it has given.
    #[must_use]
    pub fn place(&self) -> (u32, u64) {
        // Below 2^64: `at` refuses positions that are not far below it.
        (self.seed, self.stream.place() as u64)
    }

    /// The next word.
    pub fn next_u32(&mut self) -> u32 {
        self.stream.next_u32()
    }

    /// The next words, as bytes. If the last word does not fit whole, the rest of it is lost.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.stream.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{ChaCha, ChaCha8, ChaCha20, KeyStream, POSITIONS};
    use crate::known_answers::{self, WordsAnswer};

    fn check<S: KeyStream>(answers: &[WordsAnswer]) {
        for answer in answers {
            let mut random = ChaCha::<S>::new(answer.seed);
            let stream: Vec<u32> = (0..1000).map(|_| random.next_u32()).collect();
            assert_eq!(stream[..5], answer.first, "seed {:#x}", answer.seed);
            assert_eq!(stream[999], answer.thousandth, "seed {:#x}", answer.seed);
        }
    }

    #[test]
    fn known_answers() {
        check::<rand_chacha::ChaCha20Rng>(&known_answers::CHACHA20);
        check::<rand_chacha::ChaCha8Rng>(&known_answers::CHACHA8);
    }

    #[test]
    fn bytes_are_those_of_the_words() {
        let (mut words, mut bytes) = (ChaCha8::new(7), ChaCha8::new(7));
        let mut filled = [0; 404];
        for _ in 0..3 {
            bytes.fill(&mut filled);
            let expected: Vec<u8> = (0..101)
                .flat_map(|_| words.next_u32().to_le_bytes())
                .collect();
            assert_eq!(filled[..], expected);
            assert_eq!(bytes, words);
        }
    }

    /// RFC 8439, appendix A.1, test vectors 1 and 2: the key of zeros, blocks 0 and 1.
    #[test]
    fn the_blocks_of_the_rfc() {
        let mut random = ChaCha20::new(0);
        let stream: Vec<u8> = (0..32)
            .flat_map(|_| random.next_u32().to_le_bytes())
            .collect();
        assert_eq!(
            stream[..16],
            [
                0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
                0xbd, 0x28
            ]
        );
        assert_eq!(
            stream[64..80],
            [
                0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d,
                0x08, 0x0d
            ]
        );
    }

    #[test]
    fn stream_continues_from_its_place() {
        let mut random = ChaCha20::new(0x42);
        for position in 0..600 {
            let (seed, at) = random.place();
            assert_eq!((seed, at), (0x42, position));
            let mut resumed = ChaCha20::at(seed, at).unwrap();
            assert_eq!(resumed.place(), (seed, at));
            let word = random.next_u32();
            assert_eq!(resumed.next_u32(), word, "position {position}");
        }
    }

    #[test]
    fn distant_places_are_exact_and_impossible_ones_refused() {
        for position in [u64::from(u32::MAX) * 16, POSITIONS - 1] {
            let mut random = ChaCha20::at(7, position).unwrap();
            assert_eq!(random.place(), (7, position));
            random.next_u32();
            assert_eq!(random.place(), (7, position + 1));
        }
        assert_eq!(ChaCha20::at(7, POSITIONS), None);
        assert_eq!(ChaCha20::at(7, u64::MAX), None);
    }
}
