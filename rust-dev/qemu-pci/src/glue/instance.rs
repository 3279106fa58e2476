// SPDX-License-Identifier: GPL-2.0-or-later

//! What QEMU allocates for a device.

use core::ptr::addr_of_mut;

use super::bindings::{self, MemoryRegion, Object, PCIDevice, QEMUTimer};
use super::calls;
use super::cell::BqlCell;
use super::hooks::Hooks;
use super::timer::Timer;
use crate::device::{self, MAX_TIMERS, NOT_RUNNING, PciDevice};

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
    pub(super) realized: BqlCell<bool>,
    pub(super) guest_errors: BqlCell<u64>,
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

    /// For `TypeInfo::instance_init`: prepares a new device for use as a [`DeviceRef`], and makes its regions. They are
    /// made here and not in `realize`, because `realize` may run again after it failed.
    ///
    /// # Safety
    ///
    /// `object` is a new object of a type registered with `Self::size()`, `Self::ALIGN` and a PCI device as
    /// parent.
    pub unsafe fn init(object: *mut Object) {
        const { device::check::<D>() };
        let instance = object.cast::<Self>();
        // SAFETY: the object is as large and aligned as `Self` as the caller guarantees, so the fields are within it.
        // What is written over is zeroes that need no drop.
        unsafe {
            addr_of_mut!((*instance).device).write(BqlCell::new(None));
            addr_of_mut!((*instance).realized).write(BqlCell::new(false));
            addr_of_mut!((*instance).guest_errors).write(BqlCell::new(0));
            addr_of_mut!((*instance).state).write(D::State::default());
            addr_of_mut!((*instance).deadlines).write([NOT_RUNNING; MAX_TIMERS]);
        }
        for index in 0..D::TIMERS {
            // SAFETY: there are no more timers than slots. A slot stays where it is as long as the device lives,
            // and its timer is stopped before that ends.
            unsafe {
                let slot = addr_of_mut!((*instance).timers)
                    .cast::<TimerSlot>()
                    .add(index);
                (*slot).device = object;
                (*slot).index = index;
                Timer::init(
                    addr_of_mut!((*slot).timer),
                    calls::expired::<D>,
                    slot.cast(),
                );
            }
        }
        for bar in D::BARS {
            // SAFETY: an index is below 6. The region's owner is the device that it is part of; its callbacks, their
            // opaque pointer and the name live as long.
            unsafe {
                let region = addr_of_mut!((*instance).regions)
                    .cast::<Region>()
                    .add(bar.index.into());
                (*region).device = object;
                (*region).bar = bar.index;
                bindings::memory_region_init_io(
                    addr_of_mut!((*region).memory),
                    object,
                    &D::qemu_type().ops,
                    region.cast(),
                    D::NAME.as_ptr(),
                    bar.size,
                );
            }
        }
    }

    /// For `TypeInfo::instance_finalize`.
    ///
    /// # Safety
    ///
    /// `object` went through [`Self::init`], and nothing uses it any more.
    pub unsafe fn finalize(object: *mut Object) {
        let instance = object.cast::<Self>();
        // SAFETY: `init` wrote the fields; QEMU finalizes an object once, when none refers to it.
        unsafe {
            addr_of_mut!((*instance).device).drop_in_place();
            addr_of_mut!((*instance).state).drop_in_place();
        }
    }
}
