// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's bulk engine: transfers by DMA.

use crate::{
    abi,
    gaps::{Block, BusMaster, DmaMasks, Link, Registers, Segments},
};
use core::mem::size_of;
use kernel::{
    cpu::nr_cpu_ids,
    device::{self, Bound, Core},
    dma::{Coherent, DmaAddress},
    io::{io_read, io_write, Io},
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

/// The size of a descriptor in 64-bit words.
const WORDS: usize = abi::BULK_PAGE / size_of::<u64>();

/// The fields of a descriptor as word indices. The field at the lower address is the lower half of its
/// word.
const STATUS_AND_COUNT: usize = abi::BULK_STATUS / size_of::<u64>();
const DONE: usize = abi::BULK_DONE / size_of::<u64>();
const SEGMENTS: usize = abi::BULK_SEGMENTS / size_of::<u64>();

/// Where the device writes a [`Block`]: behind the descriptor's only segment.
const NUMBERS: usize = SEGMENTS + abi::BULK_SEGMENT_SIZE / size_of::<u64>();

const _: () = {
    assert!(abi::BULK_STATUS % size_of::<u64>() == 0);
    assert!(abi::BULK_COUNT == abi::BULK_STATUS + size_of::<u32>());
    assert!(abi::BULK_DONE % size_of::<u64>() == 0);
    assert!(abi::BULK_SEGMENTS % size_of::<u64>() == 0);
    assert!(abi::BULK_SEGMENT_SIZE == 2 * size_of::<u64>());
    assert!(NUMBERS * size_of::<u64>() + Block::SIZE <= abi::BULK_PAGE);
    assert!(READ_SIZE <= abi::BULK_MAX_BYTES && READ_SIZE % abi::REG_SIZE == 0);
    // Even if no two pages are adjacent, a descriptor has enough segments for the longest transfer.
    assert!(abi::BULK_MAX_BYTES / kernel::page::PAGE_SIZE < abi::BULK_MAX_SEGMENTS);
};

/// A transfer descriptor.
struct Descriptor(Coherent<[u64; WORDS]>);

impl Descriptor {
    fn new(device: &device::Device<Bound>) -> Result<Self> {
        let page = Coherent::zeroed(device, GFP_KERNEL)?;
        // DOORBELL takes a page number.
        if page.dma_address() % abi::BULK_PAGE as DmaAddress != 0 {
            return Err(EIO);
        }
        Ok(Self(page))
    }

    fn set_segment(&self, index: usize, address: DmaAddress, length: u32) -> Result {
        let at = SEGMENTS + 2 * index;
        io_write!(&self.0, [try: at], address.to_le());
        // The upper half is reserved and must be 0.
        io_write!(&self.0, [try: at + 1], u64::from(length).to_le());
        Ok(())
    }

    /// Lets the device fill the first `count` segments. Returns how many bytes it has filled. Fails with
    /// `EIO` if it has refused the transfer or did not answer.
    fn execute(&self, registers: &Registers<'_>, count: usize) -> Result<usize> {
        io_write!(&self.0, [build: STATUS_AND_COUNT], ((count as u64) << 32).to_le());
        // The coherent DMA mask makes the page number fit in 32 bits.
        let page = (self.0.dma_address() / abi::BULK_PAGE as DmaAddress) as u32;
        registers.write32(page, abi::REG_DOORBELL);
        let mut status = self.status();
        if status == 0 {
            // The write may be posted; a read from the device flushes it.
            let _ = registers.read32(abi::REG_INFO);
            status = self.status();
        }
        if status != abi::BULK_FILLED && status != abi::BULK_NO_ENTROPY {
            return Err(EIO);
        }
        // The device writes DONE and the data before the status: do not read them before it.
        dma_mb(Read);
        // The upper half of the word is reserved.
        let done = u64::from_le(io_read!(&self.0, [build: DONE])) as u32;
        Ok(done as usize)
    }

    fn status(&self) -> u32 {
        u64::from_le(io_read!(&self.0, [build: STATUS_AND_COUNT])) as u32
    }
}

/// A device's bulk engine.
///
/// Each processor has a descriptor, so callers wait for each other only in the device.
pub(crate) struct Engine {
    // Fields drop in order: the device must not write to memory that is freed.
    _master: BusMaster,
    descriptors: KVec<Descriptor>,
}

impl Engine {
    /// Allocates descriptors and turns on bus mastering.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>, _masks: DmaMasks) -> Result<Self> {
        let count = nr_cpu_ids() as usize;
        let mut descriptors = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            descriptors.push(Descriptor::new(pdev.as_ref())?, GFP_KERNEL)?;
        }
        Ok(Self {
            descriptors,
            _master: BusMaster::new(pdev),
        })
    }
}

/// Calls `f` with a descriptor, which nobody else uses until `f` returns, and the registers. `f` must not sleep.
///
/// Preemption is off meanwhile, which delays other tasks no more than the transfer itself: the processor is busy with
/// the write of DOORBELL until the device has finished.
#[inline]
fn with_descriptor<R>(
    link: &Link,
    f: impl FnOnce(&Descriptor, &Registers<'_>) -> Result<R>,
) -> Result<R> {
    link.with_cpu(|hardware, cpu| {
        let engine = hardware.engine.as_ref().ok_or(ENODEV)?;
        f(engine.descriptors.get(cpu).ok_or(EIO)?, &hardware.registers)
    })
}

/// Lets the device fill `segments`. Returns how many bytes it has filled: all, unless the host ran out of
/// entropy. On error nothing was filled.
pub(crate) fn fill(link: &Link, segments: &mut Segments<'_>) -> Result<usize> {
    with_descriptor(link, |descriptor, registers| {
        let mut count = 0;
        for (address, length) in segments {
            descriptor.set_segment(count, address, length)?;
            count += 1;
        }
        descriptor.execute(registers, count)
    })
}

/// Lets the device fill the first `length` bytes of an empty block. Returns as [`fill`].
///
/// The device writes to the descriptor's page, so there is nothing to map for DMA.
#[inline]
pub(crate) fn fill_block(link: &Link, block: &mut Block, length: usize) -> Result<usize> {
    with_descriptor(link, |descriptor, registers| {
        let numbers = descriptor.0.dma_address() + (NUMBERS * size_of::<u64>()) as DmaAddress;
        descriptor.set_segment(0, numbers, length as u32)?;
        let filled = descriptor.execute(registers, 1)?.min(length);
        for at in NUMBERS..NUMBERS + filled.div_ceil(size_of::<u64>()) {
            block.push_pair(io_read!(&descriptor.0, [try: at]));
            // No number stays in kernel memory.
            io_write!(&descriptor.0, [try: at], 0);
        }
        Ok(filled)
    })
}
