// SPDX-License-Identifier: GPL-2.0-or-later

//! A second model of the device, written from `docs/my-rng.rst`, RFC 8439 and the paper on xoshiro: slow, naive, and with
//! other methods than the device. Constants are written out, so that a wrong constant is found too.
#![expect(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "an index that is out of bounds is a finding, and plain ones read as the specification does"
)]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use qemu_pci::testing::{Memory, Page};

use crate::fields::{Fields, TABLE};

/// Positions of ChaCha and xoshiro256++ in a state, in words, are below this.
const FARTHEST: u64 = 0x7fff_ffff_ffff_ffff;

/// The generators of the specification.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As `rand()`.
    Libc,
    /// RFC 8439.
    ChaCha20,
    /// The host's entropy.
    Host,
    /// RFC 8439, with 8 rounds.
    ChaCha8,
    /// By Blackman and Vigna.
    Xoshiro256pp,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Libc,
        Self::ChaCha20,
        Self::Host,
        Self::ChaCha8,
        Self::Xoshiro256pp,
    ];

    /// The generator with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "libc" => Some(Self::Libc),
            "chacha20" => Some(Self::ChaCha20),
            "host" => Some(Self::Host),
            "chacha8" => Some(Self::ChaCha8),
            "xoshiro256pp" => Some(Self::Xoshiro256pp),
            _ => None,
        }
    }

    /// The name in the property.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::ChaCha20 => "chacha20",
            Self::Host => "host",
            Self::ChaCha8 => "chacha8",
            Self::Xoshiro256pp => "xoshiro256pp",
        }
    }

    /// Its id in a state and in INFO.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Libc => 0,
            Self::ChaCha20 => 1,
            Self::Host => 2,
            Self::ChaCha8 => 3,
            Self::Xoshiro256pp => 4,
        }
    }
}

/// A stream at some position.
#[derive(Clone, Debug)]
pub enum Stream {
    /// The part of the specification's list `r` that the next numbers need.
    Libc {
        /// Its last entries, the oldest first.
        r: [u32; TABLE],
        /// The number of entries before them, modulo the table's length.
        first: usize,
    },
    /// A position in the key stream.
    ChaCha {
        /// How often the rounds are repeated, two at a time.
        double_rounds: u32,
        /// The seed in the key.
        seed: u32,
        /// How many.
        position: u64,
        /// The block that the next word is in.
        block: [u32; 16],
    },
    /// A position in words, two per number.
    Xoshiro {
        /// The seed that it started from.
        seed: u32,
        /// How many.
        position: u64,
        /// The state of the number that contains the next word.
        state: [u64; 4],
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
                let mut last = [0; TABLE];
                last.copy_from_slice(&r[344 - TABLE..]);
                Self::Libc {
                    r: last,
                    first: (344 - TABLE) % TABLE,
                }
            }
            Kind::ChaCha20 | Kind::ChaCha8 | Kind::Xoshiro256pp => Self::at(kind, seed, 0),
            Kind::Host => Self::Host,
        }
    }

    /// The stream of a seed after that many words, for the generators with such a state.
    fn at(kind: Kind, seed: u32, position: u64) -> Self {
        if kind == Kind::Xoshiro256pp {
            return Self::Xoshiro {
                seed,
                position,
                state: xoshiro_far(splitmix64(seed.into()), position / 2),
            };
        }
        let double_rounds = if kind == Kind::ChaCha20 { 10 } else { 4 };
        Self::ChaCha {
            double_rounds,
            seed,
            position,
            block: chacha_block(double_rounds, seed, position / 16),
        }
    }

    /// The next number; `entropy` gives the host's.
    fn next(&mut self, entropy: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Libc { r, first } => {
                let next = r[TABLE - 3].wrapping_add(r[TABLE - 31]);
                // The oldest is not needed again.
                r.copy_within(1.., 0);
                r[TABLE - 1] = next;
                *first = (*first + 1) % TABLE;
                next >> 1
            }
            Self::ChaCha {
                double_rounds,
                seed,
                position,
                block,
            } => {
                let word = block[(*position % 16) as usize];
                *position += 1;
                if *position % 16 == 0 {
                    *block = chacha_block(*double_rounds, *seed, *position / 16);
                }
                word
            }
            Self::Xoshiro {
                position, state, ..
            } => {
                let number = state[0]
                    .wrapping_add(state[3])
                    .rotate_left(23)
                    .wrapping_add(state[0]);
                *position += 1;
                if *position % 2 == 1 {
                    return (number & 0xffff_ffff) as u32;
                }
                *state = xoshiro_step(*state);
                (number >> 32) as u32
            }
            Self::Host => entropy(),
        }
    }
}

