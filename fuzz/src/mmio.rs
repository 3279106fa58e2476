// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `mmio`: what a guest does, with resets, migrations and snapshots in between.

use arbitrary::Arbitrary;

use crate::oracle::Kind;
use crate::pair::Pair;

/// A guest's whole life.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    generator: Kind,
    seed: u32,
    /// Which requests for entropy are answered.
    entropy: u64,
    steps: Vec<Step>,
}

/// Of any offset at all, a fuzzer would not find these soon.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Offset {
    Rng,
    Seed,
    Info,
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
}

/// How many steps a script may have, and how many numbers those of `Take` may take in all: more find
/// nothing that these do not, and take longer.
const STEPS: usize = 300;
const NUMBERS: usize = 3000;

impl Offset {
    fn get(self) -> u64 {
        match self {
            Self::Rng => 0,
            Self::Seed => 4,
            Self::Info => 8,
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
    let Some(mut pair) = Pair::new(kind.name(), seed, script.entropy) else {
        panic!("{kind:?} with seed {seed} was refused");
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
        }
        pair.check();
    }
    // What is not seen in a state would be seen here.
    pair.take(40);
    pair.read(8, 4);
    pair.check();
}
