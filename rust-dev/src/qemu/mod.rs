// SPDX-License-Identifier: GPL-2.0-or-later

//! The glue to QEMU: the only place with `unsafe`.
//!
//! - [`bindings`]: QEMU's own headers, as bindgen reads them.
//! - [`cell`]: where the model lives while QEMU holds a pointer to it.
//! - [`log`]: the guest-error log.
//! - [`memory`]: memory regions and their access callbacks.
//! - [`pci`]: a [`PciModel`](crate::pci::PciModel) as a QEMU PCI device.
//! - [`hooks`]: the C functions that the shim names; the one file that names the device.
#![allow(unsafe_code)]

pub mod bindings;
mod cell;
mod hooks;
mod log;
mod memory;
mod pci;
