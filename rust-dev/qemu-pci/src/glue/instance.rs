// SPDX-License-Identifier: GPL-2.0-or-later

//! What QEMU allocates for a device.

use core::cell::Cell;

use super::bindings::{MemoryRegion, Object, PCIDevice, QEMUTimer};
use super::cell::BqlCell;
use super::hooked::Hooks;
use crate::device::{MAX_TIMERS, PciDevice};
use crate::gate::Gate;

/// What QEMU allocates for each device: its own part first, as QOM demands, then ours, then the slots of the
/// properties.
#[repr(C)]
pub struct Instance<D: PciDevice> {
    pub(super) parent: PCIDevice,
    pub(super) regions: [Region; 6],
    pub(super) timers: [TimerSlot; MAX_TIMERS],
    /// The saved deadlines of the timers. Used only while QEMU saves or loads.
    pub(super) deadlines: [u64; MAX_TIMERS],
    /// The saved state, likewise.
    pub(super) state: D::State,
    /// None until the device is realized.
    pub(super) device: BqlCell<Option<D>>,
    /// Whether the device may be called. Not so after an unplug, even if `device` could not be dropped then.
    pub(super) realized: Cell<bool>,
    pub(super) guest_errors: BqlCell<u64>,
    /// Whether it is sending interrupts.
    pub(super) sending: Cell<bool>,
    /// The property `parallel`, and the counter `lock-releases`.
    pub(super) parallel: Cell<bool>,
    pub(super) lock_releases: Cell<u64>,
    pub(super) gate: Gate,
}

/// The region behind a BAR.
#[repr(C)]
pub struct Region {
    pub(super) memory: MemoryRegion,
    pub(super) device: *mut Object,
    pub(super) bar: u8,
}

#[repr(C)]
pub struct TimerSlot {
    pub(super) timer: QEMUTimer,
    pub(super) device: *mut Object,
    pub(super) index: usize,
}

impl<D: Hooks> Instance<D> {
    /// For `TypeInfo::instance_align`.
    pub const ALIGN: usize = {
        assert!(align_of::<Self>() >= 8, "the slots behind it want 8");
        align_of::<Self>()
    };

    /// For `TypeInfo::instance_size`.
    #[must_use]
    pub fn size() -> usize {
        D::qemu_type().slots.end()
    }
}
