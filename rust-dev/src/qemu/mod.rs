// SPDX-License-Identifier: GPL-2.0-or-later

//! The glue to QEMU: the only place with `unsafe`.
//!
//! - [`bindings`]: QEMU's own headers, as bindgen reads them.
//! - [`cell`]: where the model lives while QEMU holds a pointer to it.
//! - [`errors`], [`random`]: QEMU's errors, reports and log, and its random numbers for guests.
//! - [`memory`]: memory regions and their access callbacks.
//! - [`dma`], [`span`]: guest memory that a device reads and writes.
//! - [`storage`]: fields that QEMU reads and writes by their address.
//! - [`properties`], [`vmstate`], [`counters`]: what of a model QEMU is told of, as such fields.
//! - [`pci`]: a [`PciModel`](crate::pci::PciModel) as a QEMU PCI device.
//! - [`hooks`]: the C functions that a shim names, for any model.
//! - [`devices`]: the devices; the one file that names them.
#![allow(unsafe_code)]

pub mod bindings;
mod cell;
mod counters;
mod devices;
mod dma;
mod errors;
mod hooks;
mod memory;
mod pci;
mod properties;
mod random;
mod span;
mod storage;
mod vmstate;
