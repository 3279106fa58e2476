// SPDX-License-Identifier: GPL-2.0-or-later

//! Generators: from a seed to a stream of numbers.
//!
//! Nothing here knows what a register or QEMU is, and no generator shares state with another: two
//! devices, or QEMU's own use of the C library, never disturb each other's streams. Real entropy is
//! injected by whoever asks for a number.

mod chacha20;
mod glibc;

use core::fmt;
use core::str::FromStr;

pub use chacha20::ChaCha20;
pub use glibc::GlibcRandom;

/// How many words of table a [`Place`] has.
pub const TABLE_WORDS: usize = glibc::LONG_LAG;

/// The generators there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The C library's `rand()`: 31-bit numbers.
    Libc,
    /// ChaCha20's key stream: 32-bit words.
    ChaCha20,
    /// The host's entropy: 32-bit words, and no seed.
    Host,
}

impl Kind {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Libc, Self::ChaCha20, Self::Host];

    /// The name by which users ask for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::ChaCha20 => "chacha20",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no generator has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownGenerator(String);

impl fmt::Display for UnknownGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [others @ .., last] = Kind::ALL.map(Kind::name);
        write!(
            f,
            "there is no generator '{}'; it is one of {} and {last}",
            self.0.escape_debug(),
            others.join(", ")
        )
    }
}

impl FromStr for Kind {
    type Err = UnknownGenerator;

    fn from_str(name: &str) -> Result<Self, UnknownGenerator> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownGenerator(name.to_owned()))
    }
}

/// A generator cannot be seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSeedable;

/// Where in its stream a generator stands. What a generator does not use is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// chacha20: the seed.
    pub seed: u32,
    /// chacha20: how many words were taken since. libc: the place of the oldest sum in the table.
    pub position: u64,
    /// libc: the last sums.
    pub table: [u32; TABLE_WORDS],
}

/// A place at which the generator cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpossiblePlace;

/// A stream of numbers, somewhere in its course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generator {
    /// See [`Kind::Libc`].
    Libc(GlibcRandom),
    /// See [`Kind::ChaCha20`].
    ChaCha20(ChaCha20),
    /// See [`Kind::Host`]. Nothing is kept of what the host gave, so nothing can be given twice.
    Host,
}

impl Generator {
    /// The stream of `seed`, at its start; the host's entropy takes no notice of the seed.
    #[must_use]
    pub fn new(kind: Kind, seed: u32) -> Self {
        match kind {
            Kind::Libc => Self::Libc(GlibcRandom::new(seed)),
            Kind::ChaCha20 => Self::ChaCha20(ChaCha20::new(seed)),
            Kind::Host => Self::Host,
        }
    }

    /// The stream at that place.
    ///
    /// # Errors
    ///
    /// When the generator cannot be there.
    pub fn at(kind: Kind, place: &Place) -> Result<Self, ImpossiblePlace> {
        let generator = match kind {
            Kind::Libc => usize::try_from(place.position)
                .ok()
                .and_then(|oldest| GlibcRandom::at(place.table, oldest))
                .map(Self::Libc),
            Kind::ChaCha20 => ChaCha20::at(place.seed, place.position).map(Self::ChaCha20),
            Kind::Host => Some(Self::Host),
        };
        // A place is written in one way only: what is not used is 0.
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
            Self::ChaCha20(random) => {
                let (seed, position) = random.place();
                Place {
                    seed,
                    position,
                    ..Place::default()
                }
            }
            Self::Host => Place::default(),
        }
    }

    /// Which generator it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Libc(_) => Kind::Libc,
            Self::ChaCha20(_) => Kind::ChaCha20,
            Self::Host => Kind::Host,
        }
    }

    /// Restarts the stream from `seed`.
    ///
    /// # Errors
    ///
    /// When it does not come from a seed.
    pub fn seed(&mut self, seed: u32) -> Result<(), NotSeedable> {
        if self.kind() == Kind::Host {
            return Err(NotSeedable);
        }
        *self = Self::new(self.kind(), seed);
        Ok(())
    }

    /// The next number. `entropy` gives a word of the host's, or `None` where the host has none; so
    /// does this then. No other generator calls it.
    pub fn next_u32(&mut self, entropy: impl FnOnce() -> Option<u32>) -> Option<u32> {
        match self {
            Self::Libc(random) => Some(random.next_u32()),
            Self::ChaCha20(random) => Some(random.next_u32()),
            Self::Host => entropy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, ImpossiblePlace, Kind, NotSeedable, Place, TABLE_WORDS};

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
    fn a_name_finds_its_generator() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        for name in ["", "Libc", "libc ", "chacha2", "hos\u{1b}t"] {
            let error = name.parse::<Kind>().unwrap_err().to_string();
            assert!(
                error.ends_with("it is one of libc, chacha20 and host"),
                "{error}"
            );
            assert!(!error.contains('\u{1b}'), "{error:?}");
        }
    }

    #[test]
    fn a_place_is_where_the_stream_goes_on() {
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
                "{kind} at {place:?}"
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
        for kind in [Kind::Libc, Kind::ChaCha20] {
            let mut generator = Generator::new(kind, 1);
            assert!(generator.next_u32(|| unreachable!()).is_some());
        }
    }
}