/// The first four numbers of SplitMix64.
fn splitmix64(seed: u64) -> [u64; 4] {
    let mut x = seed;
    let mut numbers = [0; 4];
    for i in 0..4 {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = x;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        numbers[i] = z ^ (z >> 31);
    }
    numbers
}

/// One step of xoshiro256, from state to state.
fn xoshiro_step(mut s: [u64; 4]) -> [u64; 4] {
    let t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3].rotate_left(45);
    s
}

/// A linear map of states: the image of each of the 256 bits.
type Map = Vec<[u64; 4]>;

fn map(by: &Map, s: [u64; 4]) -> [u64; 4] {
    let mut sum = [0; 4];
    for bit in 0..256 {
        // All bits or none. A branch here would be unpredictable.
        let mask = (s[bit / 64] >> (bit % 64) & 1).wrapping_neg();
        for i in 0..4 {
            sum[i] ^= by[bit][i] & mask;
        }
    }
    sum
}

/// Makes many steps at once: a step is a linear map, and so are two steps, four, eight ...
fn xoshiro_far(mut s: [u64; 4], steps: u64) -> [u64; 4] {
    static POWERS: OnceLock<Vec<Map>> = OnceLock::new();
    let powers = POWERS.get_or_init(|| {
        let mut power: Map = Vec::new();
        for bit in 0..256 {
            let mut one = [0; 4];
            one[bit / 64] = 1 << (bit % 64);
            power.push(xoshiro_step(one));
        }
        let mut powers = Vec::new();
        for _ in 0..64 {
            let twice = power.iter().map(|s| map(&power, *s)).collect();
            powers.push(power);
            power = twice;
        }
        powers
    });
    for bit in 0..64 {
        if steps >> bit & 1 == 1 {
            s = map(&powers[bit], s);
        }
    }
    s
}

