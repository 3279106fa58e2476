// SPDX-License-Identifier: GPL-2.0-or-later

//! Interfaces for what Linux 7.3's Rust abstractions lack. All `unsafe` code of the module is here, except
//! one call in `driver`. Remove each once the kernel provides it.
//!
//! - `buffer`: memory for DMA that programs can map
//! - `pinned`: a caller's pinned memory, for DMA
//! - `registers`: a device's registers and its configuration space
//! - `table`: a scatter-gather table mapped for DMA
//! - `node`: a misc device with private data

use crate::abi;
use core::mem::transmute;
use kernel::{
    bindings,
    device::{self, Bound, Core},
    dma::{Device as _, DmaMask},
    page::PAGE_SIZE,
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

/// The device's PCI vendor. `pci::Vendor` has constants only for the vendors of `pci_ids.h`, and no
/// constructor.
pub(crate) const VENDOR: pci::Vendor =
    // SAFETY: `pci::Vendor` is a transparent wrapper of the `u16` vendor id, and every `u16` is valid.
    unsafe { transmute::<u16, pci::Vendor>(abi::PCI_VENDOR_ID) };

fn raw_device(device: &device::Device) -> *mut bindings::device {
    // CAST: A `device::Device` is a transparent wrapper of a `struct device`.
    core::ptr::from_ref(device)
        .cast::<bindings::device>()
        .cast_mut()
}

fn raw_pdev(pdev: &pci::Device) -> *mut bindings::pci_dev {
    // CAST: A `pci::Device` is a transparent wrapper of a `struct pci_dev`.
    core::ptr::from_ref(pdev)
        .cast::<bindings::pci_dev>()
        .cast_mut()
}

/// Enables a device's memory regions until dropped.
pub(crate) struct Enabled(ARef<pci::Device>);

impl Enabled {
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        pdev.enable_device_mem()?;
        Ok(Self(pdev.into()))
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: The reference keeps the `struct pci_dev` valid. `new` enabled it once, and this undoes it
        // once.
        unsafe { bindings::pci_disable_device(raw_pdev(&self.0)) };
    }
}

/// Turns off bus mastering, which `pci::Device::set_master` turns on.
pub(crate) fn clear_master(pdev: &pci::Device<Core<'_>>) {
    // SAFETY: A `&pci::Device` points to a valid `struct pci_dev`.
    unsafe { bindings::pci_clear_master(raw_pdev(pdev)) };
}

/// Proof that a device's DMA masks are set.
pub(crate) struct DmaMasks(());

impl DmaMasks {
    /// Sets the masks: 64 bits for segments, and 44 for descriptors, because DOORBELL takes a 32-bit page
    /// number.
    ///
    /// # Safety
    ///
    /// The device must be in probe, and no memory may have been mapped or allocated for its DMA.
    pub(crate) unsafe fn set(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        // SAFETY: By this function's requirement no DMA allocation or mapping of the device runs
        // concurrently.
        unsafe {
            pdev.dma_set_max_seg_size(abi::BULK_MAX_BYTES as u32);
            pdev.dma_set_mask(DmaMask::new::<64>())?;
            pdev.dma_set_coherent_mask(DmaMask::new::<{ u32::BITS + abi::BULK_PAGE.ilog2() }>())?;
        }
        Ok(Self(()))
    }
}

/// Limits of memory for a device's DMA.
#[derive(Clone, Copy)]
pub(crate) struct DmaLimits {
    /// The longest segment, in bytes; at least a page.
    pub(crate) max_segment: u32,
    /// The alignment of address and length of a caller's memory, in bytes; a power of two. More than 1 only
    /// if DMA is not coherent with the processor's caches.
    pub(crate) alignment: usize,
}

impl DmaLimits {
    /// Fails with `EIO` if not even a page can be mapped in one piece.
    pub(crate) fn new(device: &device::Device<Bound>) -> Result<Self> {
        let raw = raw_device(device);
        // SAFETY: `raw` points to a valid `struct device`, and it is bound, so its DMA operations are set
        // up.
        let (max_segment, alignment) = unsafe {
            (
                bindings::dma_max_mapping_size(raw),
                c::my_rng_dma_alignment(raw),
            )
        };
        // `dma_max_mapping_size` returns 0 if nothing can be mapped.
        let max_segment = u32::try_from(max_segment).unwrap_or(u32::MAX);
        if (max_segment as usize) < PAGE_SIZE {
            return Err(EIO);
        }
        Ok(Self {
            max_segment,
            alignment: alignment as usize,
        })
    }
}

/// Zeroes bytes. Unlike `fill`, the compiler cannot optimize it away.
pub(crate) fn wipe(bytes: &mut [u8]) {
    // SAFETY: The mutable slice is valid for writes of its length, and zeros are valid `u8`s.
    unsafe { c::my_rng_memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}

/// `gaps/helpers.c`.
mod c {
    use kernel::{bindings, ffi::c_uint, prelude::*};

    // Like the kernel's `bindings` crate: `struct device` may have zero-sized members.
    #[allow(improper_ctypes)]
    extern "C" {
        pub(super) fn my_rng_memzero_explicit(at: *mut c_void, length: usize);
        pub(super) fn my_rng_dma_alignment(device: *mut bindings::device) -> c_uint;
    }
}
