// SPDX-License-Identifier: GPL-2.0-or-later

//! What QEMU calls on a device, and how a device is called.

use core::ffi::{c_uint, c_void};
use core::fmt::{self, Display};
use core::ptr::addr_of_mut;

use super::bindings;
use super::device_ref::DeviceRef;
use super::hooks::Hooks;
use super::host::QemuHost;
use super::instance::{Region, TimerSlot};
use super::{config, error, interrupt};
use crate::device::{self, Access, Bar, BarKind};
use crate::property::PropertySet as _;
use crate::register::GuestError;

impl Region {
    /// For `MemoryRegionOps::read`.
    ///
    /// # Safety
    ///
    /// `opaque` is a region of a device `D`, and the caller holds the BQL.
    pub unsafe fn read<D: Hooks>(opaque: *mut c_void, offset: u64, size: c_uint) -> u64 {
        let region = opaque.cast::<Self>();
        // SAFETY: as the caller guarantees; `init` wrote the fields.
        let (from, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        let mut value = 0;
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            value |= from.read(access) << shift;
        }
        value
    }

    /// For `MemoryRegionOps::write`.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    pub unsafe fn write<D: Hooks>(opaque: *mut c_void, offset: u64, value: u64, size: c_uint) {
        let region = opaque.cast::<Self>();
        // SAFETY: as above.
        let (to, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            to.write(access, device::cut(value >> shift, access.size));
        }
    }
}

/// `QEMUTimer`'s callback.
///
/// # Safety
///
/// `opaque` is a slot of a device `D`, and the caller holds the BQL.
pub unsafe extern "C" fn expired<D: Hooks>(opaque: *mut c_void) {
    let slot = opaque.cast::<TimerSlot>();
    // SAFETY: as the caller guarantees; `init` wrote the fields.
    let (device, index) = unsafe { (DeviceRef::<D>::new((*slot).device), (*slot).index) };
    device.expired(index);
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
        // SAFETY: the device has these slots, and QEMU was told of them in `class_init`.
        let values = unsafe { D::qemu_type().slots.values(pdev.cast()) };
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
        self.device().with(|place| *place = Some(device));
        self.realized().with(|is| *is = true);
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
        self.stop_timers();
        self.realized().with(|is| *is = false);
        // If one of its methods is running, it stays until QEMU finalizes it.
        self.device().with(|place| *place = None);
        // SAFETY: as the caller guarantees.
        unsafe { interrupt::exit(self.pci_device().as_ptr()) };
    }

    /// For the enter phase of a reset.
    pub fn reset_enter(self) {
        self.call(|device, _| {
            // Only together: a device that waits for a timer has one.
            self.stop_timers();
            device.reset();
        });
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.reset)(self.path_pointer()) };
    }

    /// For the exit phase of a reset.
    pub fn reset_exit(self) {
        self.call(|device, host| device.reset_exit(host));
    }

    fn expired(self, index: usize) {
        if let Some(Err(error)) = self.call(|device, host| device.timer(host, index)) {
            self.guest_error(&format_args!("timer {index}: {error}"));
        }
    }

    fn read(self, access: Access) -> u64 {
        let result = self.call(|device, host| device::read(device, host, access));
        let value = match result {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.guest_error(&Bad {
                    access,
                    direction: "read",
                    error,
                });
                device::refused::<D>(access)
            }
            None => device::refused::<D>(access),
        };
        let Access { bar, offset, size } = access;
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.read)(self.path_pointer(), bar.into(), offset, size, value) };
        value
    }

    fn write(self, access: Access, value: u64) {
        let Access { bar, offset, size } = access;
        // SAFETY: as above.
        unsafe { (D::TRACE.write)(self.path_pointer(), bar.into(), offset, size, value) };
        let result = self.call(|device, host| device::write(device, host, access, value));
        if let Some(Err(error)) = result {
            self.guest_error(&Bad {
                access,
                direction: "write",
                error,
            });
        }
    }

    /// Calls the device, and then sends the interrupts that it asked for. Drops the call, and reports that as a guest
    /// error, if another call on this device is running, the device is not realized, or the BQL is not held.
    pub fn call<R>(self, f: impl FnOnce(&mut D, &mut QemuHost<'_, D>) -> R) -> Option<R> {
        let called = self.device().with(|device| {
            let device = device.as_mut().filter(|_| self.is_realized())?;
            // SAFETY: it is realized, and `with` has checked the BQL.
            let mut host = unsafe { QemuHost::new(self) };
            let result = f(device, &mut host);
            Some((result, host.pending))
        });
        let Some((result, mut pending)) = called.flatten() else {
            self.guest_error(&"access dropped: device busy, not realized, or BQL not held");
            return None;
        };
        while !pending.is_empty() && self.is_realized() {
            // SAFETY: it is realized, and not borrowed any more. The BQL is held, or there would be no result.
            unsafe { interrupt::deliver(self.pci_device().as_ptr(), &mut pending) };
        }
        Some(result)
    }

    /// Counts a guest error, and logs and traces it if the user asked for that. If not, nothing is formatted or
    /// allocated, so that a guest cannot keep QEMU busy with it.
    fn guest_error(self, what: &dyn Display) {
        self.guest_error_count().with(|count| *count += 1);
        let logged = error::guest_errors_are_logged();
        // SAFETY: looks at variables of QEMU's; no precondition.
        let traced = unsafe { (D::TRACE.guest_error_is_traced)() };
        if !logged && !traced {
            return;
        }
        let what = error::c_text(what);
        if logged {
            error::log_guest_error(D::NAME, self.path(), &what);
        }
        if traced {
            // SAFETY: both are NUL-terminated texts.
            unsafe { (D::TRACE.guest_error)(self.path_pointer(), what.as_ptr()) };
        }
    }
}

/// A refused access, for the log.
struct Bad<E> {
    access: Access,
    direction: &'static str,
    error: GuestError<E>,
}

impl<E: Display> Display for Bad<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Access { bar, offset, size }, direction) = (self.access, self.direction);
        write!(
            f,
            "{size}-byte {direction} at offset {offset:#x} of BAR {bar}: {}",
            self.error
        )
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
