// SPDX-License-Identifier: GPL-2.0-or-later

//! Generators: from a seed to a stream of numbers.
//!
//! Nothing here knows about registers or QEMU. Generators share no state: two devices, or QEMU's own use of the C
//! library, never disturb each other's streams. The caller supplies real entropy.

mod chacha;
mod glibc;
mod xoshiro;

pub use chacha::{ChaCha8, ChaCha20};
pub use glibc::GlibcRandom;
pub use xoshiro::Xoshiro256PlusPlus;

/// How many words of table a [`Place`] has.
pub const TABLE_WORDS: usize = glibc::LONG_LAG;

/// Positions in a stream, in words, are below this. No reader gets that far; it leaves headroom below 2^64.
const POSITIONS: u64 = 1 << 63;

/// How many bytes are made at a time for a [`Sink`] if they are not made in place. This many was measured fastest; it
/// is far less than a processor's first-level cache.
const BLOCK: usize = 512;

/// The kinds of generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The C library's `rand()`: 31-bit numbers.
    Libc,
    /// ChaCha20's key stream: 32-bit words.
    ChaCha20,
    /// The host's entropy: 32-bit words, and no seed.
    Host,
    /// ChaCha8's key stream: 32-bit words.
    ChaCha8,
    /// xoshiro256++: 32-bit words.
    Xoshiro256PlusPlus,
}

impl Kind {
    /// All of them, the default first.
    pub const ALL: [Self; 5] = [
        Self::Libc,
        Self::ChaCha20,
        Self::Host,
        Self::ChaCha8,
        Self::Xoshiro256PlusPlus,
    ];
}

/// The destination of many words, as little-endian bytes.
pub trait Sink {
    /// How many bytes can be written next, a multiple of 4; 0 when it is full.
    fn room(&self) -> usize;

    /// Writes bytes, at most [`room`](Self::room) of them; the rest is dropped.
    fn write(&mut self, bytes: &[u8]);

    /// Writes `count` values of `next`, of 8 bytes each, at most [`room`](Self::room) bytes.
    fn write_u64s(&mut self, count: usize, next: impl FnMut() -> u64);
}

/// The host has no entropy to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// A generator cannot be seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSeedable;

/// Where in its stream a generator stands. What a generator does not use is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// For the ChaCha streams and xoshiro256pp: the seed.
    pub seed: u32,
    /// For the same: how many words were taken since. For libc: the index of the oldest sum in the table.
    pub position: u64,
    /// For libc: the last sums.
    pub table: [u32; TABLE_WORDS],
}

impl Place {
    /// The place of a stream that its seed and position describe.
    fn of_words((seed, position): (u32, u64)) -> Self {
        Self {
            seed,
            position,
            ..Self::default()
        }
    }
}

/// The place is impossible for this generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpossiblePlace;

/// A stream of numbers, at some position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generator {
    /// See [`Kind::Libc`].
    Libc(GlibcRandom),
    /// See [`Kind::ChaCha20`].
    ChaCha20(ChaCha20),
    /// See [`Kind::ChaCha8`].
    ChaCha8(ChaCha8),
    /// See [`Kind::Xoshiro256PlusPlus`].
    Xoshiro256PlusPlus(Xoshiro256PlusPlus),
    /// See [`Kind::Host`]. Keeps nothing of what the host gave, so nothing is given twice.
    Host,
}

impl Generator {
    /// The stream of `seed`, at its start. The host's entropy ignores the seed.
    #[must_use]
    pub fn new(kind: Kind, seed: u32) -> Self {
        match kind {
            Kind::Libc => Self::Libc(GlibcRandom::new(seed)),
            Kind::ChaCha20 => Self::ChaCha20(ChaCha20::new(seed)),
            Kind::ChaCha8 => Self::ChaCha8(ChaCha8::new(seed)),
            Kind::Xoshiro256PlusPlus => Self::Xoshiro256PlusPlus(Xoshiro256PlusPlus::new(seed)),
            Kind::Host => Self::Host,
        }
    }

