// SPDX-License-Identifier: GPL-2.0-or-later

//! The glue to QEMU: the only place with `unsafe`.
//!
//! From QEMU to the device:
//!
//! - [`hooks`]: the C functions of a device, made from its name by `device!`.
//! - [`class`]: what QEMU is told of a device's type.
//! - [`instance`]: what QEMU allocates for a device, and [`device_ref`]: a pointer to it.
//! - [`calls`]: realize, reset, accesses, timers.
//! - [`migration`]: saving and loading a device's state.
//! - [`vmstate`], [`property`]: saved states and properties, as QEMU describes them.
//!
//! From the device to QEMU:
//!
//! - [`host`]: QEMU as a [`Host`](crate::Host).
//! - [`dma`], [`span`]: guest memory.
//! - [`config`], [`interrupt`], [`timer`]: configuration space, interrupts, timers on the virtual clock.
//! - [`error`], [`random`]: reports and the log, and random numbers for guests.
//!
//! Below all of them: [`bindings`], QEMU's headers as bindgen reads them, and [`cell`], where a device lives.
//!
//! # The big lock
//!
//! QEMU calls the glue with its big lock (BQL) held, and all that is reached from a device is protected by it.
//! The one exception is a postcopy migration, which can bring a state without it. So [`cell::BqlCell`] checks
//! the lock at each borrow, and a function whose `# Safety` says BQL relies on its caller for it.
#![allow(unsafe_code)]

pub mod bindings;
mod calls;
mod cell;
mod class;
mod config;
mod device_ref;
mod dma;
mod error;
mod hooks;
mod host;
mod instance;
mod interrupt;
mod migration;
mod property;
mod random;
mod span;
mod timer;
mod vmstate;

pub use class::{Type, class_init};
pub use device_ref::DeviceRef;
pub use hooks::{Hooks, Trace};
pub use instance::{Instance, Region};
#[doc(hidden)]
pub use once_cell::sync::OnceCell;
