// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's registers and its configuration space, until the device is unbound.

use core::ops::Deref;
use kernel::{
    bindings,
    device::{self, Bound},
    devres::DevresLt,
    io::Io,
    pci,
    prelude::*,
    types::CovariantForLt,
};

use crate::{abi, MODULE_NAME};

type Bar<'a> = pci::Bar<'a, { abi::BAR_SIZE }>;

/// BAR 0 of a device, mapped, and the device's configuration space.
pub(crate) struct Registers<'a> {
    bar: Bar<'a>,
    pdev: &'a pci::Device<Bound>,
}

/// [`Registers`] that are revoked when the device is unbound.
pub(crate) type RevocableRegisters = DevresLt<CovariantForLt!(Registers<'_>)>;

impl<'a> Registers<'a> {
    /// Maps BAR 0 of an enabled device.
    pub(crate) fn new(pdev: &'a pci::Device<Bound>) -> Result<Self> {
        let bar = pdev.iomap_region_sized(abi::BAR.into(), MODULE_NAME)?;
        Ok(Self { bar, pdev })
    }

    /// Whether the device answers on its bus, with memory decoding on. This asks the configuration space,
    /// which no generator can imitate. Does not sleep.
    pub(crate) fn are_present(&self) -> bool {
        let config = self.pdev.config_space();
        let ids =
            (u32::from(self.pdev.device_id()) << 16) | u32::from(self.pdev.vendor_id().as_raw());
        let command = config.read16(bindings::PCI_COMMAND as usize);
        // Where no device answers, the ids read as ones.
        config.read32(bindings::PCI_VENDOR_ID as usize) == ids
            && u32::from(command) & bindings::PCI_COMMAND_MEMORY != 0
    }

    /// The device, which is bound as long as this exists.
    pub(crate) fn device(&self) -> &device::Device<Bound> {
        self.pdev.as_ref()
    }

    /// Hands the registers to the kernel, which revokes them when the device is unbound.
    pub(crate) fn into_revocable(self) -> Result<RevocableRegisters> {
        let pdev = self.pdev;
        // SAFETY: `bar` and `pdev` belong to the same device, and both stay valid until it is unbound.
        unsafe { DevresLt::new(pdev.as_ref(), self) }
    }
}

impl<'a> Deref for Registers<'a> {
    type Target = Bar<'a>;

    fn deref(&self) -> &Bar<'a> {
        &self.bar
    }
}
