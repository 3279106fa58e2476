// SPDX-License-Identifier: GPL-2.0-or-later

//! `my_rng` is a random-number generator on the PCI bus of a QEMU machine. The guest seeds it, and reads numbers
//! from its registers or lets it fill memory by DMA. `docs/my-rng.rst` is its specification.
//!
//! - [`generator`]: turns a seed into numbers. Independent of registers and QEMU.
//! - [`abi`]: the constants that the guest sees: ids, registers, the layout of descriptors.
//! - [`devices::my_rng`]: the registers and their effects.
//! - [`devices`]: all devices of this library.
//!
//! The devices use the kit, the crate in `qemu-pci/`. A device implements [`qemu_pci::PciDevice`];
//! [`qemu_pci::testing`] is a machine for unit tests. With the feature `qemu`, the kit's glue
//! (`qemu-pci/src/glue/`) connects a device to QEMU: the shim `hw/misc/NAME.c` calls C functions that
//! `qemu_pci::device!` generates.
//!
//! To write another device, see `docs/new-device.md`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
pub mod devices;
pub mod generator;
#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
