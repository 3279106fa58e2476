// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers of `my_rng` and what they do; `docs/my-rng.rst` is the specification.

mod access;
mod bulk;
mod generator_id;
mod properties;
mod state;

use core::ffi::CStr;

use crate::abi;
use crate::generator::{Generator, Kind, NotSeedable};
use crate::pci::{Counter, Host, Identity, MemoryBar, PciModel};

pub use access::BadAccess;
use access::{Access, Direction, Reason, Register};
pub use properties::{Properties, PropertyError};
pub use state::{SavedState, StateError};

/// The device: where its stream stands, where it starts, and what happened so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyRng {
    initial_seed: u32,
    has_bulk: bool,
    generator: Generator,
    /// The register FAILURES. Drivers compare two reads of it, so a reset must not take it back.
    failures: u32,
    counts: Counts,
}

/// What `qom-get` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    reads: u64,
    seeds: u64,
    guest_errors: u64,
}

/// What happens inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest seeded the device.
    Seeded(u32),
    /// A transfer that the guest asked for is over.
    Transferred {
        /// The address of its descriptor.
        descriptor: u64,
        /// Its status.
        status: u32,
        /// How many bytes were written.
        bytes: u32,
    },
}

impl MyRng {
    fn read_register(
        &mut self,
        host: &mut impl Host<Event>,
        access: Access,
    ) -> Result<u64, BadAccess> {
        match self.register(access)? {
            Register::Rng => {
                self.counts.reads += 1;
                let word = self.generator.next_u32(|| {
                    let mut bytes = [0; abi::REG_SIZE];
                    host.random(&mut bytes).then_some(u32::from_le_bytes(bytes))
                });
                if word.is_none() {
                    self.failures = self.failures.wrapping_add(1);
                }
                Ok(word.unwrap_or_default().into())
            }
            register @ (Register::Seed | Register::Doorbell) => {
                Err(access.bad(Reason::WriteOnly(register)))
            }
            Register::Info => {
                let bulk = if self.has_bulk { abi::INFO_BULK } else { 0 };
                let generator = abi::info(generator_id::of(self.generator.kind()));
                Ok((generator | bulk | abi::INFO_FAILURES).into())
            }
            Register::Failures => Ok(self.failures.into()),
        }
    }

    /// The register that an access goes to.
    fn register(&self, access: Access) -> Result<Register, BadAccess> {
        match access.register()? {
            Register::Doorbell if !self.has_bulk => Err(access.bad(Reason::NoRegister)),
            register => Ok(register),
        }
    }

    fn write_register(
        &mut self,
        host: &mut impl Host<Event>,
        access: Access,
        value: u32,
    ) -> Result<(), BadAccess> {
        match self.register(access)? {
            register @ (Register::Rng | Register::Info | Register::Failures) => {
                Err(access.bad(Reason::ReadOnly(register)))
            }
            Register::Doorbell => self
                .transfer(host, value)
                .map_err(|refusal| access.bad(Reason::Transfer(refusal))),
            Register::Seed => {
                self.generator
                    .seed(value)
                    .map_err(|NotSeedable| access.bad(Reason::NotSeedable))?;
                self.counts.seeds += 1;
                host.trace(Event::Seeded(value));
                Ok(())
            }
        }
    }

    fn count<T>(&mut self, result: Result<T, BadAccess>) -> Result<T, BadAccess> {
        if result.is_err() {
            self.counts.guest_errors += 1;
        }
        result
    }
}

