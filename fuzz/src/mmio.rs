// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `mmio`: a guest's accesses, mixed with resets, migrations and snapshots.

use std::hash::{DefaultHasher, Hash, Hasher};

use arbitrary::Arbitrary;

use crate::oracle::Kind;
use crate::pair::{PAGE, PAGES, Pair, START, memory, properties};

/// The input: everything that a guest does.
#[derive(Arbitrary, Clone, Debug, Hash)]
pub struct Script {
    generator: Kind,
    seed: u32,
    /// Which requests for entropy are answered.
    entropy: u64,
    bulk: bool,
    /// Which pages of memory there are.
    pages: u16,
    scattered: bool,
    steps: Vec<Step>,
}

/// The registers by name: among all 2^64 offsets the fuzzer would not find them soon.
#[derive(Arbitrary, Clone, Copy, Debug, Hash)]
enum Offset {
    Rng,
    Seed,
    Info,
    Doorbell,
    Failures,
    Near(u8),
    Any(u64),
}

/// Likewise.
#[derive(Arbitrary, Clone, Copy, Debug, Hash)]
enum Size {
    Word,
    Near(u8),
    Any(u32),
}

#[derive(Arbitrary, Clone, Debug, Hash)]
enum Step {
    Read(Offset, Size),
    Write(Offset, Size, u64),
    Seed(u32),
    Take(u8),
    Reset,
    Travel,
    /// A snapshot is taken.
    Keep,
    /// The snapshot is loaded.
    Restore,
    /// A mostly correct descriptor is written, and the doorbell rung. The number is how often the last
    /// segment is repeated.
    Transfer(Vec<Segment>, u8, Option<Damage>),
    /// The guest writes to its memory.
    Store(u16, u32),
    /// The doorbell is rung.
    Ring(u8),
}

/// A segment: where it starts, in words from [`START`], and its length.
#[derive(Arbitrary, Clone, Copy, Debug, Hash)]
struct Segment(u16, Length);

/// The device refuses most random lengths, and others take long.
#[derive(Arbitrary, Clone, Copy, Debug, Hash)]
enum Length {
    Words(u8),
    Pages(u8),
    Bytes(u16),
}

/// A wrong word in a descriptor: its index, and its value.
#[derive(Arbitrary, Clone, Copy, Debug, Hash)]
struct Damage(u8, u32);

/// The maximum number of steps in a script, and of numbers that they take together. More take longer and find little
/// more.
const STEPS: usize = 300;
const NUMBERS: u64 = 3000;

/// One script in 256 may also take the numbers of the longest transfer.
const PATIENT: u64 = 256;
const PATIENT_NUMBERS: u64 = 65536 + NUMBERS;

/// What loading a state costs with xoshiro256++: the device jumps to its position, which takes as long as
/// thousands of numbers. Only patient scripts do it, and the target `vmstate`.
const JUMP: u64 = NUMBERS + 1;

/// A hash picks the patient scripts. If a field decided, the fuzzer would keep that field when it changes a
/// script, and soon most scripts would be patient.
fn is_patient(script: &Script) -> bool {
    let mut hasher = DefaultHasher::new();
    script.hash(&mut hasher);
    hasher.finish() % PATIENT == 0
}

/// A guest, and how many numbers it may still take.
struct Guest {
    pair: Pair,
    left: u64,
}

