// SPDX-License-Identifier: GPL-2.0-or-later

//! The `my_rng` device model: a random-number generator behind a few PCI registers.
//!
//! A map, from the inside out; each part knows only those above it:
//!
//! - [`generator`]: seed to numbers. Knows no register and no QEMU.
//! - [`pci`]: what a device model has to say of itself to become a PCI device. Knows no QEMU.
//! - [`device`]: the registers and their behaviour.
//! - `my_counter` (feature `my_counter`): the example of another device, from which to make one.
//! - `qemu` (feature `qemu`): the glue to QEMU's C, the only place with `unsafe`.
//!
//! To make another device, see `docs/new-device.md`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
pub mod device;
pub mod generator;
#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
#[cfg(any(test, feature = "my_counter"))]
pub mod my_counter;
pub mod pci;
#[cfg(feature = "qemu")]
pub mod qemu;
/// The parts of the glue that need no QEMU, for their own tests.
#[cfg(all(test, not(feature = "qemu")))]
#[path = "qemu/span.rs"]
#[allow(unsafe_code)]
mod span;
#[cfg(all(test, not(feature = "qemu")))]
#[path = "qemu/storage.rs"]
#[allow(dead_code, unsafe_code)]
mod storage;
