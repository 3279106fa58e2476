// SPDX-License-Identifier: GPL-2.0-or-later

//! What Linux 7.3's Rust abstractions leave out, behind safe interfaces.
//!
//! The only `unsafe` code of the module. Whatever a later kernel offers goes from here.
//!
//! - `buffer`: memory for DMA that programs can map
//! - `pinned`: the memory of a caller, for DMA
//! - `registers`: a device's registers and its configuration space
//! - `table`: pages as a device finds them
//! - `node`: a misc device that knows what it is the node of

use crate::abi;
use core::mem::transmute;
use kernel::{
    bindings,
    device::{self, Bound, Core},
    dma::{Device as _, DmaMask},
    pci,
    prelude::*,
    sync::aref::ARef,
};

mod buffer;
mod node;
mod pinned;
mod registers;
mod table;

pub(crate) use buffer::Buffer;
pub(crate) use node::{Node, NodeFile};
pub(crate) use pinned::Pinned;
pub(crate) use registers::{Registers, RevocableRegisters};
pub(crate) use table::{Segments, Table};

/// The device's PCI vendor.
///
/// `pci::Vendor` has names for the vendors of `pci_ids.h`, which ours is not among, and nothing
/// else that makes one.
pub(crate) const VENDOR: pci::Vendor =
    // SAFETY: `pci::Vendor` is a transparent wrapper of the `u16` that PCI knows the vendor by.
    unsafe { transmute::<u16, pci::Vendor>(abi::PCI_VENDOR_ID) };

/// Says what memory the device can reach: all of it, in one piece, but for its descriptors, of whose
/// addresses it is told 32 bits. For its probe, before any memory is mapped for it.
pub(crate) fn set_dma_masks(pdev: &pci::Device<Core<'_>>) -> Result {
    // SAFETY: Nothing is allocated or mapped for a device while it is being probed but by its probe.
    unsafe {
        pdev.dma_set_max_seg_size(abi::BULK_MAX_BYTES as u32);
        pdev.dma_set_mask(DmaMask::new::<64>())?;
        pdev.dma_set_coherent_mask(DmaMask::new::<{ u32::BITS + abi::BULK_PAGE.ilog2() }>())
    }
}

fn raw_device(device: &device::Device) -> *mut bindings::device {
    // CAST: A `device::Device` is a transparent wrapper of a `struct device`.
    core::ptr::from_ref(device)
        .cast::<bindings::device>()
        .cast_mut()
}

/// Lets a device reach memory by itself, until this is dropped.
pub(crate) struct Master(ARef<pci::Device>);

impl Master {
    /// For a device that is being probed. To be dropped while that driver is still bound to it.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>) -> Self {
        pdev.set_master();
        Self(pdev.into())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // CAST: A `pci::Device` is a transparent wrapper of a `struct pci_dev`.
        let pdev = core::ptr::from_ref::<pci::Device>(&self.0)
            .cast::<bindings::pci_dev>()
            .cast_mut();
        // SAFETY: We have a reference to it, so it is there.
        unsafe { bindings::pci_clear_master(pdev) };
    }
}

/// The longest piece of memory that can be mapped for a device, in bytes. For its probe.
pub(crate) fn max_segment(pdev: &pci::Device<Core<'_>>) -> u32 {
    // SAFETY: It is a device that is being bound.
    let most = unsafe { bindings::dma_max_mapping_size(raw_device(pdev.as_ref())) };
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// Runs `f` while the device is bound to a driver, and stays so; fails where it is not. Not to be
/// called while the device is being bound or unbound, nor where nothing may sleep, nor with the lock of a
/// program's memory: who unbinds the device waits for others, which may have to have that.
pub(crate) fn while_bound<R>(
    device: &device::Device,
    f: impl FnOnce(&device::Device<Bound>) -> Result<R>,
) -> Result<R> {
    let raw = raw_device(device);
    // SAFETY: The mutex is initialized, and lives as long as the device, which we have a reference to.
    unsafe { bindings::mutex_lock(&raw mut (*raw).mutex) };
    // SAFETY: The device is a registered one, or one that was.
    let result = if unsafe { bindings::device_is_bound(raw) } {
        // SAFETY: It is bound, and whoever unbinds it takes the mutex first.
        f(unsafe { device.as_bound() })
    } else {
        Err(ENODEV)
    };
    // SAFETY: We have locked it.
    unsafe { bindings::mutex_unlock(&raw mut (*raw).mutex) };
    result
}
