// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device: its registers, and what can be done with them.

use crate::{
    abi,
    identity::{self, Generator, Identity},
};
use core::mem::size_of;
use kernel::{
    io::{register::Register, Io},
    pci,
    prelude::*,
    str::CString,
    sync::atomic::{Atomic, Relaxed},
};

mod regs {
    use kernel::io::register;

    register! {
        pub(super) RNG(u32) @ 0x0 {
            31:0 number;
        }

        pub(super) SEED(u32) @ 0x4 {
            31:0 seed;
        }

        pub(super) INFO(u32) @ 0x8 {
            31:0 value;
        }
    }
}

// `register!` takes literals only, so the contract is held against them here.
const _: () = {
    assert!(regs::RNG::OFFSET == abi::REG_RNG);
    assert!(regs::SEED::OFFSET == abi::REG_SEED);
    assert!(regs::INFO::OFFSET == abi::REG_INFO);
    assert!(size_of::<<regs::RNG as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::SEED as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::INFO as Register>::Storage>() == abi::REG_SIZE);
};

/// The device's registers, mapped.
pub(crate) type Bar<'a> = pci::Bar<'a, { abi::BAR_SIZE }>;

/// A device, shared between its node, the files that are open on it, and whatever else reads from it.
///
/// It can outlive the binding of the driver to the PCI device, by way of the open files: from then
/// on the registers are gone, and whoever asks for them gets `ENODEV`.
///
/// There is no lock: each number is one access to one register, and the device answers those one
/// after the other. So no number is ever given twice or in pieces, whoever else is reading.
pub(crate) struct Device {
    bar: pci::DevresBar<{ abi::BAR_SIZE }>,
    address: CString,
    identity: Identity,
    counters: Counters,
}

/// What the driver has asked of a device since it was bound to it.
pub(crate) struct Counters {
    words: Atomic<u64>,
    seeds: Atomic<u64>,
}

impl Counters {
    /// How many numbers were taken.
    pub(crate) fn words(&self) -> u64 {
        self.words.load(Relaxed)
    }

    /// How often the device was seeded.
    pub(crate) fn seeds(&self) -> u64 {
        self.seeds.load(Relaxed)
    }
}

impl Device {
    /// Takes over the registers of a device that the driver is being bound to. `address` is the
    /// device's place on the bus.
    pub(crate) fn new(bar: Bar<'_>, address: &CStr) -> Result<Self> {
        // One from before `INFO` gives 0 here, as it does for whatever it has no register for.
        let identity = Identity::new(bar.read(regs::INFO).into())?;
        Ok(Self {
            bar: bar.into_devres()?,
            address: CString::try_from(address)?,
            identity,
            counters: Counters {
                words: Atomic::new(0),
                seeds: Atomic::new(0),
            },
        })
    }

    /// The device's place on the bus, as `lspci -D` gives it.
    pub(crate) fn address(&self) -> &CStr {
        &self.address
    }

    /// What the device said of itself.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes the next number of the stream.
    pub(crate) fn rand(&self) -> Result<u32> {
        let mut bytes = [0; abi::REG_SIZE];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Fills `buffer` with the next numbers of the stream, in little-endian bytes. If its length is
    /// not a multiple of theirs, the rest of the last number is lost.
    ///
    /// Keep the buffer small: meanwhile nothing may sleep, and others may be kept off this processor.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result {
        // What `try_access` returns is an RCU read-side critical section: nothing that could sleep
        // may happen in its life, which ends with this function.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        let mut suspicious = false;
        let mut words = 0;
        for bytes in buffer.chunks_mut(abi::REG_SIZE) {
            let word: u32 = bar.read(regs::RNG).into();
            suspicious |= identity::may_be_nobodys(word);
            words += 1;
            bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        }
        if suspicious {
            self.check(&bar)?;
        }
        self.counters.words.fetch_add(words, Relaxed);
        Ok(())
    }

    /// Restarts the stream from `seed`, if the generator has one.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        // As in `fill`.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        if self.identity.generator() == Generator::Host {
            // To the device that would be an error.
            return self.check(&bar);
        }
        bar.write_reg(regs::SEED::from(seed));
        // A write to a device that is gone is lost without a word.
        self.check(&bar)?;
        self.counters.seeds.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Fails if the device has been pulled out, which no driver is asked about.
    fn check(&self, bar: &Bar<'_>) -> Result {
        if self.identity.is_confirmed_by(bar.read(regs::INFO).into()) {
            Ok(())
        } else {
            Err(ENODEV)
        }
    }
}
