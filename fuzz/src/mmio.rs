// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `mmio`: what a guest does, with resets, migrations and snapshots in between.

use arbitrary::Arbitrary;
use my_rng_dev::device::Properties;

use crate::memory::{Memory, PAGE, PAGES, START};
use crate::oracle::Kind;
use crate::pair::Pair;

/// A guest's whole life.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    generator: Kind,
    seed: u32,
    /// Which requests for entropy are answered.
    entropy: u64,
    bulk: bool,
    /// Which pages of memory there are.
    pages: u32,
    scattered: bool,
    steps: Vec<Step>,
}

/// Of any offset at all, a fuzzer would not find these soon.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Offset {
    Rng,
    Seed,
    Info,
    Doorbell,
    Failures,
    Near(u8),
    Any(u64),
}

/// As [`Offset`].
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Word,
    Near(u8),
    Any(u32),
}

#[derive(Arbitrary, Clone, Debug)]
enum Step {
    Read(Offset, Size),
    Write(Offset, Size, u64),
    Seed(u32),
    Take(u8),
    Reset,
    Travel,
    /// A snapshot is taken.
    Keep,
    /// The snapshot is loaded into the device as it is now.
    Restore,
    /// A descriptor is written, nearly as it should be, and the doorbell rung.
    Transfer(Vec<Segment>, Option<Damage>),
    /// The guest writes to its memory.
    Store(u16, u32),
    /// The doorbell is rung.
    Ring(u8),
}

/// Of a descriptor: where in memory it starts, in words, and how many bytes it has.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Segment(u16, u16);

/// What is changed of a descriptor: so many words from its start, this.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Damage(u8, u32);

/// How many steps a script may have, and how many numbers they may take in all, as far as they say so: more
/// find nothing that these do not, and take longer.
const STEPS: usize = 300;
const NUMBERS: usize = 3000 + TRANSFER;

/// How many numbers the longest transfer takes.
const TRANSFER: usize = 65536;

/// Writes a descriptor to the first page, be it there or not, and rings.
fn transfer(pair: &mut Pair, left: &mut usize, segments: &[Segment], damage: Option<Damage>) {
    let mut descriptor = vec![0, segments.len() as u32, 0, 0];
    let mut numbers = 0;
    for Segment(at, length) in segments.iter().take(255) {
        let address = START + 4 * u64::from(*at);
        numbers += usize::from(*length) / 4;
        descriptor.extend([address as u32, (address >> 32) as u32, (*length).into(), 0]);
    }
    if let Some(Damage(at, value)) = damage {
        if let Some(word) = descriptor.get_mut(usize::from(at)) {
            *word = value;
        }
        // A length may be any now.
        numbers = TRANSFER;
    }
    let Some(rest) = left.checked_sub(numbers) else {
        return;
    };
    *left = rest;
    let bytes: Vec<u8> = descriptor
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    pair.store(START, &bytes);
    pair.write(12, START / PAGE, 4);
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
            Self::Near(size) => size.into(),
            Self::Any(size) => size,
        }
    }
}

/// Runs a script.
pub fn run(script: &Script) {
    let kind = script.generator;
    // Of the host's only one seed is allowed; that the others are not is another target's.
    let seed = if kind == Kind::Host { 1 } else { script.seed };
    let properties = Properties {
        seed,
        generator: kind.name().to_owned(),
        bulk: script.bulk,
    };
    let memory = Memory::new(script.pages, script.scattered);
    let Some(mut pair) = Pair::new(&properties, script.entropy, &memory) else {
        panic!("{properties:?} was refused");
    };
    let mut kept = pair.save();
    let mut left = NUMBERS;
    for step in script.steps.iter().take(STEPS) {
        match step {
            Step::Read(offset, size) => pair.read(offset.get(), size.get()),
            Step::Write(offset, size, value) => pair.write(offset.get(), *value, size.get()),
            Step::Seed(seed) => pair.write(4, u64::from(*seed), 4),
            Step::Take(count) => {
                let count = left.min((*count).into());
                left -= count;
                pair.take(count);
            }
            Step::Reset => pair.reset(),
            Step::Travel => assert!(pair.travel(), "its own state was refused"),
            Step::Keep => kept = pair.save(),
            Step::Restore => assert!(pair.load(&kept), "its own state was refused"),
            Step::Transfer(segments, damage) => {
                transfer(&mut pair, &mut left, segments, *damage);
            }
            Step::Store(at, value) => {
                let at = START + u64::from(*at) % (PAGES * PAGE / 4) * 4;
                pair.store(at, &value.to_le_bytes());
            }
            Step::Ring(page) => {
                if left >= TRANSFER {
                    left -= TRANSFER;
                    pair.write(12, START / PAGE + u64::from(*page), 4);
                }
            }
        }
        pair.check();
    }
    // What is not seen in a state would be seen here.
    pair.take(40);
    pair.read(8, 4);
    pair.check();
}
