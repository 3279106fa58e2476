// SPDX-License-Identifier: GPL-2.0-or-later

//! A device and its oracle, driven together. Whatever differs is a panic.

use my_rng_dev::device::{Event, MyRng, Properties};
use my_rng_dev::pci::{Host, PciModel};

use crate::memory::{Mapped, Memory};
use crate::oracle::{Fields, Model, Traced};
use crate::wire;

/// The machine around the device. Its entropy is a rule, and is missing now and then.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Bit n of it tells whether the n-th request, modulo 64, is answered.
    available: u64,
    asked: u32,
    /// Since somebody looked.
    traced: Vec<Traced>,
    memory: Memory,
    /// Whether this access has read memory already.
    has_read: bool,
}

/// What the n-th request for entropy, of so many words, is answered with.
fn entropy(available: u64, n: u32, words: usize) -> Option<impl Iterator<Item = u32>> {
    let first = (n ^ 0x5555_5555).wrapping_mul(0x9e37_79b9);
    let words = (0..words as u32).map(move |i| first.wrapping_add(i.wrapping_mul(0x0101_0101)));
    (available >> (n % 64) & 1 == 1).then_some(words)
}

impl Host<Event> for Machine {
    type Memory = Mapped;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        // What is read twice may have been changed by the guest in between.
        assert!(!self.has_read, "memory is read twice");
        self.has_read = true;
        self.memory.load(address, bytes)
    }

    fn map(&mut self, address: u64, length: usize) -> Option<Mapped> {
        self.memory.map(address, length)
    }

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        assert!(!bytes.is_empty() && bytes.len() % 4 == 0);
        let words = entropy(self.available, self.asked, bytes.len() / 4);
        self.asked += 1;
        // What is not there must not be taken from here.
        bytes.fill(0xee);
        let Some(words) = words else {
            return false;
        };
        for (bytes, word) in bytes.chunks_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        true
    }

    fn trace(&mut self, event: Event) {
        self.traced.push(match event {
            Event::Seeded(seed) => Traced::Seed(seed),
            Event::Transferred {
                descriptor,
                status,
                bytes,
            } => Traced::Transfer(descriptor, status, bytes),
        });
    }
}

/// Both.
pub struct Pair {
    properties: Properties,
    device: MyRng,
    machine: Machine,
    model: Model,
    /// How often the model asked for entropy.
    asked: u32,
    /// The model's own.
    memory: Memory,
}

impl Pair {
    /// A device with these properties, or none where both say that there can be none.
    #[must_use]
    pub fn new(properties: &Properties, available: u64, memory: Memory) -> Option<Self> {
        let device = MyRng::new(properties);
        let model = Model::new(&properties.generator, properties.seed, properties.bulk);
        assert_eq!(device.is_ok(), model.is_some(), "{properties:?}");
        let mut pair = Self {
            properties: properties.clone(),
            device: device.ok()?,
            machine: Machine {
                available,
                asked: 0,
                traced: Vec::new(),
                memory: memory.copy(),
                has_read: false,
            },
            model: model?,
            asked: 0,
            memory,
        };
        pair.check();
        Some(pair)
    }

    /// Holds the one against the other.
    pub fn check(&mut self) {
        assert_eq!(Fields::from(self.device.save()), self.model.save());
        let counters = MyRng::COUNTERS.iter();
        assert!(
            counters
                .map(|counter| (counter.name, (counter.get)(&self.device)))
                .eq([
                    (c"reads", self.model.reads),
                    (c"seeds", self.model.seeds),
                    (c"guest-errors", self.model.guest_errors),
                ]),
            "the counters of {:?} and {:?}",
            self.device,
            self.model
        );
        assert_eq!(self.machine.asked, self.asked, "entropy asked for");
        assert_eq!(self.machine.traced, self.model.traced);
        self.machine.traced.clear();
        self.model.traced.clear();
    }

    /// Holds the memory of the one against that of the other.
    fn check_memory(&self) {
        assert!(self.machine.memory.is_like(&self.memory), "memory");
    }

    /// Another machine, in which all is the same.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self {
            properties: self.properties.clone(),
            device: self.device.clone(),
            machine: Machine {
                memory: self.machine.memory.copy(),
                traced: self.machine.traced.clone(),
                ..self.machine
            },
            model: self.model.clone(),
            asked: self.asked,
            memory: self.memory.copy(),
        }
    }

    /// The guest's processor writes, within a page. Where there is no memory, nothing happens.
    pub fn store(&mut self, address: u64, bytes: &[u8]) {
        if self.memory.piece(address, bytes.len() as u64) == bytes.len() as u64 {
            self.machine.memory.write(address, bytes);
            self.memory.write(address, bytes);
        }
    }

    /// How many numbers a write of DOORBELL would take.
    #[must_use]
    pub fn wanted(&self, value: u64) -> u64 {
        self.model.wanted(value, &self.memory)
    }

    /// The guest reads.
    pub fn read(&mut self, offset: u64, size: u32) {
        let (available, asked) = (self.machine.available, &mut self.asked);
        let expected = self.model.read(offset, size, || {
            let word = entropy(available, *asked, 1).and_then(|mut words| words.next());
            *asked += 1;
            word
        });
        let got = self.device.read(&mut self.machine, offset, size);
        assert_eq!(
            got.map_err(|refused| refused.to_string()),
            expected,
            "{size}-byte read at {offset:#x}"
        );
    }

    /// The guest writes.
    pub fn write(&mut self, offset: u64, value: u64, size: u32) {
        let (available, asked) = (self.machine.available, &mut self.asked);
        let expected = self
            .model
            .write(offset, value, size, &self.memory, |words| {
                let words = entropy(available, *asked, words);
                *asked += 1;
                words.map(Iterator::collect)
            });
        self.machine.has_read = false;
        let got = self.device.write(&mut self.machine, offset, value, size);
        assert_eq!(
            got.map_err(|refused| refused.to_string()),
            expected,
            "{size}-byte write at {offset:#x}"
        );
        if offset == 12 {
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
        self.device.reset();
        self.model.reset();
    }

    /// What travels, as bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        wire::write(self.device.save())
    }

    /// A state arrives. Whether it was taken; where not, all is as it was.
    pub fn load(&mut self, bytes: &[u8]) -> bool {
        let untouched = self.device.clone();
        let accepted = self.model.load(&Fields::from_bytes(bytes));
        match self.device.load(&wire::read(bytes)) {
            Ok(()) => assert!(accepted, "what cannot be was taken"),
            Err(refused) => {
                assert!(!accepted, "refused: {refused}");
                assert_eq!(self.device, untouched);
                let told = refused.to_string();
                assert!(
                    !told.is_empty() && !told.contains(char::is_control),
                    "{told:?}"
                );
            }
        }
        self.check();
        accepted
    }

    /// The machine moves to another host: a new device, made with the same properties, goes on. Whether
    /// it could; where not, it is new.
    pub fn travel(&mut self) -> bool {
        let state = self.save();
        let Properties {
            seed,
            generator,
            bulk,
        } = &self.properties;
        // The counters do not travel.
        self.model =
            Model::new(generator, *seed, *bulk).expect("these properties were good before");
        self.device = MyRng::new(&self.properties).expect("these properties were good before");
        self.check();
        self.load(&state)
    }
}
