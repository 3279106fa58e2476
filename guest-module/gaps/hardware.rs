// SPDX-License-Identifier: GPL-2.0-or-later

//! A device's hardware, which open files use until the device is unbound.

use core::ops::Deref;
use kernel::{
    bindings,
    device::{self, Bound},
    io::{Io, IoBackend, IoBase, MmioBackend},
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed, Release},
        rcu, Arc,
    },
};

use super::c;
use crate::{abi, bulk::Engine, MODULE_NAME};

type Bar<'a> = pci::Bar<'a, { abi::BAR_SIZE }>;

/// A device's mapped BAR 0 and its configuration space.
pub(crate) struct Registers<'a> {
    bar: Bar<'a>,
    pdev: &'a pci::Device<Bound>,
}

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
}

impl<'a> Deref for Registers<'a> {
    type Target = Bar<'a>;

    fn deref(&self) -> &Bar<'a> {
        &self.bar
    }
}

/// What is used of a device while it is bound.
///
/// # Invariants
///
/// `bar` is the address of `registers`.
#[repr(C)]
pub(crate) struct Hardware<'a> {
    /// For C, so it is first.
    bar: c::Hardware,
    /// `None` if the device has no bulk engine.
    pub(crate) engine: Option<Engine>,
    pub(crate) registers: Registers<'a>,
}

impl<'a> Hardware<'a> {
    pub(crate) fn new(registers: Registers<'a>, engine: Option<Engine>) -> Self {
        let bar = c::Hardware(MmioBackend::as_ptr(registers.bar.as_view()).cast());
        // INVARIANT: It was just taken from `registers`.
        Self {
            bar,
            engine,
            registers,
        }
    }
}

// A `Link` shares it among tasks.
const _: () = {
    const fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Hardware<'static>>();
};

/// A way to the hardware of a device, until the device is unbound. Then every use fails with `ENODEV`.
///
/// The kernel's `Devres` does the same, but a read of a register takes four calls of C functions with it, and
/// one here.
///
/// # Invariants
///
/// The pointer is null or points to valid hardware, which stays valid until an RCU grace period has passed
/// since the pointer was set to null.
pub(crate) struct Link(Atomic<*mut Hardware<'static>>);

impl Link {
    pub(crate) const fn new() -> Self {
        // INVARIANT: It is null.
        Self(Atomic::new(core::ptr::null_mut()))
    }

    /// Reads the register at an offset.
    #[inline]
    pub(crate) fn read<const REGISTER: usize>(&self) -> Result<u32> {
        const { assert!(REGISTER % abi::REG_SIZE == 0 && REGISTER < abi::BAR_SIZE) };
        let mut value = 0;
        // SAFETY: By the invariants of the types, the pointer is null or points to the address of BAR 0, which
        // has this register, and which stays valid as long as C holds the RCU read lock. `value` is valid for
        // writes.
        let is_bound = unsafe { c::my_rng_read(self.as_c(), REGISTER, &mut value) };
        is_bound.then_some(value).ok_or(ENODEV)
    }

    /// Writes the register at an offset.
    #[inline]
    pub(crate) fn write<const REGISTER: usize>(&self, value: u32) -> Result {
        const { assert!(REGISTER % abi::REG_SIZE == 0 && REGISTER < abi::BAR_SIZE) };
        // SAFETY: As in `read`.
        let is_bound = unsafe { c::my_rng_write(self.as_c(), REGISTER, value) };
        is_bound.then_some(()).ok_or(ENODEV)
    }

    fn as_c(&self) -> *const *mut c::Hardware {
        // CAST: `Hardware` begins with what C knows of it.
        self.0.as_ptr().cast()
    }

    /// Calls `f` with the hardware and the number of this processor, on which no other task runs until `f`
    /// returns. `f` must not sleep.
    #[inline]
    pub(crate) fn with_cpu<R>(
        &self,
        f: impl FnOnce(&Hardware<'_>, usize) -> Result<R>,
    ) -> Result<R> {
        let mut cpu = 0;
        // SAFETY: As in `read`. `Section` calls the counterpart.
        let hardware = unsafe { c::my_rng_enter(self.as_c(), &mut cpu) };
        let _section = Section;
        // SAFETY: By the type's invariant it is null, or valid as long as the section exists. CAST: As in
        // `as_c`.
        f(
            unsafe { hardware.cast::<Hardware<'_>>().as_ref() }.ok_or(ENODEV)?,
            cpu as usize,
        )
    }

    /// Calls `f` with the hardware. `f` must not sleep, because unbind waits for it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Hardware<'_>) -> Result<R>) -> Result<R> {
        let _guard = rcu::read_lock();
        // Relaxed, because what is read there depends on the pointer. SAFETY: By the type's invariant it is null,
        // or valid as long as the guard exists.
        f(unsafe { self.0.load(Relaxed).as_ref() }.ok_or(ENODEV)?)
    }
}

/// A section in which the hardware stays, no other task runs on this processor, and this one must not sleep.
struct Section;

impl Drop for Section {
    fn drop(&mut self) {
        // SAFETY: `Link::with_cpu` has called `my_rng_enter`.
        unsafe { c::my_rng_leave() };
    }
}

/// Hardware that can be used by way of a [`Link`] until this is dropped.
pub(crate) struct Linked<'a, D: AsRef<Link>> {
    hardware: KBox<Hardware<'a>>,
    device: Arc<D>,
    _pdev: ARef<pci::Device>,
}

impl<'a, D: AsRef<Link>> Linked<'a, D> {
    pub(crate) fn new(device: Arc<D>, hardware: Hardware<'a>) -> Result<Self> {
        let linked = Self {
            _pdev: hardware.registers.pdev.into(),
            hardware: KBox::new(hardware, GFP_KERNEL)?,
            device,
        };
        let hardware = &raw const *linked.hardware;
        // INVARIANT: The hardware is valid until `drop` frees it. If `linked` is leaked, nothing is freed. CAST:
        // Only the lifetime changes, and `Link` lends the hardware no longer than it is valid.
        linked.link().0.store(hardware.cast_mut().cast(), Release);
        Ok(linked)
    }
}

impl<D: AsRef<Link>> Linked<'_, D> {
    fn link(&self) -> &Link {
        (*self.device).as_ref()
    }

    /// Ends all uses of the hardware: later ones fail, and none is running when this returns.
    pub(crate) fn end_uses(&self) {
        // INVARIANT: The fields are dropped after `drop`, which calls this.
        self.link().0.store(core::ptr::null_mut(), Relaxed);
        rcu::synchronize_rcu();
    }
}

impl<D: AsRef<Link>> Drop for Linked<'_, D> {
    fn drop(&mut self) {
        // If probe fails, nobody else calls it.
        self.end_uses();
    }
}