    /// The stream at that place.
    ///
    /// # Errors
    ///
    /// When the place is impossible for this generator.
    pub fn at(kind: Kind, place: &Place) -> Result<Self, ImpossiblePlace> {
        let generator = match kind {
            Kind::Libc => usize::try_from(place.position)
                .ok()
                .and_then(|oldest| GlibcRandom::at(place.table, oldest))
                .map(Self::Libc),
            Kind::ChaCha20 => ChaCha20::at(place.seed, place.position).map(Self::ChaCha20),
            Kind::ChaCha8 => ChaCha8::at(place.seed, place.position).map(Self::ChaCha8),
            Kind::Xoshiro256PlusPlus => {
                Xoshiro256PlusPlus::at(place.seed, place.position).map(Self::Xoshiro256PlusPlus)
            }
            Kind::Host => Some(Self::Host),
        };
        // There is one way to write a place: unused fields are 0.
        generator
            .filter(|generator| generator.place() == *place)
            .ok_or(ImpossiblePlace)
    }

    /// Where the stream stands.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Libc(random) => {
                let (table, oldest) = random.place();
                Place {
                    position: oldest as u64,
                    table,
                    ..Place::default()
                }
            }
            Self::ChaCha20(random) => Place::of_words(random.place()),
            Self::ChaCha8(random) => Place::of_words(random.place()),
            Self::Xoshiro256PlusPlus(random) => Place::of_words(random.place()),
            Self::Host => Place::default(),
        }
    }

    /// Which generator it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Libc(_) => Kind::Libc,
            Self::ChaCha20(_) => Kind::ChaCha20,
            Self::ChaCha8(_) => Kind::ChaCha8,
            Self::Xoshiro256PlusPlus(_) => Kind::Xoshiro256PlusPlus,
            Self::Host => Kind::Host,
        }
    }

    /// Restarts the stream from `seed`.
    ///
    /// # Errors
    ///
    /// When this generator takes no seed.
    pub fn seed(&mut self, seed: u32) -> Result<(), NotSeedable> {
        if self.kind() == Kind::Host {
            return Err(NotSeedable);
        }
        *self = Self::new(self.kind(), seed);
        Ok(())
    }

    /// The next number. `entropy` gives a word of the host's, or `None` if the host has none; this returns `None`
    /// likewise. Only the generator `host` calls it.
    pub fn next_u32(&mut self, entropy: impl FnOnce() -> Option<u32>) -> Option<u32> {
        match self {
            Self::Libc(random) => Some(random.next_u32()),
            Self::ChaCha20(random) => Some(random.next_u32()),
            Self::ChaCha8(random) => Some(random.next_u32()),
            Self::Xoshiro256PlusPlus(random) => Some(random.next_u32()),
            Self::Host => entropy(),
        }
    }

    /// A generator that gives the next `words` words; this one goes on after them. `None`, with nothing changed, for a
    /// generator that cannot be placed there at once. `host` gives every word once in any case.
    pub fn claim(&mut self, words: u64) -> Option<Self> {
        match self {
            Self::ChaCha20(random) => Some(Self::ChaCha20(random.claim(words))),
            Self::ChaCha8(random) => Some(Self::ChaCha8(random.claim(words))),
            Self::Host => Some(Self::Host),
            Self::Libc(_) | Self::Xoshiro256PlusPlus(_) => None,
        }
    }

    /// Fills `sink` with the next words, the same that calls of [`Self::next_u32`] give. `entropy` fills bytes, a
    /// multiple of 4, with the host's; only the generator `host` calls it.
    ///
    /// # Errors
    ///
    /// When the host has none. The words written until then are taken from the stream.
    pub fn fill(
        &mut self,
        sink: &mut impl Sink,
        entropy: impl FnMut(&mut [u8]) -> bool,
    ) -> Result<(), NoEntropy> {
        match self {
            Self::Libc(random) => in_blocks(sink, |block| {
                for word in block.chunks_exact_mut(4) {
                    word.copy_from_slice(&random.next_u32().to_le_bytes());
                }
                true
            }),
            Self::ChaCha20(random) => in_blocks(sink, |block| {
                random.fill(block);
                true
            }),
            Self::ChaCha8(random) => in_blocks(sink, |block| {
                random.fill(block);
                true
            }),
            Self::Xoshiro256PlusPlus(random) => {
                random.fill(sink);
                Ok(())
            }
            Self::Host => in_blocks(sink, entropy),
        }
    }
}

