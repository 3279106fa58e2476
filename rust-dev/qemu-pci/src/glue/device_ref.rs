// SPDX-License-Identifier: GPL-2.0-or-later

//! A device that QEMU made, by its address.

use core::cell::Cell;
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::ptr::{self, NonNull, addr_of_mut};

use super::bindings::PCIDevice;
use super::cell::BqlCell;
use super::instance::{Instance, TimerSlot};
use super::timer::Timer;
use crate::device::{MAX_TIMERS, NOT_RUNNING, PciDevice};
use crate::gate::Gate;

/// A device that QEMU made, by its address.
///
/// # Invariants
///
/// Points to an `Instance<D>`, with its slots, that went through [`Instance::init`] and lives as long as this does.
/// QEMU changes its own fields at any time, so we make pointers to them and never references. This thread holds the
/// BQL, except when a migration loads a state, and while work of the device runs that has left its gate.
pub struct DeviceRef<D: PciDevice> {
    pub(super) instance: NonNull<Instance<D>>,
    device: PhantomData<D>,
}

impl<D: PciDevice> Clone for DeviceRef<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: PciDevice> Copy for DeviceRef<D> {}

impl<D: PciDevice> DeviceRef<D> {
    /// Takes the address of a device as QEMU's callbacks give it: as an `Object`, a `PCIDevice`, or a state's
    /// opaque pointer.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub unsafe fn new<T>(pointer: *mut T) -> Self {
        // SAFETY: QEMU gives no null pointer.
        let instance = unsafe { NonNull::new_unchecked(pointer.cast()) };
        // INVARIANT: as the caller guarantees.
        Self {
            instance,
            device: PhantomData,
        }
    }

    /// QEMU's part of it.
    pub fn pci_device(self) -> NonNull<PCIDevice> {
        self.instance.cast()
    }

    /// The model; `None` until the device is realized.
    pub fn device(&self) -> &BqlCell<Option<D>> {
        // SAFETY: by the type's invariant the field is initialized and alive. It is only ever reached through
        // shared references, and checks the BQL itself.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).device) }
    }

    /// Whether the device may be called.
    pub fn realized(&self) -> &Cell<bool> {
        // SAFETY: as above; the cell is used with the BQL held only.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).realized) }
    }

    /// Whether the device is realized. It can cease to be at each message that it sends and at each access through
    /// an IOMMU, which may send one itself: the guest chooses where a message goes, and the configuration space of
    /// the device's own slot is a place from which it can be unplugged. The instance is there as long as this thread
    /// holds the BQL: QEMU gives up its last reference to it (`bus_master_as`) in a callback of RCU. While the BQL is
    /// released, an RCU critical section keeps it: QEMU enters one before the access of a virtual CPU.
    pub fn is_realized(&self) -> bool {
        self.realized().get()
    }

    /// Whether the device is sending interrupts.
    pub fn sending(&self) -> &Cell<bool> {
        // SAFETY: as above; the cell is used with the BQL held only.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).sending) }
    }

    /// Counts what the guest did wrong.
    pub fn guest_error_count(&self) -> &BqlCell<u64> {
        // SAFETY: as above.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).guest_errors) }
    }

    /// Who may use the device.
    pub fn gate(&self) -> &Gate {
        // SAFETY: as above.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).gate) }
    }

    /// The property `parallel`.
    pub fn parallel(&self) -> &Cell<bool> {
        // SAFETY: as above; the cell is used with the BQL held only.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).parallel) }
    }

    /// How many times the device released the BQL.
    pub fn lock_releases(&self) -> &Cell<u64> {
        // SAFETY: as above.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).lock_releases) }
    }

    /// How many guest errors there were.
    pub fn guest_errors(self) -> u64 {
        self.guest_error_count()
            .with(|count| *count)
            .unwrap_or_default()
    }

    /// One of its timers, if there is one of this index.
    pub fn timer(self, index: usize) -> Option<Timer> {
        // SAFETY: the index is checked first. `init` has initialized so many timers.
        (index < D::TIMERS && index < MAX_TIMERS).then(|| unsafe {
            let slots = addr_of_mut!((*self.instance.as_ptr()).timers).cast::<TimerSlot>();
            let timer = addr_of_mut!((*slots.add(index)).timer);
            Timer::from_ptr(NonNull::new_unchecked(timer))
        })
    }

    /// Starts, moves or stops a timer.
    pub fn set_timer(self, index: usize, deadline: u64) {
        if let Some(timer) = self.timer(index) {
            timer.set(deadline);
        }
    }

    /// Stops all timers.
    pub fn stop_timers(self) {
        for index in 0..D::TIMERS {
            self.set_timer(index, NOT_RUNNING);
        }
    }

    /// The device's path in QEMU's object tree.
    pub fn path(&self) -> &CStr {
        // SAFETY: a NUL-terminated text, which stays as it is during a call or work of the device: see below.
        unsafe { CStr::from_ptr(self.path_pointer()) }
    }

    /// The same as a pointer, without the cost of finding the text's end.
    pub fn path_pointer(&self) -> *const c_char {
        // SAFETY: the field is within the live instance. QEMU sets it at the end of realize; frees it when the
        // device is realized again, fails to realize, or is finalized. None of that happens during a callback and its
        // work: the BQL is held then, or an RCU critical section keeps the device, and an unrealize waits for the work.
        let path = unsafe { (*self.instance.as_ptr()).parent.qdev.canonical_path };
        if path.is_null() {
            c"(not realized)".as_ptr()
        } else {
            path
        }
    }
}
