// SPDX-License-Identifier: GPL-2.0-or-later

//! What QEMU keeps of a type of device.

use super::bindings::MemoryRegionOps;
use super::property::Slots;
use super::vmstate::StateDescription;

/// A type of device: the data that QEMU keeps pointers to.
pub struct Type {
    /// The properties, and where their values are.
    pub slots: Slots,
    /// The saved state.
    pub state: StateDescription,
    /// The accesses to all BARs.
    pub ops: MemoryRegionOps,
}
