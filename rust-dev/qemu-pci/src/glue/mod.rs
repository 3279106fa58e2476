// SPDX-License-Identifier: GPL-2.0-or-later

//! The glue to QEMU: the only place with `unsafe`.
//!
//! From QEMU to the device, each knowing only those below it:
//!
//! - [`hooks`]: the C functions of a device, made from its name by `device!`.
//! - [`class`]: what QEMU is told of a device's type.
//! - [`life`]: init, realize, exit, finalize.
//! - [`migration`]: saving and loading a device's state.
//! - [`calls`]: accesses, timers, reset, and how a device is called.
//! - [`host`]: QEMU as a [`Host`](crate::Host), for one call of a device and its work.
//! - [`device_ref`]: a pointer to a device, and [`instance`]: what QEMU allocates for it.
//! - [`hooked`]: what the hooks give to all of these: trace events, and the [`qemu_type`].
//! - [`vmstate`], [`property`]: saved states and properties, as QEMU describes them.
//!
//! From the device to QEMU:
//!
//! - [`dma`], [`span`]: guest memory.
//! - [`config`], [`interrupt`], [`timer`]: configuration space, interrupts, timers on the virtual clock.
//! - [`error`], [`random`]: reports and the log, and random numbers for guests.
//!
//! Below all of them: [`bindings`], QEMU's headers as bindgen reads them, and [`cell`], where a device lives.
//!
//! # The big lock
//!
//! QEMU calls the glue with its big lock (BQL) held, and all that is reached from a device is protected by it.
//! There are two exceptions. A postcopy migration can bring a state without it. So [`cell::BqlCell`] checks the lock at
//! each borrow, and a function whose `# Safety` says BQL relies on its caller for it. And [`calls`] releases the lock
//! while a device's work runs: the device's [`Gate`](crate::gate::Gate) then keeps others away from what the work uses.
#![allow(unsafe_code)]

pub mod bindings;
mod calls;
mod cell;
mod class;
mod config;
mod device_ref;
mod dma;
mod error;
mod hooked;
mod hooks;
mod host;
mod instance;
mod interrupt;
mod life;
mod migration;
mod property;
mod qemu_type;
mod random;
mod span;
mod timer;
mod vmstate;

pub use class::{class_init, describe};
pub use device_ref::DeviceRef;
pub use hooked::{Hooks, ReadHook, Trace, WriteHook};
pub use instance::{Instance, Region};
#[doc(hidden)]
pub use once_cell::sync::OnceCell;
pub use qemu_type::Type;