impl PciModel for MyRng {
    const NAME: &'static CStr = c"my_rng";
    const DESCRIPTION: &'static CStr = c"Repeatable random number generator";
    const IDENTITY: Identity = Identity {
        vendor_id: abi::PCI_VENDOR_ID,
        device_id: abi::PCI_DEVICE_ID,
        revision: abi::PCI_REVISION,
        class: abi::PCI_CLASS,
    };
    const BAR: MemoryBar = MemoryBar {
        index: abi::BAR,
        size: abi::BAR_SIZE,
    };
    const COUNTERS: &'static [Counter<Self>] = &[
        Counter {
            name: c"reads",
            description: c"How many numbers the guest has taken",
            get: |device| device.counts.reads,
        },
        Counter {
            name: c"seeds",
            description: c"How many times the guest has seeded the device",
            get: |device| device.counts.seeds,
        },
        Counter {
            name: c"guest-errors",
            description: c"How many accesses were not as the specification allows",
            get: |device| device.counts.guest_errors,
        },
    ];

    type Properties = Properties;
    type State = SavedState;
    type PropertyError = PropertyError;
    type StateError = StateError;
    type GuestError = BadAccess;
    type Event = Event;

    fn new(properties: &Properties) -> Result<Self, PropertyError> {
        let kind = properties
            .generator
            .parse()
            .map_err(PropertyError::Generator)?;
        if kind == Kind::Host && properties.seed != abi::DEFAULT_SEED {
            return Err(PropertyError::Seed(kind));
        }
        Ok(Self {
            initial_seed: properties.seed,
            has_bulk: properties.bulk,
            generator: Generator::new(kind, properties.seed),
            failures: 0,
            counts: Counts::default(),
        })
    }

    fn reset(&mut self) {
        self.generator = Generator::new(self.generator.kind(), self.initial_seed);
    }

    fn read(
        &mut self,
        host: &mut impl Host<Event>,
        offset: u64,
        size: u32,
    ) -> Result<u64, BadAccess> {
        let access = Access {
            direction: Direction::Read,
            offset,
            size,
        };
        let result = self.read_register(host, access);
        self.count(result)
    }

    fn write(
        &mut self,
        host: &mut impl Host<Event>,
        offset: u64,
        value: u64,
        size: u32,
    ) -> Result<(), BadAccess> {
        let access = Access {
            direction: Direction::Write,
            offset,
            size,
        };
        // A 4-byte write carries its number in the low 32 bits; the rest is not the guest's.
        let result = self.write_register(host, access, value as u32);
        self.count(result)
    }

    fn save(&self) -> SavedState {
        SavedState {
            generator: generator_id::of(self.generator.kind()),
            bulk: self.has_bulk.into(),
            initial_seed: self.initial_seed,
            place: self.generator.place(),
            failures: self.failures,
        }
    }

    fn load(&mut self, state: &SavedState) -> Result<(), StateError> {
        let theirs = generator_id::find(state.generator)
            .ok_or(StateError::UnknownGenerator(state.generator))?;
        let ours = self.generator.kind();
        if theirs != ours {
            return Err(StateError::Generator { theirs, ours });
        }
        let bulk = match state.bulk {
            0 => false,
            1 => true,
            other => return Err(StateError::ImpossibleBulk(other)),
        };
        if bulk != self.has_bulk {
            return Err(StateError::Bulk { theirs: bulk });
        }
        if state.initial_seed != self.initial_seed {
            return Err(StateError::InitialSeed {
                theirs: state.initial_seed,
                ours: self.initial_seed,
            });
        }
        self.generator =
            Generator::at(ours, &state.place).map_err(|_| StateError::ImpossiblePlace(ours))?;
        self.failures = state.failures;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BadAccess, Event, MyRng, Properties, SavedState, StateError};
    use core::convert::Infallible;

    use crate::abi::{BAR_SIZE, DEFAULT_SEED, REG_FAILURES, REG_INFO, REG_RNG, REG_SEED};
    use crate::generator::{Kind, Place};
    use crate::known_answers;
    use crate::pci::{Host, PciModel};

    const RNG: u64 = REG_RNG as u64;
    const SEED: u64 = REG_SEED as u64;
    const INFO: u64 = REG_INFO as u64;
    const FAILURES: u64 = REG_FAILURES as u64;

    /// A host whose entropy counts, and runs out; it has no memory.
    #[derive(Default)]
    struct Machine {
        given: u32,
        limit: u32,
        events: Vec<Event>,
    }

    impl Host<Event> for Machine {
        type Memory = Infallible;

        fn read(&mut self, _address: u64, _bytes: &mut [u8]) -> bool {
            false
        }

        fn map(&mut self, _address: u64, _length: usize) -> Option<Infallible> {
            None
        }

        fn random(&mut self, bytes: &mut [u8]) -> bool {
            if self.given == self.limit {
                return false;
            }
            self.given += 1;
            bytes.copy_from_slice(&self.given.to_le_bytes());
            true
        }

        fn trace(&mut self, event: Event) {
            self.events.push(event);
        }
    }

    fn properties(generator: Kind, seed: u32) -> Properties {
        Properties {
            seed,
            generator: generator.to_string(),
            ..Properties::default()
        }
    }

    fn make(generator: Kind, seed: u32) -> MyRng {
        MyRng::new(&properties(generator, seed)).unwrap()
    }

    fn default() -> MyRng {
        MyRng::new(&Properties::default()).unwrap()
    }

    fn read(device: &mut MyRng, offset: u64, size: u32) -> Result<u64, BadAccess> {
        device.read(&mut Machine::default(), offset, size)
    }

    fn write(device: &mut MyRng, offset: u64, value: u64, size: u32) -> Result<(), BadAccess> {
        device.write(&mut Machine::default(), offset, value, size)
    }

    fn seed(device: &mut MyRng, seed: u32) {
        write(device, SEED, seed.into(), 4).unwrap();
    }

    fn seeded(value: u32) -> MyRng {
        let mut device = default();
        seed(&mut device, value);
        device
    }

    fn numbers(device: &mut MyRng, count: usize) -> Vec<u64> {
        (0..count).map(|_| read(device, RNG, 4).unwrap()).collect()
    }

    #[test]
    fn known_answers_through_the_registers() {
        for answer in &known_answers::LIBC {
            let mut device = seeded(answer.seed);
            assert_eq!(numbers(&mut device, 5), answer.first.map(u64::from));
        }
        for (kind, answers) in [
            (Kind::ChaCha20, &known_answers::CHACHA20),
            (Kind::ChaCha8, &known_answers::CHACHA8),
            (Kind::Xoshiro256PlusPlus, &known_answers::XOSHIRO256PP),
        ] {
            for answer in answers {
                let mut device = make(kind, 7);
                seed(&mut device, answer.seed);
                assert_eq!(numbers(&mut device, 5), answer.first.map(u64::from));
            }
        }
    }

    #[test]
    fn unseeded_is_as_seeded_with_one() {
        assert_eq!(numbers(&mut default(), 100), numbers(&mut seeded(1), 100));
    }

    #[test]
    fn the_property_seed_is_where_the_stream_starts() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Host) {
            let mut expected = make(kind, 1);
            seed(&mut expected, 0x42);
            let expected = numbers(&mut expected, 100);
            let mut device = make(kind, 0x42);
            assert_eq!(numbers(&mut device, 100), expected);
            seed(&mut device, 9);
            device.reset();
            assert_eq!(numbers(&mut device, 100), expected);
        }
    }

    #[test]
    fn properties_that_cannot_be_are_refused() {
        let unknown = Properties {
            generator: "rand".to_owned(),
            ..Properties::default()
        };
        assert_eq!(
            MyRng::new(&unknown).unwrap_err().to_string(),
            "generator: there is no generator 'rand'; it is one of libc, chacha20, host, chacha8 and \
             xoshiro256pp"
        );
        assert_eq!(
            MyRng::new(&properties(Kind::Host, 2))
                .unwrap_err()
                .to_string(),
            "seed: generator=host takes no seed; leave it out, or choose another generator"
        );
    }

    #[test]
    fn seeding_again_restarts_the_stream() {
        let mut device = seeded(0x42);
        let first = numbers(&mut device, 10);
        seed(&mut device, 0x42);
        assert_eq!(numbers(&mut device, 10), first);
    }

    #[test]
    fn only_the_low_32_bits_of_a_write_count() {
        let mut device = default();
        write(&mut device, SEED, 0xffff_ffff_0000_0042, 4).unwrap();
        assert_eq!(device, seeded(0x42));
    }

    #[test]
    fn the_host_gives_each_word_and_takes_no_seed() {
        let mut host = Machine {
            limit: 2,
            ..Machine::default()
        };
        let mut device = make(Kind::Host, DEFAULT_SEED);
        assert_eq!(device.read(&mut host, RNG, 4), Ok(1));
        let refused = device.write(&mut host, SEED, 0x42, 4).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "4-byte write at offset 0x4: the host's entropy takes no seed"
        );
        device.reset();
        assert_eq!(device.read(&mut host, RNG, 4), Ok(2));
        // None left.
        assert_eq!(device.read(&mut host, RNG, 4), Ok(0));
        assert!(host.events.is_empty());
    }

    #[test]
    fn a_read_that_the_host_has_no_entropy_for_is_counted() {
        let mut host = Machine {
            limit: 1,
            ..Machine::default()
        };
        let mut device = make(Kind::Host, DEFAULT_SEED);
        let failures =
            |device: &mut MyRng, host: &mut Machine| device.read(host, FAILURES, 4).unwrap();
        assert_eq!(device.read(&mut host, RNG, 4), Ok(1));
        assert_eq!(failures(&mut device, &mut host), 0);
        for expected in 1..=3 {
            assert_eq!(device.read(&mut host, RNG, 4), Ok(0));
            assert_eq!(failures(&mut device, &mut host), expected);
        }
        // Entropy that is back does not hide them, nor does a reset.
        host.limit = 2;
        assert_eq!(device.read(&mut host, RNG, 4), Ok(2));
        device.reset();
        assert_eq!(failures(&mut device, &mut host), 3);
        // They travel, and wrap.
        let mut destination = make(Kind::Host, DEFAULT_SEED);
        destination
            .load(&SavedState {
                failures: u32::MAX,
                ..device.save()
            })
            .unwrap();
        assert_eq!(failures(&mut destination, &mut host), u32::MAX.into());
        assert_eq!(destination.read(&mut host, RNG, 4), Ok(0));
        assert_eq!(failures(&mut destination, &mut host), 0);
    }

    #[test]
    fn what_happens_is_counted_and_traced() {
        let counts = |device: &MyRng| -> Vec<u64> {
            MyRng::COUNTERS
                .iter()
                .map(|counter| (counter.get)(device))
                .collect()
        };
        let mut host = Machine::default();
        let mut device = default();
        assert_eq!(counts(&device), [0, 0, 0]);
        for value in [3, 4] {
            device.write(&mut host, SEED, value, 4).unwrap();
        }
        numbers(&mut device, 3);
        device.read(&mut host, RNG, 1).unwrap_err();
        assert_eq!(counts(&device), [3, 2, 1]);
        assert_eq!(host.events, [Event::Seeded(3), Event::Seeded(4)]);
        device.reset();
        assert_eq!(counts(&device), [3, 2, 1]);
    }

    #[test]
    fn info_tells_the_generator_and_nothing_else() {
        for (kind, expected) in [
            (Kind::Libc, 0x524e_0300),
            (Kind::ChaCha20, 0x524e_0301),
            (Kind::Host, 0x524e_0302),
            (Kind::ChaCha8, 0x524e_0303),
            (Kind::Xoshiro256PlusPlus, 0x524e_0304),
        ] {
            let mut host = Machine {
                limit: 2,
                ..Machine::default()
            };
            let mut device = make(kind, DEFAULT_SEED);
            let new = device.clone();
            for _ in 0..3 {
                assert_eq!(device.read(&mut host, INFO, 4), Ok(expected));
            }
            assert_eq!(device, new);
            assert_eq!((host.given, host.events.len()), (0, 0));
            // Nor does anything change what it tells.
            device.read(&mut host, RNG, 4).unwrap();
            assert_eq!(
                device.write(&mut host, SEED, 0x42, 4).is_ok(),
                kind != Kind::Host
            );
            assert_eq!(device.read(&mut host, INFO, 4), Ok(expected));
            let mut destination = make(kind, DEFAULT_SEED);
            destination.load(&device.save()).unwrap();
            assert_eq!(destination.read(&mut host, INFO, 4), Ok(expected));
            device.reset();
            assert_eq!(device.read(&mut host, INFO, 4), Ok(expected));
        }
    }

    #[test]
    fn a_saved_device_goes_on_elsewhere() {
        for kind in Kind::ALL {
            for taken in [0, 1, 31, 1000] {
                let mut host = Machine {
                    limit: u32::MAX,
                    ..Machine::default()
                };
                let mut source = make(kind, DEFAULT_SEED);
                if kind != Kind::Host {
                    seed(&mut source, 0x42);
                }
                for _ in 0..taken {
                    source.read(&mut host, RNG, 4).unwrap();
                }
                let mut destination = make(kind, DEFAULT_SEED);
                destination.load(&source.save()).unwrap();
                assert_eq!(destination.save(), source.save());
                if kind != Kind::Host {
                    assert_eq!(numbers(&mut destination, 50), numbers(&mut source, 50));
                }
                // A reset still leads to where the property says.
                destination.reset();
                assert_eq!(destination.save(), make(kind, DEFAULT_SEED).save());
            }
        }
    }

    #[test]
    fn a_state_that_cannot_be_is_refused_and_changes_nothing() {
        let mut device = make(Kind::Libc, 5);
        numbers(&mut device, 3);
        let untouched = device.clone();
        let own = device.save();
        let place = Place {
            position: 31,
            ..own.place.clone()
        };
        for (state, expected) in [
            (
                SavedState {
                    generator: 99,
                    ..own.clone()
                },
                StateError::UnknownGenerator(99),
            ),
            (
                SavedState {
                    bulk: 2,
                    ..own.clone()
                },
                StateError::ImpossibleBulk(2),
            ),
            (
                SavedState {
                    bulk: 0,
                    ..own.clone()
                },
                StateError::Bulk { theirs: false },
            ),
            (
                make(Kind::ChaCha20, 5).save(),
                StateError::Generator {
                    theirs: Kind::ChaCha20,
                    ours: Kind::Libc,
                },
            ),
            (
                make(Kind::Libc, 6).save(),
                StateError::InitialSeed { theirs: 6, ours: 5 },
            ),
            (
                SavedState {
                    place,
                    ..own.clone()
                },
                StateError::ImpossiblePlace(Kind::Libc),
            ),
        ] {
            assert_eq!(device.load(&state), Err(expected));
            assert_eq!(device, untouched);
        }
    }

    /// Every size at every offset of the BAR and beyond: but for those that are defined, each access
    /// is refused, says where it was, and changes nothing but the count of errors.
    #[test]
    fn everything_else_is_refused_and_changes_nothing() {
        let untouched = seeded(0x42);
        let mut device = untouched.clone();
        let offsets = (0..BAR_SIZE as u64 + 8).chain([u64::MAX - 3, u64::MAX]);
        let mut errors = 0;
        for offset in offsets {
            for size in 0..=9 {
                if ![(RNG, 4), (INFO, 4), (FAILURES, 4)].contains(&(offset, size)) {
                    let refused = read(&mut device, offset, size).unwrap_err().to_string();
                    let place = format!("{size}-byte read at offset {offset:#x}: ");
                    assert!(refused.starts_with(&place), "{refused}");
                    errors += 1;
                }
                if (offset, size) != (SEED, 4) {
                    let refused = write(&mut device, offset, 7, size).unwrap_err().to_string();
                    let place = format!("{size}-byte write at offset {offset:#x}: ");
                    assert!(refused.starts_with(&place), "{refused}");
                    errors += 1;
                }
                assert_eq!(
                    device.save(),
                    untouched.save(),
                    "offset {offset:#x}, size {size}"
                );
                assert_eq!(device.counts.guest_errors, errors);
            }
        }
    }

    #[test]
    fn refusals_say_why() {
        let mut device = default();
        let why = |refused: BadAccess| refused.to_string();
        assert_eq!(
            why(read(&mut device, RNG, 2).unwrap_err()),
            "2-byte read at offset 0x0: only 4-byte accesses do anything"
        );
        assert_eq!(
            why(write(&mut device, 2, 0, 4).unwrap_err()),
            "4-byte write at offset 0x2: only aligned accesses do anything"
        );
        assert_eq!(
            why(read(&mut device, SEED, 4).unwrap_err()),
            "4-byte read at offset 0x4: SEED is write-only"
        );
        assert_eq!(
            why(write(&mut device, RNG, 0, 4).unwrap_err()),
            "4-byte write at offset 0x0: RNG is read-only"
        );
        assert_eq!(
            why(write(&mut device, INFO, 0, 4).unwrap_err()),
            "4-byte write at offset 0x8: INFO is read-only"
        );
        assert_eq!(
            why(read(&mut device, INFO, 1).unwrap_err()),
            "1-byte read at offset 0x8: only 4-byte accesses do anything"
        );
        assert_eq!(
            why(read(&mut device, 12, 4).unwrap_err()),
            "4-byte read at offset 0xc: DOORBELL is write-only"
        );
        assert_eq!(
            why(write(&mut device, FAILURES, 0, 4).unwrap_err()),
            "4-byte write at offset 0x10: FAILURES is read-only"
        );
        assert_eq!(
            why(read(&mut device, 20, 4).unwrap_err()),
            "4-byte read at offset 0x14: there is no register"
        );
    }

    #[test]
    fn devices_are_independent() {
        let (mut one, mut other) = (default(), default());
        seed(&mut one, 0x42);
        seed(&mut other, 7);
        let expected = numbers(&mut seeded(0x42), 50);
        let interleaved: Vec<u64> = (0..50)
            .map(|_| {
                read(&mut other, RNG, 4).unwrap();
                read(&mut one, RNG, 4).unwrap()
            })
            .collect();
        assert_eq!(interleaved, expected);
    }
}
