// SPDX-License-Identifier: GPL-2.0-or-later

//! A kit for PCI devices of QEMU, written in Rust.
//!
//! A device is a struct that implements [`PciDevice`]. [`device!`] gives it its name, and makes the C functions that
//! its shim in QEMU's tree uses. `examples/one_register.rs` is a whole one. The parts of a device:
//!
//! - [`mod@device`]: what a PCI device is: identity, BARs, interrupts, timers, and what it does on an access.
//! - [`declare`]: its name, and the types that belong to it.
//! - [`register`]: the registers of a BAR, and why an access is refused ([`GuestError`]).
//! - [`property`]: what the user sets with `-device NAME,PROPERTY=VALUE`.
//! - [`mod@state`]: what migrations and snapshots carry.
//! - [`event`]: trace events.
//! - [`host`]: what a device can ask of the machine around it: DMA, interrupts, timers, entropy.
//! - [`testing`]: a machine for unit tests.
//! - `gate`: who may use a device while some of its work runs without QEMU's big lock.
//!
//! None of these needs QEMU or has unsafe code. `glue` (feature `qemu`) connects them to QEMU; it is the only
//! place with `unsafe`.

pub mod access;
pub mod declare;
pub mod device;
pub mod event;
#[cfg(any(feature = "qemu", test))]
mod gate;
#[cfg(feature = "qemu")]
pub mod glue;
pub mod host;
pub mod property;
pub mod register;
pub mod state;
pub mod testing;

pub use access::Access;
/// For [`bits!`].
#[doc(hidden)]
pub use bitflags;
pub use declare::Declare;
pub use device::{Bar, BarKind, Counter, Identity, Interrupts, MsiX, PciDevice, Rules};
pub use host::{Host, Mapping, Outside, ReadMemory, Work, WriteMemory};
pub use register::{GuestError, Mode};
pub use state::Bounded;

/// What nearly every device uses.
pub mod prelude {
    pub use core::ffi::CStr;

    pub use crate::register::Registers as _;
    pub use crate::{Access, Bar, GuestError, Host, Identity, Outside, PciDevice};
}
