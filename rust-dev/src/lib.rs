// SPDX-License-Identifier: GPL-2.0-or-later

//! `my_rng` is a random-number generator on the PCI bus of a QEMU machine. The guest seeds it and reads numbers
//! from its registers, or lets it fill memory with them by DMA. `docs/my-rng.rst` is its specification.
//!
//! From the inside out; each part knows only those above it:
//!
//! - [`generator`]: from a seed to numbers. Knows no register and no QEMU.
//! - [`abi`]: what the guest sees of `my_rng`, in numbers: ids, registers, and the layout of descriptors.
//! - [`devices`]: the devices of this library. [`devices::my_rng`] has the registers.
//! - The kit, the crate `qemu-pci`: what a PCI device is, and a machine to test one in. With the feature `qemu`
//!   it connects the devices to QEMU.
//!
//! To make another device, see `docs/new-device.md`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
pub mod devices;
pub mod generator;
#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