impl Guest {
    /// Returns whether the guest may take this many numbers more, and counts them.
    fn may_take(&mut self, numbers: u64) -> bool {
        let rest = self.left.checked_sub(numbers);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn write(&mut self, offset: u64, value: u64, size: u32) {
        let wanted = match (offset, size) {
            (12, 4 | 8) => self.pair.wanted(value),
            (8, 8) => self.pair.wanted(value >> 32),
            _ => 0,
        };
        if self.may_take(wanted) {
            self.pair.write(offset, value, size);
        }
    }

    /// Writes a descriptor to the first page, and rings.
    fn transfer(&mut self, segments: &[Segment], repeat: u8, damage: Option<Damage>) {
        let repeated = segments.last().map_or(0, |_| usize::from(repeat));
        let all = segments
            .iter()
            .chain(segments.last().into_iter().cycle().take(repeated));
        let mut descriptor = vec![0, (segments.len() + repeated) as u32, 0, 0];
        for Segment(at, length) in all.take(255) {
            let address = START as u32 + 4 * u32::from(*at);
            descriptor.extend([address, 0, length.get(), 0]);
        }
        if let Some(Damage(at, value)) = damage {
            if let Some(word) = descriptor.get_mut(usize::from(at)) {
                *word = value;
            }
        }
        let bytes: Vec<u8> = descriptor
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        self.pair.store(START, &bytes);
        self.write(12, START / PAGE, 4);
    }
}

impl Length {
    fn get(self) -> u32 {
        match self {
            Self::Words(words) => u32::from(words) * 4,
            Self::Pages(pages) => u32::from(pages) * PAGE as u32,
            Self::Bytes(bytes) => bytes.into(),
        }
    }
}

impl Offset {
    fn get(self) -> u64 {
        match self {
            Self::Rng => 0,
            Self::Seed => 4,
            Self::Info => 8,
            Self::Doorbell => 12,
            Self::Failures => 16,
            Self::Near(offset) => offset.into(),
            Self::Any(offset) => offset,
        }
    }
}

impl Size {
    fn get(self) -> u32 {
        match self {
            Self::Word => 4,
            Self::Near(size) => 1 << (size % 4),
            Self::Any(size) => 1 << (size % 4),
        }
    }
}

/// Runs a script.
pub fn run(script: &Script) {
    let kind = script.generator;
    // `host` accepts only the default seed; the target `properties` checks the others.
    let seed = if kind == Kind::Host { 1 } else { script.seed };
    let properties = properties(kind, seed, script.bulk);
    let memory = memory(script.pages, script.scattered);
    let Some(pair) = Pair::new(&properties, script.entropy, memory) else {
        panic!("{properties:?} was refused");
    };
    let mut kept = pair.save();
    let left = if is_patient(script) {
        PATIENT_NUMBERS
    } else {
        NUMBERS
    };
    let load = if kind == Kind::Xoshiro256pp { JUMP } else { 0 };
    let mut guest = Guest { pair, left };
    for step in script.steps.iter().take(STEPS) {
        let pair = &mut guest.pair;
        match step {
            Step::Read(offset, size) => pair.read(offset.get(), size.get()),
            Step::Write(offset, size, value) => guest.write(offset.get(), *value, size.get()),
            Step::Seed(seed) => pair.write(4, u64::from(*seed), 4),
            Step::Take(count) => {
                if guest.may_take((*count).into()) {
                    guest.pair.take((*count).into());
                }
            }
            Step::Reset => pair.reset(),
            Step::Travel => {
                if guest.may_take(load) {
                    assert!(guest.pair.travel(), "its own state was refused");
                }
            }
            Step::Keep => kept = pair.save(),
            Step::Restore => {
                if guest.may_take(load) {
                    assert!(guest.pair.load(&kept), "its own state was refused");
                }
            }
            Step::Transfer(segments, repeat, damage) => guest.transfer(segments, *repeat, *damage),
            Step::Store(at, value) => {
                let at = START + u64::from(*at) % (PAGES * PAGE / 4) * 4;
                pair.store(at, &value.to_le_bytes());
            }
            Step::Ring(page) => guest.write(12, START / PAGE + u64::from(*page), 4),
        }
        guest.pair.check();
    }
    // Find differences that the state does not show.
    guest.pair.take(40);
    guest.pair.read(8, 4);
    guest.pair.check();
}

#[cfg(test)]
mod tests {
    use super::{Guest, Length, Segment};
    use crate::oracle::Kind;
    use crate::pair::{PAGE, Pair, START, memory, properties};

    fn guest(kind: Kind, scattered: bool) -> Guest {
        let memory = memory(u16::MAX, scattered);
        let pair = Pair::new(&properties(kind, 1, true), u64::MAX, memory).expect("a device");
        Guest { pair, left: 65536 }
    }

    /// Scripts seldom get that far.
    #[test]
    fn the_longest_transfer() {
        for kind in Kind::ALL {
            for (scattered, taken) in [(false, 0), (true, 1)] {
                let mut guest = guest(kind, scattered);
                guest.pair.take(taken);
                // 64 pages, of the 15 behind the descriptor's.
                let segments = [
                    Segment(1024, Length::Pages(4)),
                    Segment(1024, Length::Pages(15)),
                ];
                guest.transfer(&segments, 3, None);
                assert_eq!(guest.left, 0);
                guest.pair.check();
                guest.pair.take(100);
                guest.pair.check();
            }
        }
    }

    #[test]
    fn transfer_above_the_maximum_takes_nothing() {
        let mut guest = guest(Kind::Libc, false);
        let segments = [
            Segment(1024, Length::Words(1)),
            Segment(1024, Length::Pages(8)),
        ];
        guest.transfer(&segments, 7, None);
        assert_eq!(guest.left, 65536);
        guest.pair.check();
        assert_eq!(guest.pair.wanted(START / PAGE), 0);
    }
}
