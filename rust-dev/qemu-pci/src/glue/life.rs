// SPDX-License-Identifier: GPL-2.0-or-later

//! A device comes and goes: init, realize, exit, finalize.

use core::cell::Cell;
use core::fmt::Display;
use core::ptr::addr_of_mut;

use super::bindings::{self, Object};
use super::calls::{self, Caller};
use super::cell::{self, BqlCell};
use super::device_ref::DeviceRef;
use super::hooked::Hooks;
use super::instance::{Instance, Region, TimerSlot};
use super::timer::Timer;
use super::{config, error, interrupt};
use crate::device::{self, Bar, BarKind, MAX_TIMERS, NOT_RUNNING};
use crate::gate::Gate;
use crate::property::{PropertySet as _, Value};

impl<D: Hooks> Instance<D> {
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
            addr_of_mut!((*instance).realized).write(Cell::new(false));
            addr_of_mut!((*instance).guest_errors).write(BqlCell::new(0));
            addr_of_mut!((*instance).sending).write(Cell::new(false));
            addr_of_mut!((*instance).parallel).write(Cell::new(false));
            addr_of_mut!((*instance).lock_releases).write(Cell::new(0));
            addr_of_mut!((*instance).gate).write(Gate::new());
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
                // While one CPU's work runs without the BQL, another CPU may use the device; QEMU's guard does not tell
                // them apart. The gate and the cell do.
                (*region).memory.disable_reentrancy_guard = D::PARALLEL;
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
            addr_of_mut!((*instance).gate).drop_in_place();
            addr_of_mut!((*instance).state).drop_in_place();
        }
    }
}

impl<D: Hooks> DeviceRef<D> {
    /// For `PCIDeviceClass::realize`: makes the device and registers its BARs, or changes nothing.
    ///
    /// # Safety
    ///
    /// QEMU is realizing this device, for the first time since it was made or unrealized, and gave `errp` for it.
    pub unsafe fn realize(self, errp: *mut *mut bindings::Error) {
        let pdev = self.pci_device().as_ptr();
        let fail = |text: &dyn Display| {
            // SAFETY: `errp` is QEMU's as the caller guarantees, and is set once.
            unsafe { error::set(errp, D::NAME, text) };
        };
        if !cell::is_locked() {
            return fail(&"realized without QEMU's big lock");
        }
        // SAFETY: the device has these slots, and QEMU was told of them in `class_init`.
        let mut values = unsafe { D::qemu_type().slots.values(pdev.cast()) };
        let parallel = D::PARALLEL && values.pop() == Some(Value::Bool(true));
        let device = match D::Properties::from_values(values).and_then(D::new) {
            Ok(device) => device,
            Err(text) => return fail(&text),
        };
        let interrupts = device.interrupts();
        if !interrupts.is_within(&D::INTERRUPTS) {
            return fail(&"its interrupts are not among those of its type");
        }
        // SAFETY: as the caller guarantees.
        if let Err(text) = unsafe { config::init(pdev, &D::IDENTITY) } {
            return fail(&text);
        }
        // SAFETY: as the caller guarantees.
        if !unsafe { interrupt::init(pdev, interrupts, errp) } {
            return;
        }
        self.parallel().set(parallel);
        self.device().with(|place| *place = Some(device));
        self.realized().set(true);
        for bar in D::BARS {
            // SAFETY: the region was made with the device. BARs may be registered now; `init` has seen to it, when
            // compiling, that index and size are legal. This cannot fail.
            unsafe {
                let regions = addr_of_mut!((*self.instance.as_ptr()).regions).cast::<Region>();
                let memory = addr_of_mut!((*regions.add(bar.index.into())).memory);
                bindings::pci_register_bar(pdev, bar.index.into(), bar_type(bar), memory);
            }
        }
    }

    /// For `PCIDeviceClass::exit`: drops the device. QEMU calls it when a realized device is unplugged, and when
    /// QEMU's own part of realize fails after ours.
    ///
    /// # Safety
    ///
    /// QEMU is unrealizing this device.
    pub unsafe fn exit(self) {
        // The device does not write to memory any more when it is gone.
        self.enter(Caller::Whole);
        self.stop_timers();
        self.realized().set(false);
        // If one of its methods is running, it stays until QEMU finalizes it.
        self.device().with(|place| *place = None);
        // SAFETY: as the caller guarantees.
        unsafe { interrupt::exit(self.pci_device().as_ptr()) };
    }
}

/// The type of a BAR for `pci_register_bar`.
fn bar_type(bar: &Bar) -> u8 {
    let kind = match bar.kind {
        BarKind::Memory32 => bindings::PCI_BASE_ADDRESS_SPACE_MEMORY,
        BarKind::Memory64 => bindings::PCI_BASE_ADDRESS_MEM_TYPE_64,
        BarKind::Io => bindings::PCI_BASE_ADDRESS_SPACE_IO,
    };
    let prefetch = if bar.prefetchable {
        bindings::PCI_BASE_ADDRESS_MEM_PREFETCH
    } else {
        0
    };
    (kind | prefetch) as u8
}
