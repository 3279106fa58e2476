// SPDX-License-Identifier: GPL-2.0-or-later

//! What of the device travels in a migration and is kept in a snapshot.

use core::fmt;

use crate::generator::{Kind, Place, TABLE_WORDS};
use crate::pci::{State, StateVisitor};

/// What travels: how the device was made, and where its stream stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// The generator's id.
    pub generator: u8,
    /// The property `bulk`: 0 or 1.
    pub bulk: u8,
    /// The property `seed`.
    pub initial_seed: u32,
    /// Where the stream stands.
    pub place: Place,
    /// The register FAILURES.
    pub failures: u32,
}

impl State for SavedState {
    const VERSION: u8 = 2;

    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        const { assert!(TABLE_WORDS == 31, "the state's format has so many words") };
        visitor.u8(c"generator", &mut self.generator);
        visitor.u8(c"bulk", &mut self.bulk);
        visitor.u32(c"initial_seed", &mut self.initial_seed);
        visitor.u32(c"seed", &mut self.place.seed);
        visitor.u64(c"position", &mut self.place.position);
        visitor.u32_array(c"table", &mut self.place.table);
        visitor.u32(c"failures", &mut self.failures);
    }
}

/// Why this device cannot load a saved state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It names a generator that this version does not know.
    UnknownGenerator(u8),
    /// It is of a device with another generator.
    Generator {
        /// What arrived.
        theirs: Kind,
        /// What this device has.
        ours: Kind,
    },
    /// Its `bulk` is neither 0 nor 1.
    ImpossibleBulk(u8),
    /// It is of a device with a bulk engine, and this one has none; or the other way round.
    Bulk {
        /// What arrived.
        theirs: bool,
    },
    /// It is of a device with another initial seed.
    InitialSeed {
        /// What arrived.
        theirs: u32,
        /// What this device has.
        ours: u32,
    },
    /// The generator cannot stand where it says.
    ImpossiblePlace(Kind),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownGenerator(id) => {
                write!(f, "it names generator {id}, which is not known here")
            }
            Self::Generator { theirs, ours } => write!(
                f,
                "it is of a device with generator={theirs}, and this one has generator={ours}: give \
                 both sides the same"
            ),
            Self::ImpossibleBulk(value) => {
                write!(f, "its field bulk is {value}, and can be 0 or 1")
            }
            Self::Bulk { theirs } => {
                let name = |bulk| if bulk { "on" } else { "off" };
                write!(
                    f,
                    "it is of a device with bulk={}, and this one has bulk={}: give both sides the same",
                    name(*theirs),
                    name(!theirs)
                )
            }
            Self::InitialSeed { theirs, ours } => write!(
                f,
                "it is of a device with seed={theirs}, and this one has seed={ours}: give both sides \
                 the same"
            ),
            Self::ImpossiblePlace(kind) => {
                write!(f, "the generator {kind} cannot stand where it says")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SavedState;
    use crate::generator::{Place, TABLE_WORDS};
    use crate::pci::State;
    use crate::pci::listed::Listed;

    #[test]
    fn all_fields_are_shown() {
        let (mut state, mut listed) = (SavedState::default(), Listed::default());
        state.visit(&mut listed);
        assert_eq!(
            listed.0,
            [
                "generator=0",
                "bulk=0",
                "initial_seed=0",
                "seed=0",
                "position=0",
                "table=31",
                "failures=0"
            ]
        );
        let changed = SavedState {
            generator: 1,
            bulk: 1,
            initial_seed: 1,
            place: Place {
                seed: 1,
                position: 1,
                table: [1; TABLE_WORDS],
            },
            failures: 1,
        };
        assert_eq!(state, changed);
    }
}
