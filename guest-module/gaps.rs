// SPDX-License-Identifier: GPL-2.0-or-later

//! What Linux 7.3's Rust abstractions leave out, behind safe interfaces.
//!
//! The only `unsafe` code of the module. What a later kernel offers goes from here.
//!
//! - `buffer`: memory for DMA that programs can map
//! - `pinned`: the memory of a caller, for DMA
//! - `registers`: a device's registers and its configuration space
//! - `table`: a scatter-gather table mapped for DMA
//! - `node`: a misc device that knows what it is the node of

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

/// The device's PCI vendor.
///
/// `pci::Vendor` has names for the vendors of `pci_ids.h`, which ours is not among, and nothing
/// else that makes one.
pub(crate) const VENDOR: pci::Vendor =
    // SAFETY: `pci::Vendor` is a transparent wrapper of the `u16` that PCI knows the vendor by.
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

/// A device whose memory regions are enabled, until this is dropped.
pub(crate) struct Enabled(ARef<pci::Device>);

impl Enabled {
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        pdev.enable_device_mem()?;
        Ok(Self(pdev.into()))
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: The reference keeps the device in memory. It was enabled once, by `new`.
        unsafe { bindings::pci_disable_device(raw_pdev(&self.0)) };
    }
}

/// Ends what `pci::Device::set_master` began: the device cannot reach memory by itself any more.
pub(crate) fn clear_master(pdev: &pci::Device<Core<'_>>) {
    // SAFETY: `pdev` is a valid device.
    unsafe { bindings::pci_clear_master(raw_pdev(pdev)) };
}

/// Proof that a device's DMA masks are set.
pub(crate) struct DmaMasks(());

impl DmaMasks {
    /// Says what memory the device can reach: all of it, in one piece, except that it is told only 32
    /// bits of the number of a descriptor's page.
    ///
    /// # Safety
    ///
    /// The device is being probed, and no memory was mapped or allocated for its DMA so far.
    pub(crate) unsafe fn set(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        // SAFETY: By the function's own requirement nothing is mapped or allocated at the same time.
        unsafe {
            pdev.dma_set_max_seg_size(abi::BULK_MAX_BYTES as u32);
            pdev.dma_set_mask(DmaMask::new::<64>())?;
            pdev.dma_set_coherent_mask(DmaMask::new::<{ u32::BITS + abi::BULK_PAGE.ilog2() }>())?;
        }
        Ok(Self(()))
    }
}

/// How memory has to be laid out for a device's DMA.
#[derive(Clone, Copy)]
pub(crate) struct DmaLimits {
    /// The longest segment, in bytes; at least a page.
    pub(crate) max_segment: u32,
    /// What the address and the length of a caller's memory have to be multiples of, in bytes; a power of
    /// two. More than 1 only where DMA is not coherent with the processor's caches.
    pub(crate) alignment: usize,
}

impl DmaLimits {
    /// Fails with `EIO` if not even a page can be mapped in one piece.
    pub(crate) fn new(device: &device::Device<Bound>) -> Result<Self> {
        let raw = raw_device(device);
        // SAFETY: `device` is bound, so that it has what the DMA API needs.
        let (max_segment, alignment) = unsafe {
            (
                bindings::dma_max_mapping_size(raw),
                c::my_rng_dma_alignment(raw),
            )
        };
        // 0 if nothing can be mapped.
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

/// Overwrites bytes that nobody may see any more. Unlike `fill`, the compiler does not leave it out.
pub(crate) fn wipe(bytes: &mut [u8]) {
    // SAFETY: The slice is valid for writes of its length.
    unsafe { c::my_rng_memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}

/// `gaps/helpers.c`.
mod c {
    use kernel::{bindings, ffi::c_uint, prelude::*};

    // As the kernel does for `bindings`: a `struct device` may have members of no size.
    #[allow(improper_ctypes)]
    extern "C" {
        pub(super) fn my_rng_memzero_explicit(at: *mut c_void, length: usize);
        pub(super) fn my_rng_dma_alignment(device: *mut bindings::device) -> c_uint;
    }
}
