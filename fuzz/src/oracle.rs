// SPDX-License-Identifier: GPL-2.0-or-later

//! The device again, from `docs/my-rng.rst` and RFC 8439: slow, naive, and by other means than the
//! device's. The numbers of the contract are written out, so that a wrong constant is found too.
#![expect(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "an index that is out of bounds is a finding, and plain ones read as the specification does"
)]

use arbitrary::Arbitrary;

/// How long the table of the default generator is.
const TABLE: usize = 31;
/// The longest way that a place of ChaCha20 may be from the start, in words; beyond it no state leads.
const FARTHEST: u64 = 0x7fff_ffff_ffff_ffff;

/// The generators of the specification.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As `rand()`.
    Libc,
    /// RFC 8439.
    ChaCha20,
    /// The host's entropy.
    Host,
}

impl Kind {
    /// The generator that a user calls by this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "libc" => Some(Self::Libc),
            "chacha20" => Some(Self::ChaCha20),
            "host" => Some(Self::Host),
            _ => None,
        }
    }

    /// The name by which a user calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::ChaCha20 => "chacha20",
            Self::Host => "host",
        }
    }

    /// Its number in a state, and in INFO.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Libc => 0,
            Self::ChaCha20 => 1,
            Self::Host => 2,
        }
    }
}

/// The fields of a state, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Which generator.
    pub generator: u8,
    /// The property `seed`.
    pub initial_seed: u32,
    /// ChaCha20's seed.
    pub seed: u32,
    /// ChaCha20: the words taken. The default generator: the oldest sum's place in the table.
    pub position: u64,
    /// The last sums of the default generator.
    pub table: [u32; TABLE],
}

/// A stream, somewhere in its course.
#[derive(Clone, Debug)]
pub enum Stream {
    /// The list `r` of the specification, from `r[first]` on; for ever growing.
    Libc {
        /// The list.
        r: Vec<u32>,
        /// Which `r` its first one is, modulo the table's length.
        first: usize,
    },
    /// So many words of the key stream were given.
    ChaCha20 {
        /// Of which the key is made.
        seed: u32,
        /// How many.
        position: u64,
    },
    /// Nothing to remember.
    Host,
}

impl Stream {
    /// The stream of a seed.
    #[must_use]
    pub fn new(kind: Kind, seed: u32) -> Self {
        match kind {
            Kind::Libc => {
                let mut r = vec![if seed == 0 { 1 } else { seed }];
                for i in 1..=30 {
                    let previous = i64::from(r[i - 1] as i32);
                    // The remainder has the sign of the dividend.
                    let mut next = 16807 * previous % 2_147_483_647;
                    if next < 0 {
                        next += 2_147_483_647;
                    }
                    r.push(next as u32);
                }
                for i in 31..=33 {
                    r.push(r[i - 31]);
                }
                for i in 34..=343 {
                    r.push(r[i - 3].wrapping_add(r[i - 31]));
                }
                Self::Libc { r, first: 0 }
            }
            Kind::ChaCha20 => Self::ChaCha20 { seed, position: 0 },
            Kind::Host => Self::Host,
        }
    }

    /// The next number; `entropy` gives the host's.
    fn next(&mut self, entropy: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Libc { r, .. } => {
                let i = r.len();
                r.push(r[i - 3].wrapping_add(r[i - 31]));
                r[i] >> 1
            }
            Self::ChaCha20 { seed, position } => {
                let word = chacha20_block(*seed, *position / 16)[(*position % 16) as usize];
                *position += 1;
                word
            }
            Self::Host => entropy(),
        }
    }
}

/// A block of ChaCha20's key stream (RFC 8439, section 2.3) under the key that the specification makes
/// of a seed. The RFC's counter has 32 bits; the original's, which this is, goes on into the next word.
#[must_use]
pub fn chacha20_block(seed: u32, counter: u64) -> [u32; 16] {
    let mut initial = [0; 16];
    initial[0] = 0x6170_7865;
    initial[1] = 0x3320_646e;
    initial[2] = 0x7962_2d32;
    initial[3] = 0x6b20_6574;
    // Words 4 to 11 are the key: the seed and 28 bytes of 0.
    initial[4] = seed;
    initial[12] = counter as u32;
    initial[13] = (counter >> 32) as u32;
    let mut state = initial;
    for _ in 0..10 {
        for [a, b, c, d] in [
            [0, 4, 8, 12],
            [1, 5, 9, 13],
            [2, 6, 10, 14],
            [3, 7, 11, 15],
            [0, 5, 10, 15],
            [1, 6, 11, 12],
            [2, 7, 8, 13],
            [3, 4, 9, 14],
        ] {
            quarter_round(&mut state, a, b, c, d);
        }
    }
    for i in 0..16 {
        state[i] = state[i].wrapping_add(initial[i]);
    }
    state
}

