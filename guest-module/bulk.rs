// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's bulk engine: transfers by DMA.

use crate::{
    abi,
    gaps::{self, DmaLimits, DmaMasks, Segments},
    pool::Pool,
};
use core::mem::size_of;
use kernel::{
    device::{self, Bound, Core},
    dma::{Coherent, DmaAddress},
    io::{io_read, io_write},
    pci,
    prelude::*,
    sync::barrier::{dma_mb, Read},
};

/// The size in bytes of a transfer through a kernel buffer. It fits into a processor's caches, and it
/// bounds how long a reader waits before it sees a signal.
pub(crate) const READ_SIZE: usize = 64 << 10;

/// The read size in bytes from which the caller's own memory is filled, without a copy. Below it, pinning
/// costs more than the copy. Measured under TCG.
pub(crate) const DIRECT_FROM: usize = 32 << 10;

/// How many descriptors a device has, each a page. The device executes one at a time; with the others,
/// callers can prepare the next transfers meanwhile.
const DESCRIPTORS: usize = 8;

/// The size of a descriptor in 64-bit words.
const WORDS: usize = abi::BULK_PAGE / size_of::<u64>();

/// The fields of a descriptor as word indices. The field at the lower address is the lower half of its
/// word.
const STATUS_AND_COUNT: usize = abi::BULK_STATUS / size_of::<u64>();
const DONE: usize = abi::BULK_DONE / size_of::<u64>();
const SEGMENTS: usize = abi::BULK_SEGMENTS / size_of::<u64>();

const _: () = {
    assert!(abi::BULK_STATUS % size_of::<u64>() == 0);
    assert!(abi::BULK_COUNT == abi::BULK_STATUS + size_of::<u32>());
    assert!(abi::BULK_DONE % size_of::<u64>() == 0);
    assert!(abi::BULK_SEGMENTS % size_of::<u64>() == 0);
    assert!(abi::BULK_SEGMENT_SIZE == 2 * size_of::<u64>());
    assert!(READ_SIZE <= abi::BULK_MAX_BYTES && READ_SIZE % abi::REG_SIZE == 0);
    // Even if no two pages are adjacent, a descriptor has enough segments for the longest transfer.
    assert!(abi::BULK_MAX_BYTES / kernel::page::PAGE_SIZE < abi::BULK_MAX_SEGMENTS);
};

/// A transfer descriptor.
pub(crate) struct Descriptor(Coherent<[u64; WORDS]>);

impl Descriptor {
    fn new(device: &device::Device<Bound>) -> Result<Self> {
        let page = Coherent::zeroed(device, GFP_KERNEL)?;
        // DOORBELL takes a page number.
        if page.dma_address() % abi::BULK_PAGE as DmaAddress != 0 {
            return Err(EIO);
        }
        Ok(Self(page))
    }

    /// Executes a transfer to `segments`. `ring` writes to DOORBELL, `flush` reads from the device. Returns
    /// the device's status, or 0 if it did not answer, and how many bytes it has filled.
    pub(crate) fn execute(
        &self,
        segments: &mut Segments<'_>,
        ring: impl FnOnce(u32),
        flush: impl FnOnce(),
    ) -> Result<(u32, usize)> {
        let mut count = 0;
        for (address, length) in segments {
            let at = SEGMENTS + 2 * count;
            io_write!(&self.0, [try: at], address.to_le());
            // The upper half is reserved and must be 0.
            io_write!(&self.0, [try: at + 1], u64::from(length).to_le());
            count += 1;
        }
        io_write!(&self.0, [build: DONE], 0);
        io_write!(&self.0, [build: STATUS_AND_COUNT], ((count as u64) << 32).to_le());
        // The coherent DMA mask makes the page number fit in 32 bits.
        ring((self.0.dma_address() / abi::BULK_PAGE as DmaAddress) as u32);
        let mut status = self.status();
        if status == 0 {
            // The write may be posted; a read from the device flushes it.
            flush();
            status = self.status();
        }
        // The device writes DONE and the data before the status: do not read them before it.
        dma_mb(Read);
        // The upper half of the word is reserved.
        let done = u64::from_le(io_read!(&self.0, [build: DONE])) as u32;
        Ok((status, done as usize))
    }

    fn status(&self) -> u32 {
        u64::from_le(io_read!(&self.0, [build: STATUS_AND_COUNT])) as u32
    }
}

/// A device's bulk engine.
///
/// Any number of callers can use it at the same time. A caller waits while all descriptors are in use.
#[pin_data]
pub(crate) struct Engine {
    #[pin]
    descriptors: Pool<Descriptor>,
    limits: DmaLimits,
}

impl Engine {
    /// Allocates descriptors and turns on bus mastering. Call [`Self::stop`] before the device is unbound.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>, _masks: DmaMasks) -> Result<Pin<KBox<Self>>> {
        let limits = DmaLimits::new(pdev.as_ref())?;
        let mut descriptors = KVec::with_capacity(DESCRIPTORS, GFP_KERNEL)?;
        for _ in 0..DESCRIPTORS {
            descriptors.push(Descriptor::new(pdev.as_ref())?, GFP_KERNEL)?;
        }
        let engine = KBox::pin_init(
            pin_init!(Self {
                descriptors <- Pool::new(descriptors),
                limits,
            }),
            GFP_KERNEL,
        )?;
        // If a later step of probe fails, the engine is dropped without `stop`. No transfer can be running
        // then: only open files start transfers, and the node is registered last.
        pdev.set_master();
        Ok(engine)
    }

    /// The DMA limits of memory for transfers.
    pub(crate) fn limits(&self) -> DmaLimits {
        self.limits
    }

    /// Fails with `ENODEV` if the engine was stopped.
    pub(crate) fn check(&self) -> Result {
        self.descriptors.check()
    }

    /// Runs `f` with a descriptor. See [`Pool::with`]: `f` must not sleep.
    pub(crate) fn with_descriptor<R>(&self, f: impl FnOnce(&Descriptor) -> R) -> Result<R> {
        self.descriptors.with(f)
    }

    /// Waits for running transfers, then frees the descriptors. Later callers get `ENODEV`.
    pub(crate) fn stop(&self, pdev: &pci::Device<Core<'_>>) {
        let descriptors = self.descriptors.close();
        // Turn off bus mastering before the memory is freed that the device could write to.
        gaps::clear_master(pdev);
        drop(descriptors);
    }
}
