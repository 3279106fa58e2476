// SPDX-License-Identifier: GPL-2.0-or-later

//! A device and its oracle, driven together. A difference is a panic.

use my_rng_dev::devices::my_rng::{MyRng, MyRngEvent, MyRngProperties, MyRngState};
use my_rng_dev::generator;
use qemu_pci::PciDevice as _;
use qemu_pci::testing::{self, Machine, Memory, Page};

use crate::check_text;
use crate::fields::Fields;
use crate::oracle::{Kind, Model, Traced};

/// The size of a page, in bytes.
pub const PAGE: u64 = 4096;
/// The maximum number of memory pages. It is small, so that clearing, copying and comparing is fast; a longer transfer
/// uses pages more than once.
pub const PAGES: u64 = 16;
/// The address of the first.
pub const START: u64 = 0x10_0000;

/// Creates a memory in which page n exists if bit n of `pages` is set.
#[must_use]
pub fn memory(pages: u16, scattered: bool) -> Memory {
    let count = u16::BITS - pages.leading_zeros();
    let page = |n| match pages >> n & 1 {
        0 => Page::Hole,
        _ => Page::Ram,
    };
    let memory = Memory::new(START, &(0..count).map(page).collect::<Vec<_>>());
    if scattered {
        memory.scattered()
    } else {
        memory
    }
}

/// The device's properties for one of the oracle's generators.
#[must_use]
pub fn properties(kind: Kind, seed: u32, bulk: bool) -> MyRngProperties {
    let generator = match kind {
        Kind::Libc => generator::Kind::Libc,
        Kind::ChaCha20 => generator::Kind::ChaCha20,
        Kind::Host => generator::Kind::Host,
        Kind::ChaCha8 => generator::Kind::ChaCha8,
        Kind::Xoshiro256pp => generator::Kind::Xoshiro256PlusPlus,
    };
    MyRngProperties {
        seed,
        generator,
        bulk,
    }
}

/// The answer to the n-th request for entropy.
fn entropy(available: u64, n: u32, words: usize) -> Option<Vec<u32>> {
    if available >> (n % 64) & 1 == 0 {
        return None;
    }
    let mut bytes = vec![0; words * 4];
    testing::entropy(n, &mut bytes);
    let word = |bytes: &[u8]| {
        let little = bytes.iter().rev();
        little.fold(0, |word, byte| word << 8 | u32::from(*byte))
    };
    Some(bytes.chunks(4).map(word).collect())
}

/// The pieces in which an access reaches the device: offset and size.
fn pieces(size: u32) -> impl Iterator<Item = (u64, u32)> {
    (0..size).step_by(4).map(move |at| (at.into(), size.min(4)))
}

/// A device and its oracle.
#[derive(Clone)]
pub struct Pair {
    properties: MyRngProperties,
    machine: Machine<MyRng>,
    model: Model,
    /// How often the model asked for entropy.
    asked: u32,
    /// The model's own.
    memory: Memory,
    /// The guest errors according to the model.
    errors: Vec<String>,
}

impl Pair {
    /// Creates both with these properties. Returns `None` if both refuse them.
    #[must_use]
    pub fn new(properties: &MyRngProperties, available: u64, memory: Memory) -> Option<Self> {
        let machine = Machine::new(properties.clone());
        let MyRngProperties {
            seed,
            generator,
            bulk,
        } = properties;
        let model = Model::new(&generator.to_string(), *seed, *bulk);
        assert_eq!(machine.is_ok(), model.is_some(), "{properties:?}");
        let mut machine = machine.ok()?;
        machine.world.entropy = available;
        machine.world.memory = memory.copy();
        let mut pair = Self {
            properties: properties.clone(),
            machine,
            model: model?,
            asked: 0,
            memory,
            errors: Vec::new(),
        };
        pair.check();
        Some(pair)
    }

    /// Compares device and oracle.
    pub fn check(&mut self) {
        let Machine { device, world } = &mut self.machine;
        assert_eq!(Fields::from(device.save()), self.model.save());
        let counters = MyRng::COUNTERS.iter();
        assert!(
            counters
                .map(|counter| (counter.name, (counter.get)(device)))
                .eq([(c"reads", self.model.reads), (c"seeds", self.model.seeds)]),
            "the counters of {device:?} and {:?}",
            self.model
        );
        assert_eq!(world.asked, self.asked, "entropy asked for");
        assert!(
            world
                .events
                .iter()
                .copied()
                .map(Traced::from)
                .eq(self.model.traced.iter().copied()),
            "{:?} and {:?}",
            world.events,
            self.model.traced
        );
        assert_eq!(world.errors, self.errors);
        world.events.clear();
        self.model.traced.clear();
        world.errors.clear();
        self.errors.clear();
    }

    /// Compares the memories of both.
    fn check_memory(&self) {
        assert!(self.machine.world.memory.is_like(&self.memory), "memory");
    }

    /// Creates an equal machine.
    #[must_use]
    pub fn twin(&self) -> Self {
        let mut twin = self.clone();
        twin.memory = self.memory.copy();
        twin.machine.world.memory = self.memory.copy();
        twin
    }