/// Fills `sink` block by block, until `next` fails.
fn in_blocks(
    sink: &mut impl Sink,
    mut next: impl FnMut(&mut [u8]) -> bool,
) -> Result<(), NoEntropy> {
    let mut block = [0; BLOCK];
    loop {
        let length = sink.room().min(BLOCK);
        let Some(block) = block.get_mut(..length).filter(|block| !block.is_empty()) else {
            return Ok(());
        };
        if !next(block) {
            return Err(NoEntropy);
        }
        sink.write(block);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Generator, ImpossiblePlace, Kind, NoEntropy, NotSeedable, Place, Sink, TABLE_WORDS,
    };

    /// Pieces of memory, with these sizes in bytes.
    struct Pieces {
        left: Vec<usize>,
        bytes: Vec<u8>,
        /// How many 64-bit numbers were written whole.
        numbers: usize,
    }

    impl Pieces {
        fn new(pieces: &[usize]) -> Self {
            Self {
                left: pieces.iter().copied().rev().collect(),
                bytes: Vec::new(),
                numbers: 0,
            }
        }
    }

    impl Sink for Pieces {
        fn room(&self) -> usize {
            self.left.last().copied().unwrap_or(0)
        }

        fn write(&mut self, bytes: &[u8]) {
            let room = self.left.pop().unwrap();
            assert!(!bytes.is_empty() && bytes.len() <= room);
            if bytes.len() < room {
                self.left.push(room - bytes.len());
            }
            self.bytes.extend(bytes);
        }

        fn write_u64s(&mut self, count: usize, mut next: impl FnMut() -> u64) {
            let bytes: Vec<u8> = (0..count).flat_map(|_| next().to_le_bytes()).collect();
            self.write(&bytes);
            self.numbers += count;
        }
    }

    /// Returns a counter, with its words scrambled.
    fn entropy() -> impl FnMut(&mut [u8]) -> bool {
        let mut count = 0_u32;
        move |bytes| {
            assert!(!bytes.is_empty() && bytes.len() % 4 == 0);
            for word in bytes.chunks_mut(4) {
                count += 1;
                word.copy_from_slice(&count.wrapping_mul(0x9e37_79b9).to_le_bytes());
            }
            true
        }
    }

    #[test]
    fn fill_returns_the_same_stream() {
        let pieces = [4, 8, 4, 4, 512, 516, 12, 4096, 20];
        let bytes: usize = pieces.iter().sum();
        for kind in Kind::ALL {
            for taken in [0, 1, 2, 15, 128, 129] {
                let (mut one, mut all) = (entropy(), entropy());
                let mut word = || {
                    let mut bytes = [0; 4];
                    one(&mut bytes).then(|| u32::from_le_bytes(bytes))
                };
                let (mut single, mut bulk) =
                    (Generator::new(kind, 0x42), Generator::new(kind, 0x42));
                for _ in 0..taken {
                    single.next_u32(&mut word);
                    bulk.next_u32(|| {
                        let mut bytes = [0; 4];
                        all(&mut bytes).then(|| u32::from_le_bytes(bytes))
                    });
                }
                let mut sink = Pieces::new(&pieces);
                assert_eq!(bulk.fill(&mut sink, &mut all), Ok(()));
                let expected: Vec<u8> = (0..bytes / 4)
                    .flat_map(|_| single.next_u32(&mut word).unwrap().to_le_bytes())
                    .collect();
                assert!(sink.bytes == expected, "{kind:?} after {taken} words");
                assert_eq!(bulk, single, "{kind:?} after {taken} words");
                assert_eq!(bulk.fill(&mut Pieces::new(&[]), &mut all), Ok(()));
                assert_eq!(bulk, single);
            }
        }
    }

    /// Writing 64-bit numbers is faster than writing words.
    #[test]
    fn xoshiro_writes_whole_numbers() {
        let mut generator = Generator::new(Kind::Xoshiro256PlusPlus, 1);
        let mut sink = Pieces::new(&[4, 4096, 12]);
        assert_eq!(generator.fill(&mut sink, |_| unreachable!()), Ok(()));
        // The first number, and one across the end of a piece, are written as two words.
        assert_eq!(sink.numbers, 511 + 1);
    }

    #[test]
    fn fill_ends_when_the_host_has_no_entropy() {
        let mut blocks = 2;
        let mut sink = Pieces::new(&[2000]);
        let filled = Generator::new(Kind::Host, 1).fill(&mut sink, |bytes| {
            bytes.fill(blocks);
            blocks = blocks.saturating_sub(1);
            blocks > 0
        });
        assert_eq!(filled, Err(NoEntropy));
        assert_eq!(sink.bytes, [2; 512]);
    }

    fn words(generator: &mut Generator, count: usize) -> Vec<u32> {
        let mut entropy = 0;
        (0..count)
            .map(|_| {
                let word = generator.next_u32(|| {
                    entropy += 1;
                    Some(entropy)
                });
                word.unwrap()
            })
            .collect()
    }

    #[test]
    fn stream_continues_from_its_place() {
        for kind in Kind::ALL {
            for taken in [0, 1, 27, 28, 30, 31, 32, 1000] {
                let mut generator = Generator::new(kind, 0x42);
                words(&mut generator, taken);
                let mut resumed = Generator::at(kind, &generator.place()).unwrap();
                assert_eq!(resumed, generator);
                assert_eq!(words(&mut resumed, 100), words(&mut generator, 100));
            }
        }
    }

    #[test]
    fn impossible_places_are_refused() {
        let index = |position| Place {
            position,
            ..Place::default()
        };
        for (kind, place) in [
            (Kind::Libc, index(TABLE_WORDS as u64)),
            (Kind::Libc, index(u64::MAX)),
            (
                Kind::Libc,
                Place {
                    seed: 1,
                    ..Place::default()
                },
            ),
            (Kind::ChaCha20, index(u64::MAX)),
            (Kind::ChaCha8, index(u64::MAX)),
            (Kind::Xoshiro256PlusPlus, index(u64::MAX)),
            (
                Kind::ChaCha20,
                Place {
                    table: [1; TABLE_WORDS],
                    ..Place::default()
                },
            ),
            (Kind::Host, index(1)),
        ] {
            assert_eq!(
                Generator::at(kind, &place),
                Err(ImpossiblePlace),
                "{kind:?} at {place:?}"
            );
        }
    }

    #[test]
    fn the_host_has_no_seed_and_gives_what_it_is_given() {
        let mut host = Generator::new(Kind::Host, 7);
        assert_eq!(host.seed(7), Err(NotSeedable));
        assert_eq!(host.next_u32(|| Some(0xfeed_f00d)), Some(0xfeed_f00d));
        assert_eq!(host.next_u32(|| None), None);
    }

    #[test]
    fn seeded_generators_do_not_ask_for_entropy() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Host) {
            let mut generator = Generator::new(kind, 1);
            assert!(generator.next_u32(|| unreachable!()).is_some());
        }
    }
}
