// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's registers and its configuration space, revoked on unbind.

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

/// A device's mapped BAR 0 and its configuration space.
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

    /// Whether the device is present, with memory decoding enabled. Reads the configuration space, because
    /// a generator can return any value for a register. Does not sleep.
    pub(crate) fn are_present(&self) -> bool {
        let config = self.pdev.config_space();
        let ids =
            (u32::from(self.pdev.device_id()) << 16) | u32::from(self.pdev.vendor_id().as_raw());
        let command = config.read16(bindings::PCI_COMMAND as usize);
        // Without a device, the ids read as all ones.
        config.read32(bindings::PCI_VENDOR_ID as usize) == ids
            && u32::from(command) & bindings::PCI_COMMAND_MEMORY != 0
    }

    /// The device, which stays bound while `self` exists.
    pub(crate) fn device(&self) -> &device::Device<Bound> {
        self.pdev.as_ref()
    }

    /// Registers them with devres, which revokes them on unbind.
    pub(crate) fn into_revocable(self) -> Result<RevocableRegisters> {
        let pdev = self.pdev;
        // SAFETY: `bar` and `pdev` belong to the same device, for which devres revokes them on unbind, and
        // both are valid until then.
        unsafe { DevresLt::new(pdev.as_ref(), self) }
    }
}

impl<'a> Deref for Registers<'a> {
    type Target = Bar<'a>;

    fn deref(&self) -> &Bar<'a> {
        &self.bar
    }
}
