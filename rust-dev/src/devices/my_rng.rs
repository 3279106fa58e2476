// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers of `my_rng` and what they do; `docs/my-rng.rst` is the specification.

mod bulk;
mod count;
mod generator_id;
mod properties;
mod state;
#[cfg(test)]
mod tests;

use core::ffi::CStr;
use core::fmt;

use qemu_pci::register::Registers as _;
use qemu_pci::{Access, Bar, Counter, GuestError, Host, Identity, PciDevice};

use crate::abi;
use crate::generator::{Generator, Kind, NotSeedable};

pub use bulk::TransferError;
use count::Count;
pub use properties::MyRngProperties;
pub use state::MyRngState;

qemu_pci::device! {
    my_rng: MyRng {
        properties: MyRngProperties,
        state: MyRngState,
        events: MyRngEvent,
        errors: MyRngError,
    }
}

qemu_pci::registers! {
    /// The registers.
    pub enum Register {
        /// The next number of the stream.
        RNG: ReadOnly = abi::REG_RNG as u64,
        /// Restarts the stream.
        SEED: WriteOnly = abi::REG_SEED as u64,
        /// What the device is.
        INFO: ReadOnly = abi::REG_INFO as u64,
        /// Carries out a transfer.
        DOORBELL: WriteOnly = abi::REG_DOORBELL as u64,
        /// How many numbers the host failed to give.
        FAILURES: ReadOnly = abi::REG_FAILURES as u64,
    }
}

qemu_pci::trace_events! {
    /// Its own trace events.
    pub enum MyRngEvent {
        /// The guest seeded the device.
        seed(seed: u32) = "seed 0x%x";
        /// A transfer that the guest asked for is over.
        transfer(descriptor: u64, status: u32, bytes: u32) = "descriptor 0x%x status %u bytes %u";
    }
}

/// Guest errors that only `my_rng` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MyRngError {
    /// It wrote SEED, but the generator has no seed.
    NotSeedable,
    /// It wrote DOORBELL, but the transfer cannot be carried out.
    Transfer(TransferError),
}

impl fmt::Display for MyRngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSeedable => f.write_str("the host's entropy takes no seed"),
            Self::Transfer(error) => error.fmt(f),
        }
    }
}

/// The device: its stream, its initial seed and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyRng {
    initial_seed: u32,
    has_bulk: bool,
    generator: Generator,
    /// The register FAILURES. Drivers compare two reads of it, so a reset must not change it.
    failures: u32,
    /// For `qom-get`: the numbers read from RNG, those of transfers, and the seeds written.
    read: u64,
    transferred: Count,
    seeds: u64,
}

impl MyRng {
    /// A device without bulk engine has no register DOORBELL.
    fn check(&self, access: Access) -> Result<(), GuestError<MyRngError>> {
        if !self.has_bulk && access.offset == Register::DOORBELL.offset() {
            return Err(GuestError::NoRegister);
        }
        Ok(())
    }

    fn next_number(&mut self, host: &mut impl Host<Self>) -> u32 {
        self.read += 1;
        let number = self.generator.next_u32(|| {
            let mut bytes = [0; abi::REG_SIZE];
            host.random(&mut bytes).then_some(u32::from_le_bytes(bytes))
        });
        if number.is_none() {
            self.failures = self.failures.wrapping_add(1);
        }
        number.unwrap_or_default()
    }

    fn info(&self) -> u32 {
        let bulk = if self.has_bulk { abi::INFO_BULK } else { 0 };
        abi::info(generator_id::of(self.generator.kind())) | bulk | abi::INFO_FAILURES
    }
}

impl PciDevice for MyRng {
    const DESCRIPTION: &'static CStr = c"Repeatable random number generator";
    const IDENTITY: Identity = Identity {
        revision: abi::PCI_REVISION,
        class: abi::PCI_CLASS,
        ..Identity::new(abi::PCI_VENDOR_ID, abi::PCI_DEVICE_ID)
    };
    const BARS: &'static [Bar] = &[Bar::memory(abi::BAR, abi::BAR_SIZE as u64)];
    const PARALLEL: bool = true;
    const COUNTERS: &'static [Counter<Self>] = &[
        Counter {
            name: c"reads",
            help: c"How many numbers the guest has taken",
            get: |device| device.read + device.transferred.get(),
        },
        Counter {
            name: c"seeds",
            help: c"How many times the guest has seeded the device",
            get: |device| device.seeds,
        },
    ];

    fn new(properties: MyRngProperties) -> Result<Self, String> {
        let MyRngProperties {
            seed,
            generator,
            bulk,
        } = properties;
        if generator == Kind::Host && seed != abi::DEFAULT_SEED {
            return Err(format!(
                "seed: generator={generator} takes no seed; leave it out, or choose another generator"
            ));
        }
        Ok(Self {
            initial_seed: seed,
            has_bulk: bulk,
            generator: Generator::new(generator, seed),
            failures: 0,
            read: 0,
            transferred: Count::default(),
            seeds: 0,
        })
    }

    fn reset(&mut self) {
        self.generator = Generator::new(self.generator.kind(), self.initial_seed);
    }

    fn read(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
    ) -> Result<u64, GuestError<MyRngError>> {
        self.check(access)?;
        Ok(match Register::read(access)? {
            Register::RNG => self.next_number(host),
            Register::INFO => self.info(),
            Register::FAILURES => self.failures,
            // Write-only.
            Register::SEED | Register::DOORBELL => 0,
        }
        .into())
    }

    fn write(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
        value: u64,
    ) -> Result<(), GuestError<MyRngError>> {
        self.check(access)?;
        // All registers have 32 bits.
        let value = value as u32;
        match Register::write(access)? {
            Register::SEED => {
                let seeded = self.generator.seed(value);
                seeded.map_err(|NotSeedable| MyRngError::NotSeedable)?;
                self.seeds += 1;
                host.trace(MyRngEvent::seed(value));
            }
            Register::DOORBELL => self.ring(host, value),
            // Read-only.
            Register::RNG | Register::INFO | Register::FAILURES => {}
        }
        Ok(())
    }

    fn save(&self) -> MyRngState {
        state::save(self)
    }

    fn load(&mut self, state: &MyRngState) -> Result<(), String> {
        state::load(self, state)
    }
}
