// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device: its registers, and what can be done with them.

use crate::abi;
use core::mem::size_of;
use kernel::{
    io::{register::Register, Io},
    pci,
    prelude::*,
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
    }
}

// `register!` takes literals only, so the contract is held against them here.
const _: () = {
    assert!(regs::RNG::OFFSET == abi::REG_RNG);
    assert!(regs::SEED::OFFSET == abi::REG_SEED);
    assert!(size_of::<<regs::RNG as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::SEED as Register>::Storage>() == abi::REG_SIZE);
};

/// The device's registers, mapped.
pub(crate) type Bar<'a> = pci::Bar<'a, { abi::BAR_SIZE }>;

/// A device, shared between its node and the files that are open on it.
///
/// It can outlive the binding of the driver to the PCI device, by way of the open files: from then
/// on the registers are gone, and whoever asks for them gets `ENODEV`.
///
/// There is no lock: each operation is one access to one register, and the device answers those
/// one after the other.
pub(crate) struct Device {
    bar: pci::DevresBar<{ abi::BAR_SIZE }>,
}

impl Device {
    /// Takes over the registers of a device that the driver is being bound to.
    pub(crate) fn new(bar: Bar<'_>) -> Result<Self> {
        Ok(Self {
            bar: bar.into_devres()?,
        })
    }

    /// Takes the next number of the stream.
    pub(crate) fn rand(&self) -> Result<u32> {
        // What `try_access` returns is an RCU read-side critical section: nothing that could sleep
        // may happen in its life, which ends with this function.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        Ok(bar.read(regs::RNG).into())
    }

    /// Restarts the stream from `seed`.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        // As in `rand`.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        bar.write_reg(regs::SEED::from(seed));
        Ok(())
    }
}
