// SPDX-License-Identifier: GPL-2.0-or-later

//! Interfaces for what Linux 7.3's Rust abstractions lack, or do with many calls of C functions where one is
//! enough. All `unsafe` code of the module is here, except one call in `driver` and one in the module's init.
//! Remove each once the kernel provides it.
//!
//! - `block`: a few numbers on the stack
//! - `buffer`: memory for DMA that programs can map
//! - `counter`: a counter that is cheap to increase on every processor
//! - `hardware`: a device's hardware, which open files use until the device is unbound
//! - `hw_random`: a registration with the kernel's `hw_random`
//! - `module_dir`: the module's directory in debugfs
//! - `node`: a misc device with private data, a parent and attributes in sysfs
//! - `pinned`: a caller's pinned memory, for DMA
//! - `table`: a scatter-gather table mapped for DMA

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

mod block;
mod buffer;
mod counter;
mod hardware;
mod hw_random;
mod module_dir;
mod node;
mod pinned;
mod table;

pub(crate) use block::Block;
pub(crate) use buffer::Buffer;
pub(crate) use counter::Counter;
pub(crate) use hardware::{Hardware, Link, Linked, Registers};
pub(crate) use hw_random::{HwRandom, Source};
pub(crate) use module_dir::ModuleDir;
pub(crate) use node::{Facts, Node, NodeFile};
pub(crate) use pinned::Pinned;
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

/// Allows a device to access memory until dropped.
pub(crate) struct BusMaster(ARef<pci::Device>);

impl BusMaster {
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>) -> Self {
        pdev.set_master();
        Self(pdev.into())
    }
}

impl Drop for BusMaster {
    fn drop(&mut self) {
        // SAFETY: The reference keeps the `struct pci_dev` valid.
        unsafe { bindings::pci_clear_master(raw_pdev(&self.0)) };
    }
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

/// Stores a number in a program's memory. Unlike with `UserSlice`, it is a single access, which is faster.
pub(crate) fn put_user(number: u32, to: UserPtr) -> Result {
    // SAFETY: The function checks the address.
    let is_stored = unsafe { c::my_rng_put_user(number, to.as_mut_ptr().cast()) };
    is_stored.then_some(()).ok_or(EFAULT)
}

/// Takes a number from a program's memory; as [`put_user`].
pub(crate) fn get_user(from: UserPtr) -> Result<u32> {
    let mut number = 0;
    // SAFETY: The function checks the address, and `number` is valid for writes.
    let is_taken = unsafe { c::my_rng_get_user(&mut number, from.as_const_ptr().cast()) };
    is_taken.then_some(number).ok_or(EFAULT)
}

/// `gaps/*.c`.
mod c {
    use kernel::{
        bindings,
        ffi::{c_uint, c_ushort},
        prelude::*,
    };

    /// A `struct my_rng_hardware`.
    #[repr(transparent)]
    pub(super) struct Hardware(pub(super) *mut c_void);

    // SAFETY: The address of mapped registers is valid for all tasks.
    unsafe impl Send for Hardware {}

    // SAFETY: As above.
    unsafe impl Sync for Hardware {}

    /// A `u64 __percpu`.
    #[repr(C)]
    pub(super) struct Counter([u8; 0]);

    /// A `struct hwrng`.
    #[repr(C)]
    pub(super) struct HwRng([u8; 0]);

    /// A `struct my_rng_facts`.
    #[repr(C)]
    pub(super) struct Facts {
        pub(super) generator: *const c_char,
        pub(super) words: *const Counter,
        pub(super) seeds: *const Counter,
        pub(super) has_bulk: bool,
    }

    // Like the kernel's `bindings` crate: `struct device` may have zero-sized members.
    #[allow(improper_ctypes)]
    extern "C" {
        pub(super) fn my_rng_memzero_explicit(at: *mut c_void, length: usize);
        pub(super) fn my_rng_dma_alignment(device: *mut bindings::device) -> c_uint;
        pub(super) fn my_rng_read(
            link: *const *mut Hardware,
            offset: usize,
            value: *mut u32,
        ) -> bool;
        pub(super) fn my_rng_write(link: *const *mut Hardware, offset: usize, value: u32) -> bool;
        pub(super) fn my_rng_enter(link: *const *mut Hardware, cpu: *mut c_uint)
            -> *const Hardware;
        pub(super) fn my_rng_leave();
        pub(super) fn my_rng_put_user(number: u32, to: *mut u32) -> bool;
        pub(super) fn my_rng_get_user(number: *mut u32, from: *const u32) -> bool;
        pub(super) fn my_rng_counter_new() -> *mut Counter;
        pub(super) fn my_rng_counter_free(counter: *mut Counter);
        pub(super) fn my_rng_counter_add(counter: *mut Counter, count: u64);
        pub(super) fn my_rng_counter_sum(counter: *const Counter) -> u64;
        pub(super) static mut my_rng_groups: [*const bindings::attribute_group; 2];
        pub(super) fn my_rng_hwrng_register(
            name: *const c_char,
            quality: c_ushort,
            read: unsafe extern "C" fn(*mut HwRng, *mut c_void, usize, bool) -> c_int,
            source: *mut c_void,
        ) -> *mut HwRng;
        pub(super) fn my_rng_hwrng_source(rng: *const HwRng) -> *mut c_void;
        pub(super) fn my_rng_hwrng_unregister(rng: *mut HwRng);
    }
}
