// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's bulk engine: many numbers at once, which the device writes to memory by itself.

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

/// How many bytes are read at a time by way of the kernel's memory: what fits into a processor's caches,
/// and what a reader may have to wait for before a signal is seen.
pub(crate) const READ_SIZE: usize = 64 << 10;

/// From how many bytes on a caller's own memory is filled, without a copy: for fewer, pinning costs more than
/// the copy. Measured under TCG.
pub(crate) const DIRECT_FROM: usize = 32 << 10;

/// How many descriptors a device has, each a page. The device carries out one at a time; the others let
/// it go on at once with the next.
const DESCRIPTORS: usize = 8;

/// A descriptor, as words of 64 bits.
const WORDS: usize = abi::BULK_PAGE / size_of::<u64>();

/// Where a descriptor's fields are, in its words; the lower half of a word is what comes first.
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
    // However scattered a buffer is, its pages are no more than a descriptor has segments.
    assert!(abi::BULK_MAX_BYTES / kernel::page::PAGE_SIZE < abi::BULK_MAX_SEGMENTS);
};

/// A transfer descriptor.
pub(crate) struct Descriptor(Coherent<[u64; WORDS]>);

impl Descriptor {
    fn new(device: &device::Device<Bound>) -> Result<Self> {
        let page = Coherent::zeroed(device, GFP_KERNEL)?;
        // DOORBELL takes the number of its page.
        if page.dma_address() % abi::BULK_PAGE as DmaAddress != 0 {
            return Err(EIO);
        }
        Ok(Self(page))
    }

    /// Has memory filled, which is given by addresses and lengths in bytes, by way of `ring`, which writes
    /// to DOORBELL, and `flush`, which reads from the device. Returns the status that the device gives, or
    /// 0 if it has not answered, and how many bytes it has filled.
    pub(crate) fn carry_out(
        &self,
        segments: &mut Segments<'_>,
        ring: impl FnOnce(u32),
        flush: impl FnOnce(),
    ) -> Result<(u32, usize)> {
        let mut count = 0;
        for (address, length) in segments {
            let at = SEGMENTS + 2 * count;
            io_write!(&self.0, [try: at], address.to_le());
            // The upper half, which is reserved, is 0.
            io_write!(&self.0, [try: at + 1], u64::from(length).to_le());
            count += 1;
        }
        io_write!(&self.0, [build: DONE], 0);
        io_write!(&self.0, [build: STATUS_AND_COUNT], ((count as u64) << 32).to_le());
        // The mask keeps it within 32 bits.
        ring((self.0.dma_address() / abi::BULK_PAGE as DmaAddress) as u32);
        let mut status = self.status();
        if status == 0 {
            // A bus may let a write be on its way still; a read comes after it.
            flush();
            status = self.status();
        }
        // What the device wrote before the status must not be read before it.
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
/// The device carries out one transfer after the other. Any number of callers may come at a time; those
/// for whom there is no descriptor left wait.
#[pin_data]
pub(crate) struct Engine {
    #[pin]
    descriptors: Pool<Descriptor>,
    limits: DmaLimits,
}

impl Engine {
    /// Makes the device ready to write to memory. Call [`Self::stop`] before the device is unbound.
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
        // If a later step of the probe fails, the engine is dropped without `stop`. No transfer can be under
        // way then: only open files ring DOORBELL, and the node is registered last.
        pdev.set_master();
        Ok(engine)
    }

    /// How memory for transfers has to be laid out.
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

    /// Ends all transfers, for good, and frees what belongs to the binding of the driver. Callers get
    /// `ENODEV`.
    pub(crate) fn stop(&self, pdev: &pci::Device<Core<'_>>) {
        let descriptors = self.descriptors.close();
        // Before the memory is freed that the device could write to.
        gaps::clear_master(pdev);
        drop(descriptors);
    }
}