    /// The guest's processor writes within a page. Without memory there is no effect.
    pub fn store(&mut self, address: u64, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if self.memory.piece(address, length, Page::is_writable) == length {
            self.machine.world.memory.store(address, bytes);
            self.memory.store(address, bytes);
        }
    }

    /// How many numbers a write of DOORBELL would take.
    #[must_use]
    pub fn wanted(&self, value: u64) -> u64 {
        self.model.wanted(value, &self.memory)
    }

    /// The guest reads 1, 2, 4 or 8 bytes.
    pub fn read(&mut self, offset: u64, size: u32) {
        let mut expected = 0;
        for (at, size) in pieces(size) {
            let (available, asked) = (self.machine.world.entropy, &mut self.asked);
            let piece = self.model.read(offset.wrapping_add(at), size, || {
                let words = entropy(available, *asked, 1);
                *asked += 1;
                words?.first().copied()
            });
            match piece {
                Ok(value) => expected |= value << (8 * at),
                Err(error) => self.errors.push(error),
            }
        }
        let got = self.machine.read(0, offset, size);
        assert_eq!(got, expected, "{size}-byte read at {offset:#x}");
    }

    /// The guest writes 1, 2, 4 or 8 bytes.
    pub fn write(&mut self, offset: u64, value: u64, size: u32) {
        for (at, size) in pieces(size) {
            let (available, asked) = (self.machine.world.entropy, &mut self.asked);
            let (offset, value) = (offset.wrapping_add(at), value >> (8 * at));
            let written = self
                .model
                .write(offset, value, size, &self.memory, |words| {
                    let words = entropy(available, *asked, words);
                    *asked += 1;
                    words
                });
            self.errors.extend(written.err());
        }
        self.machine.world.memory.take_reads();
        self.machine.write(0, offset, size, value);
        // The guest may change memory between two reads.
        let mut reads = self.machine.world.memory.take_reads();
        reads.sort_by_key(|read| read.start);
        let is_read_once = reads.is_sorted_by(|read, next| read.end <= next.start);
        assert!(is_read_once, "memory is read twice: {reads:x?}");
        if offset == 12 || (offset == 8 && size == 8) {
            self.check_memory();
        }
    }

    /// The guest takes numbers.
    pub fn take(&mut self, count: usize) {
        for _ in 0..count {
            self.read(0, 4);
        }
    }

    /// The machine is reset.
    pub fn reset(&mut self) {
        self.machine.reset();
        self.model.reset();
    }

    /// Saves the state.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.machine.save()
    }

    /// Loads a state. Returns whether it was accepted; if not, nothing has changed.
    pub fn load(&mut self, bytes: &[u8]) -> bool {
        let untouched = self.machine.device.clone();
        let accepted = self.model.load(&Fields::from_bytes(bytes));
        match self.machine.load(bytes) {
            Ok(()) => assert!(accepted, "an impossible state was accepted"),
            Err(error) => {
                assert!(!accepted, "refused: {error}");
                assert_eq!(self.machine.device, untouched);
                check_text(&error);
            }
        }
        self.check();
        accepted
    }

    /// Migrates: a new device with the same properties loads the state. Returns whether it was accepted; if not, the
    /// device is new.
    pub fn travel(&mut self) -> bool {
        let state = self.save();
        let mut new = Self::new(&self.properties, 0, Memory::default())
            .expect("these properties were good before");
        // The counters are not migrated.
        core::mem::swap(&mut self.model, &mut new.model);
        core::mem::swap(&mut self.machine.device, &mut new.machine.device);
        self.check();
        self.load(&state)
    }
}

impl From<MyRngEvent> for Traced {
    fn from(event: MyRngEvent) -> Self {
        match event {
            MyRngEvent::seed(seed) => Self::Seed(seed),
            MyRngEvent::transfer(descriptor, status, bytes) => {
                Self::Transfer(descriptor, status, bytes)
            }
        }
    }
}

impl From<MyRngState> for Fields {
    fn from(state: MyRngState) -> Self {
        Self {
            generator: state.generator,
            bulk: state.bulk,
            initial_seed: state.initial_seed,
            seed: state.seed,
            position: state.position,
            table: state.table,
            failures: state.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{entropy, memory, properties};
    use crate::fields::Fields;
    use crate::oracle::Kind;

    #[test]
    fn the_oracles_bytes_are_the_devices() {
        let bytes: Vec<u8> = (1..=146).collect();
        let (mut fields, rest) =
            qemu_pci::testing::read_state::<super::MyRngState>(2, &bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(Fields::from(fields.clone()), Fields::from_bytes(&bytes));
        fields.bulk = false;
        let written = qemu_pci::testing::write_state(fields.clone());
        assert_eq!(Fields::from(fields).to_bytes(), written);
    }

    #[test]
    fn both_have_the_same_memory_and_entropy() {
        let mut pair = super::Pair::new(
            &properties(Kind::Host, 1, true),
            0b101,
            memory(0b1011, false),
        )
        .unwrap();
        pair.take(3);
        pair.check();
        pair.check_memory();
        assert_eq!(entropy(0b101, 1, 1), None);
        assert!(entropy(0b101, 2, 2).is_some_and(|words| words.len() == 2));
    }
}