/// RFC 8439, section 2.1.
fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}

/// The device.
#[derive(Clone, Debug)]
pub struct Model {
    kind: Kind,
    initial_seed: u32,
    stream: Stream,
    /// Numbers taken.
    pub reads: u64,
    /// Seeds written.
    pub seeds: u64,
    /// Accesses refused.
    pub guest_errors: u64,
    /// What `trace` is told: the seeds written.
    pub traced: Vec<u32>,
}

impl Model {
    /// A device with these properties, unless they are none.
    #[must_use]
    pub fn new(generator: &str, seed: u32) -> Option<Self> {
        let kind = Kind::named(generator)?;
        if kind == Kind::Host && seed != 1 {
            return None;
        }
        Some(Self {
            kind,
            initial_seed: seed,
            stream: Stream::new(kind, seed),
            reads: 0,
            seeds: 0,
            guest_errors: 0,
            traced: Vec::new(),
        })
    }

    /// Which generator it has.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A reset. It leaves the counters.
    pub fn reset(&mut self) {
        self.stream = Stream::new(self.kind, self.initial_seed);
    }

    /// A read: its number, or the line that `-d guest_errors` shows.
    ///
    /// # Errors
    ///
    /// When the access is none.
    pub fn read(
        &mut self,
        offset: u64,
        size: u32,
        entropy: impl FnOnce() -> u32,
    ) -> Result<u64, String> {
        let why = if size != 4 {
            "only 4-byte accesses do anything"
        } else if offset % 4 != 0 {
            "only aligned accesses do anything"
        } else if offset == 0 {
            self.reads += 1;
            return Ok(u64::from(self.stream.next(entropy)));
        } else if offset == 4 {
            "SEED is write-only"
        } else if offset == 8 {
            return Ok(0x524e_0000 + u64::from(self.kind.number()));
        } else {
            "there is no register"
        };
        self.guest_errors += 1;
        Err(format!("{size}-byte read at offset 0x{offset:x}: {why}"))
    }

    /// A write: the line that `-d guest_errors` shows, if it is none.
    ///
    /// # Errors
    ///
    /// When the access is none.
    pub fn write(&mut self, offset: u64, value: u64, size: u32) -> Result<(), String> {
        let why = if size != 4 {
            "only 4-byte accesses do anything"
        } else if offset % 4 != 0 {
            "only aligned accesses do anything"
        } else if offset == 0 {
            "RNG is read-only"
        } else if offset == 8 {
            "INFO is read-only"
        } else if offset != 4 {
            "there is no register"
        } else if self.kind == Kind::Host {
            "the host's entropy takes no seed"
        } else {
            let seed = (value & 0xffff_ffff) as u32;
            self.stream = Stream::new(self.kind, seed);
            self.seeds += 1;
            self.traced.push(seed);
            return Ok(());
        };
        self.guest_errors += 1;
        Err(format!("{size}-byte write at offset 0x{offset:x}: {why}"))
    }

    /// What travels.
    #[must_use]
    pub fn save(&self) -> Fields {
        let mut fields = Fields {
            generator: self.kind.number(),
            initial_seed: self.initial_seed,
            seed: 0,
            position: 0,
            table: [0; TABLE],
        };
        match &self.stream {
            Stream::Libc { r, first } => {
                // r[i] stands at i modulo 31, and the last 31 of them are kept.
                for i in r.len() - TABLE..r.len() {
                    fields.table[(first + i) % TABLE] = r[i];
                }
                fields.position = ((first + r.len()) % TABLE) as u64;
            }
            Stream::ChaCha20 { seed, position } => {
                fields.seed = *seed;
                fields.position = *position;
            }
            Stream::Host => {}
        }
        fields
    }

    /// Goes on from what arrived, if it is of such a device and possible.
    pub fn load(&mut self, fields: &Fields) -> bool {
        let no_table = fields.table == [0; TABLE];
        let stream = match self.kind {
            _ if fields.generator != self.kind.number() => return false,
            _ if fields.initial_seed != self.initial_seed => return false,
            Kind::Libc if fields.seed == 0 && fields.position < 31 => {
                let first = fields.position as usize;
                let mut r = Vec::new();
                for i in 0..TABLE {
                    r.push(fields.table[(first + i) % TABLE]);
                }
                Stream::Libc { r, first }
            }
            Kind::ChaCha20 if no_table && fields.position <= FARTHEST => Stream::ChaCha20 {
                seed: fields.seed,
                position: fields.position,
            },
            Kind::Host if no_table && fields.seed == 0 && fields.position == 0 => Stream::Host,
            _ => return false,
        };
        self.stream = stream;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Model, Stream, chacha20_block, quarter_round};
    use crate::known_answers;