/// A block of ChaCha's key stream (RFC 8439, section 2.3, with 10 double rounds) under the specification's key of a seed.
/// The RFC's counter has 32 bits; the original's, which is used here, extends into the next word.
#[must_use]
pub fn chacha_block(double_rounds: u32, seed: u32, counter: u64) -> [u32; 16] {
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
    for _ in 0..double_rounds {
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

/// The most frequent error of a segment.
const SHAPE: &str = "its address or length is no multiple of 4, or it has no bytes or no end";

/// The segments of a descriptor, by address and length; or the error status and its message.
fn pieces(descriptor: u64, memory: &Memory) -> Result<Vec<(u64, u64)>, (u32, String)> {
    let page = memory.load(descriptor, 4096);
    let u32_at = |at: usize| {
        (0..4)
            .map(|i| u64::from(page[at + i]) << (8 * i))
            .sum::<u64>()
    };
    let count = u32_at(4);
    if count == 0 || count > 255 {
        return Err((2, format!("has {count} segments, and can have 1 to 255")));
    }
    if u32_at(12) != 0 {
        return Err((2, "has a reserved field that is not 0".to_owned()));
    }
    let mut segments = Vec::new();
    let mut total = 0;
    for i in 0..count {
        let at = 16 + 16 * i as usize;
        let address = u32_at(at) + (u32_at(at + 4) << 32);
        let length = u32_at(at + 8);
        let end = u128::from(address) + u128::from(length);
        if u32_at(at + 12) != 0 {
            return Err((
                2,
                format!("has a bad segment {i}: a reserved field is not 0"),
            ));
        }
        if length == 0 || length % 4 != 0 || address % 4 != 0 || end > 1 << 64 {
            return Err((2, format!("has a bad segment {i}: {SHAPE}")));
        }
        total += length;
        segments.push((address, length));
    }
    if total > 256 * 1024 {
        let why = "has segments of more than 262144 bytes together";
        return Err((2, why.to_owned()));
    }
    let mut pieces = Vec::new();
    for (i, (start, length)) in segments.into_iter().enumerate() {
        let (mut address, mut left) = (start, length);
        while left > 0 {
            let piece = memory.piece(address, left, Page::is_writable);
            if piece == 0 {
                let why = "it is not in memory that the device can write to";
                return Err((3, format!("has a bad segment {i}: {why}")));
            }
            pieces.push((address, piece));
            address += piece;
            left -= piece;
        }
    }
    Ok(pieces)
}

/// What happened in a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// It was seeded.
    Seed(u32),
    /// A transfer: its descriptor, its status, the bytes written.
    Transfer(u64, u32, u32),
}

/// The device.
#[derive(Clone, Debug)]
pub struct Model {
    kind: Kind,
    initial_seed: u32,
    bulk: bool,
    stream: Stream,
    /// Reads of RNG for which the host had no entropy. It wraps, and is migrated; a reset does not change it.
    failures: u32,
    /// Numbers taken.
    pub reads: u64,
    /// Seeds written.
    pub seeds: u64,
    /// The trace events since the last check.
    pub traced: Vec<Traced>,
}

impl Model {
    /// A device with these properties, if they are valid.
    #[must_use]
    pub fn new(generator: &str, seed: u32, bulk: bool) -> Option<Self> {
        let kind = Kind::named(generator)?;
        if kind == Kind::Host && seed != 1 {
            return None;
        }
        Some(Self {
            kind,
            initial_seed: seed,
            bulk,
            stream: Stream::new(kind, seed),
            failures: 0,
            reads: 0,
            seeds: 0,
            traced: Vec::new(),
        })
    }

    /// Which generator it has.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A reset, which does not change the counters.
    pub fn reset(&mut self) {
        self.stream = Stream::new(self.kind, self.initial_seed);
    }

    /// A read: its number, or the line that `-d guest_errors` shows.
    ///
    /// # Errors
    ///
    /// When the device defines no such access.
    pub fn read(
        &mut self,
        offset: u64,
        size: u32,
        entropy: impl FnOnce() -> Option<u32>,
    ) -> Result<u64, String> {
        let why = if size != 4 {
            "only accesses of 4 bytes do anything"
        } else if offset % 4 != 0 {
            "only aligned accesses do anything"
        } else if offset == 0 {
            self.reads += 1;
            let mut failed = false;
            let number = self.stream.next(|| {
                let word = entropy();
                failed = word.is_none();
                word.unwrap_or(0)
            });
            if failed {
                self.failures = self.failures.wrapping_add(1);
            }
            return Ok(u64::from(number));
        } else if offset == 4 {
            "SEED is write-only"
        } else if offset == 8 {
            let bulk = if self.bulk { 0x100 } else { 0 };
            return Ok(0x524e_0200 + bulk + u64::from(self.kind.number()));
        } else if offset == 12 && self.bulk {
            "DOORBELL is write-only"
        } else if offset == 16 {
            return Ok(u64::from(self.failures));
        } else {
            "there is no register"
        };
        Err(format!("{size} bytes at 0x{offset:x}: {why}"))
    }

    /// A write: the line that `-d guest_errors` shows, if the device defines no such access.
    ///
    /// # Errors
    ///
    /// When the device defines no such access.
    pub fn write(
        &mut self,
        offset: u64,
        value: u64,
        size: u32,
        memory: &Memory,
        entropy: impl FnMut(usize) -> Option<Vec<u32>>,
    ) -> Result<(), String> {
        let low = (value & 0xffff_ffff) as u32;
        let why = if size != 4 {
            "only accesses of 4 bytes do anything".to_owned()
        } else if offset % 4 != 0 {
            "only aligned accesses do anything".to_owned()
        } else if offset == 0 {
            "RNG is read-only".to_owned()
        } else if offset == 8 {
            "INFO is read-only".to_owned()
        } else if offset == 16 {
            "FAILURES is read-only".to_owned()
        } else if offset == 12 && self.bulk {
            match self.transfer(u64::from(low) * 4096, memory, entropy) {
                Ok(()) => return Ok(()),
                Err(why) => {
                    let address = u64::from(low) * 4096;
                    return Err(format!("the descriptor at 0x{address:x} {why}"));
                }
            }
        } else if offset != 4 {
            "there is no register".to_owned()
        } else if self.kind == Kind::Host {
            "the host's entropy takes no seed".to_owned()
        } else {
            self.stream = Stream::new(self.kind, low);
            self.seeds += 1;
            self.traced.push(Traced::Seed(low));
            return Ok(());
        };
        Err(format!("{size} bytes at 0x{offset:x}: {why}"))
    }

    /// How many numbers the transfer of this write of DOORBELL takes: 0 if there is none, or it is refused.
    #[must_use]
    pub fn wanted(&self, value: u64, memory: &Memory) -> u64 {
        let descriptor = (value & 0xffff_ffff) * 4096;
        if !self.bulk || memory.piece(descriptor, 4096, Page::is_writable) < 4096 {
            return 0;
        }
        let pieces = pieces(descriptor, memory).unwrap_or_default();
        pieces.iter().map(|(_, length)| length / 4).sum()
    }

    /// A transfer. `entropy` returns words of the host, or `None`.
    fn transfer(
        &mut self,
        descriptor: u64,
        memory: &Memory,
        entropy: impl FnMut(usize) -> Option<Vec<u32>>,
    ) -> Result<(), String> {
        if memory.piece(descriptor, 4096, Page::is_writable) < 4096 {
            return Err("is not in memory that the device can read and write".to_owned());
        }
        let mut done = 0;
        let (status, result) = match pieces(descriptor, memory) {
            Err((status, why)) => (status, Err(why)),
            Ok(pieces) => {
                done = self.fill(memory, &pieces, entropy);
                let wanted: u64 = pieces.iter().map(|(_, length)| length).sum();
                (if done == wanted { 1 } else { 4 }, Ok(()))
            }
        };
        self.reads += done / 4;
        memory.store(descriptor + 8, &(done as u32).to_le_bytes());
        memory.store(descriptor, &status.to_le_bytes());
        self.traced
            .push(Traced::Transfer(descriptor, status, done as u32));
        result
    }

    /// How many bytes were written.
    fn fill(
        &mut self,
        memory: &Memory,
        pieces: &[(u64, u64)],
        mut entropy: impl FnMut(usize) -> Option<Vec<u32>>,
    ) -> u64 {
        let mut done = 0;
        for (start, length) in pieces {
            let mut at = 0;
            while at < *length {
                // The specification does not say how much is requested from the host at a time.
                let bytes = (length - at).min(512);
                let mut words = Vec::new();
                if self.kind == Kind::Host {
                    match entropy(bytes as usize / 4) {
                        Some(given) => words = given,
                        None => return done,
                    }
                }
                for i in 0..bytes / 4 {
                    let word = self.stream.next(|| words[i as usize]);
                    memory.store(start + at + 4 * i, &word.to_le_bytes());
                }
                at += bytes;
                done += bytes;
            }
        }
        done
    }

    /// The state.
    #[must_use]
    pub fn save(&self) -> Fields {
        let mut fields = Fields {
            generator: self.kind.number(),
            bulk: self.bulk,
            initial_seed: self.initial_seed,
            seed: 0,
            position: 0,
            table: [0; TABLE],
            failures: self.failures,
        };
        match &self.stream {
            Stream::Libc { r, first } => {
                // Each entry of the list stands at its number modulo 31.
                for i in 0..TABLE {
                    fields.table[(first + i) % TABLE] = r[i];
                }
                fields.position = *first as u64;
            }
            Stream::ChaCha { seed, position, .. } | Stream::Xoshiro { seed, position, .. } => {
                fields.seed = *seed;
                fields.position = *position;
            }
            Stream::Host => {}
        }
        fields
    }

    /// Loads a state, if it is valid for this device.
    pub fn load(&mut self, fields: &Fields) -> bool {
        let no_table = fields.table == [0; TABLE];
        let stream = match self.kind {
            _ if fields.generator != self.kind.number() => return false,
            _ if fields.bulk != self.bulk => return false,
            _ if fields.initial_seed != self.initial_seed => return false,
            Kind::Libc if fields.seed == 0 && fields.position < 31 => {
                let first = fields.position as usize;
                let mut r = [0; TABLE];
                for i in 0..TABLE {
                    r[i] = fields.table[(first + i) % TABLE];
                }
                Stream::Libc { r, first }
            }
            Kind::ChaCha20 | Kind::ChaCha8 | Kind::Xoshiro256pp
                if no_table && fields.position <= FARTHEST =>
            {
                Stream::at(self.kind, fields.seed, fields.position)
            }
            Kind::Host if no_table && fields.seed == 0 && fields.position == 0 => Stream::Host,
            _ => return false,
        };
        self.stream = stream;
        self.failures = fields.failures;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Kind, Model, Stream, chacha_block, quarter_round, splitmix64, xoshiro_far, xoshiro_step,
    };
    use crate::known_answers;
    use crate::pair::{START, memory};

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
    fn known_answers_of_the_others() {
        for (kind, answers) in [
            (Kind::ChaCha20, &known_answers::CHACHA20),
            (Kind::ChaCha8, &known_answers::CHACHA8),
            (Kind::Xoshiro256pp, &known_answers::XOSHIRO256PP),
        ] {
            for answer in answers {
                let words = stream(kind, answer.seed, 1000);
                assert_eq!(words[..5], answer.first, "seed {:#x}", answer.seed);
                assert_eq!(words[999], answer.thousandth, "seed {:#x}", answer.seed);
            }
        }
    }

    /// From the authors' C code, for the state 1, 2, 3, 4, and for seed 0.
    #[test]
    fn xoshiro_matches_its_authors_code() {
        let mut numbers = Stream::Xoshiro {
            seed: 0,
            position: 0,
            state: [1, 2, 3, 4],
        };
        let words: Vec<u32> = (0..8).map(|_| numbers.next(|| unreachable!())).collect();
        assert_eq!(words[..4], [41_943_041, 0, 58_720_359, 0]);
        let third = u64::from(words[4]) | u64::from(words[5]) << 32;
        assert_eq!(third, 3_588_806_011_781_223);
        assert_eq!(splitmix64(0)[0], 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn jump_equals_that_many_steps() {
        let mut s = splitmix64(7);
        for steps in 0..300 {
            assert_eq!(xoshiro_far(splitmix64(7), steps), s);
            s = xoshiro_step(s);
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
            chacha_block(10, 0, 0)[..4],
            [0xade0_b876, 0x903d_f1a0, 0xe56a_5d40, 0x28bd_8653]
        );
        assert_eq!(
            chacha_block(10, 0, 1)[..4],
            [0xbee7_079f, 0x7a38_5155, 0x7c97_ba98, 0x0d08_2d73]
        );
    }

    #[test]
    fn stream_continues_from_its_state() {
        for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp"] {
            for taken in [0, 1, 27, 28, 30, 31, 32, 1000] {
                let mut source = Model::new(generator, 0x42, true).unwrap();
                for _ in 0..taken {
                    source.read(0, 4, || unreachable!()).unwrap();
                }
                let mut destination = Model::new(generator, 0x42, true).unwrap();
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
    fn info_matches_the_specification() {
        for (generator, expected) in [
            ("libc", 0x524e_0200),
            ("chacha20", 0x524e_0201),
            ("host", 0x524e_0202),
            ("chacha8", 0x524e_0203),
            ("xoshiro256pp", 0x524e_0204),
        ] {
            let mut model = Model::new(generator, 1, false).unwrap();
            let own = model.save();
            assert_eq!(model.read(8, 4, || unreachable!()), Ok(expected));
            assert_eq!(model.reads, 0);
            assert_eq!(model.save(), own);
        }
    }

    #[test]
    fn transfer_equals_that_many_reads() {
        for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp"] {
            let memory = memory(0b111, false);
            memory.store(START + 4, &2_u32.to_le_bytes());
            let segments = [(START + 0x1ffc, 8_u32), (START + 0x1000, 0xff8)];
            for (i, (address, length)) in segments.into_iter().enumerate() {
                let at = START + 16 + 16 * i as u64;
                memory.store(at, &address.to_le_bytes());
                memory.store(at + 8, &length.to_le_bytes());
            }
            let (mut bulk, mut single) = (
                Model::new(generator, 7, true).unwrap(),
                Model::new(generator, 7, true).unwrap(),
            );
            bulk.write(12, START / 4096, 4, &memory, |_| unreachable!())
                .unwrap();
            assert_eq!(
                memory.load(START, 12),
                [1, 0, 0, 0, 2, 0, 0, 0, 0, 16, 0, 0]
            );
            for (address, length) in segments {
                for at in 0..u64::from(length) / 4 {
                    let word = single.read(0, 4, || unreachable!()).unwrap() as u32;
                    assert_eq!(memory.load(address + 4 * at, 4), word.to_le_bytes());
                }
            }
            assert_eq!((bulk.save(), bulk.reads), (single.save(), single.reads));
        }
    }

    #[test]
    fn invalid_properties_and_states_are_refused() {
        assert!(Model::new("Libc", 1, true).is_none());
        assert!(Model::new("host", 2, true).is_none());
        let mut model = Model::new("libc", 1, true).unwrap();
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
        foreign = own.clone();
        foreign.bulk = false;
        assert!(!model.load(&foreign));
        assert_eq!(model.save(), own);
        for (read, offset, size, expected) in [
            (
                true,
                0,
                2,
                "2 bytes at 0x0: only accesses of 4 bytes do anything",
            ),
            (
                false,
                2,
                4,
                "4 bytes at 0x2: only aligned accesses do anything",
            ),
            (true, 4, 4, "4 bytes at 0x4: SEED is write-only"),
            (false, 0, 4, "4 bytes at 0x0: RNG is read-only"),
            (false, 8, 4, "4 bytes at 0x8: INFO is read-only"),
            (true, 12, 4, "4 bytes at 0xc: DOORBELL is write-only"),
        ] {
            let refused = if read {
                model.read(offset, size, || unreachable!()).unwrap_err()
            } else {
                model
                    .write(offset, 7, size, &memory(0, false), |_| unreachable!())
                    .unwrap_err()
            };
            assert_eq!(refused, expected);
        }
        assert_eq!((model.reads, model.seeds), (0, 0));
        assert_eq!(model.save(), own);
    }
}
