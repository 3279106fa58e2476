// SPDX-License-Identifier: GPL-2.0-or-later

//! `my_rng` is a random-number generator on the PCI bus of a QEMU machine. The guest seeds it and reads numbers
//! from its registers, or has it fill memory with numbers by DMA. `docs/my-rng.rst` is its specification.
//!
//! What `my_rng` is:
//!
//! - [`generator`]: from a seed to numbers. Knows no register and no QEMU.
//! - [`abi`]: what the guest sees, in numbers: ids, registers, the layout of descriptors.
//! - [`devices::my_rng`]: its registers, and what they do.
//!
//! What a device is: the kit, the crate `qemu-pci` in the folder of that name. [`qemu_pci::PciDevice`] is the trait,
//! and [`qemu_pci::testing`] a machine for unit tests. [`devices`] lists the devices of this library.
//!
//! How QEMU is reached: by the kit's glue, `qemu-pci/src/glue/`, which the feature `qemu` switches on. From QEMU's
//! side, `hw/misc/NAME.c` is a device's shim; it calls C functions that `qemu_pci::device!` makes.
//!
//! To make another device, see `docs/new-device.md`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
pub mod devices;
pub mod generator;
#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