    fn stream(kind: Kind, seed: u32, count: usize) -> Vec<u32> {
        let mut stream = Stream::new(kind, seed);
        (0..count).map(|_| stream.next(|| unreachable!())).collect()
    }

    #[test]
    fn known_answers_of_the_default_generator() {
        for answer in &known_answers::LIBC {
            let numbers = stream(Kind::Libc, answer.seed, 1_000_000);
            assert_eq!(numbers[..5], answer.first, "seed {:#x}", answer.seed);
            assert_eq!(numbers[999], answer.thousandth, "seed {:#x}", answer.seed);
            assert_eq!(
                numbers[999_999], answer.millionth,
                "seed {:#x}",
                answer.seed
            );
        }
    }

    #[test]
    fn known_answers_of_chacha20() {
        for answer in &known_answers::CHACHA20 {
            let words = stream(Kind::ChaCha20, answer.seed, 1000);
            assert_eq!(words[..5], answer.first, "seed {:#x}", answer.seed);
            assert_eq!(words[999], answer.thousandth, "seed {:#x}", answer.seed);
        }
    }

    /// RFC 8439, section 2.1.1.
    #[test]
    fn the_quarter_round_of_the_rfc() {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&[0x1111_1111, 0x0102_0304, 0x9b8d_6f43, 0x0123_4567]);
        quarter_round(&mut state, 0, 1, 2, 3);
        assert_eq!(
            state[..4],
            [0xea2a_92f4, 0xcb1c_f8ce, 0x4581_472e, 0x5881_c4bb]
        );
    }

    /// RFC 8439, appendix A.1, test vectors 1 and 2.
    #[test]
    fn the_blocks_of_the_rfc() {
        assert_eq!(
            chacha20_block(0, 0)[..4],
            [0xade0_b876, 0x903d_f1a0, 0xe56a_5d40, 0x28bd_8653]
        );
        assert_eq!(
            chacha20_block(0, 1)[..4],
            [0xbee7_079f, 0x7a38_5155, 0x7c97_ba98, 0x0d08_2d73]
        );
    }

    #[test]
    fn a_state_is_where_the_stream_goes_on() {
        for generator in ["libc", "chacha20"] {
            for taken in [0, 1, 27, 28, 30, 31, 32, 1000] {
                let mut source = Model::new(generator, 0x42).unwrap();
                for _ in 0..taken {
                    source.read(0, 4, || unreachable!()).unwrap();
                }
                let mut destination = Model::new(generator, 0x42).unwrap();
                assert!(destination.load(&source.save()));
                assert_eq!(destination.save(), source.save());
                for _ in 0..100 {
                    assert_eq!(
                        destination.read(0, 4, || unreachable!()),
                        source.read(0, 4, || unreachable!())
                    );
                }
                assert_eq!(destination.save(), source.save());
            }
        }
    }

    #[test]
    fn info_is_as_the_specification_has_it() {
        for (generator, expected) in [
            ("libc", 0x524e_0000),
            ("chacha20", 0x524e_0001),
            ("host", 0x524e_0002),
        ] {
            let mut model = Model::new(generator, 1).unwrap();
            let own = model.save();
            assert_eq!(model.read(8, 4, || unreachable!()), Ok(expected));
            assert_eq!((model.reads, model.guest_errors), (0, 0));
            assert_eq!(model.save(), own);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Model::new("Libc", 1).is_none());
        assert!(Model::new("host", 2).is_none());
        let mut model = Model::new("libc", 1).unwrap();
        let own = model.save();
        let mut foreign = own.clone();
        foreign.position = 31;
        assert!(!model.load(&foreign));
        foreign = own.clone();
        foreign.initial_seed = 2;
        assert!(!model.load(&foreign));
        foreign = own.clone();
        foreign.generator = 1;
        assert!(!model.load(&foreign));
        assert_eq!(model.save(), own);
        for (read, offset, size, expected) in [
            (
                true,
                0,
                2,
                "2-byte read at offset 0x0: only 4-byte accesses do anything",
            ),
            (
                false,
                2,
                4,
                "4-byte write at offset 0x2: only aligned accesses do anything",
            ),
            (true, 4, 4, "4-byte read at offset 0x4: SEED is write-only"),
            (false, 0, 4, "4-byte write at offset 0x0: RNG is read-only"),
            (false, 8, 4, "4-byte write at offset 0x8: INFO is read-only"),
            (
                true,
                12,
                4,
                "4-byte read at offset 0xc: there is no register",
            ),
        ] {
            let refused = if read {
                model.read(offset, size, || unreachable!()).unwrap_err()
            } else {
                model.write(offset, 7, size).unwrap_err()
            };
            assert_eq!(refused, expected);
        }
        assert_eq!((model.reads, model.seeds, model.guest_errors), (0, 0, 6));
        assert_eq!(model.save(), own);
    }
}
