// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's bulk engine: many numbers at once, which the device writes to memory by itself.

use crate::{
    abi,
    gaps::{self, Buffer, Master, Segments},
};
use core::{mem::size_of, ops::Deref};
use kernel::{
    alloc::flags::GFP_ATOMIC,
    device::{self, Bound, Core},
    dma::{Coherent, DmaAddress},
    io::{io_read, io_write},
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        barrier::{dma_mb, Read},
        new_spinlock, SpinLock,
    },
};

/// How many bytes a [`Buffer`] for reads has: what fits into a processor's caches, and what a reader may
/// have to wait for before a signal is seen.
pub(crate) const READ_SIZE: usize = 64 << 10;

/// From how many bytes on a caller's own memory is filled, without a copy: for fewer it takes longer to have
/// it stay where it is. Measured under TCG.
pub(crate) const DIRECT_FROM: usize = 32 << 10;

/// How many buffers are kept for the reads to come. More of them are made while more read at a time.
const KEPT: usize = 8;

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

/// What a device is told of a transfer by.
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

/// A device's engine, while the driver is bound to the device.
///
/// Any number of transfers can be asked for at a time, each with a descriptor of its own; the device takes
/// them one by one. There is no queue in the kernel: who waits there, waits longer. Descriptors are never
/// taken out of here but by who has the engine, which is revoked when the device is unbound, and so
/// none of them outlives that.
#[pin_data]
pub(crate) struct Engine {
    device: ARef<device::Device>,
    /// Descriptors that nobody uses now. As many are made as are in use at a time.
    #[pin]
    descriptors: SpinLock<KVec<Descriptor>>,
    /// Buffers of [`READ_SIZE`] that nobody uses now.
    #[pin]
    buffers: SpinLock<KVec<Buffer>>,
    /// The longest piece of memory that can be mapped.
    max_segment: u32,
    _master: Master,
}

impl Engine {
    /// Makes the device ready to write to memory.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>) -> Result<impl PinInit<Self, Error>> {
        gaps::set_dma_masks(pdev)?;
        let mut descriptors = KVec::new();
        descriptors.push(Descriptor::new(pdev.as_ref())?, GFP_KERNEL)?;
        let buffers = KVec::with_capacity(KEPT, GFP_KERNEL)?;
        let device = pdev.as_ref().into();
        let (max_segment, master) = (gaps::max_segment(pdev), Master::new(pdev));
        Ok(try_pin_init!(Self {
            device,
            max_segment,
            _master: master,
            descriptors <- new_spinlock!(descriptors, "my_rng::Engine::descriptors"),
            buffers <- new_spinlock!(buffers, "my_rng::Engine::buffers"),
        }? Error))
    }

    /// The device that it is of.
    pub(crate) fn device(&self) -> &ARef<device::Device> {
        &self.device
    }

    /// A descriptor that nobody uses now, if there is one.
    pub(crate) fn take_descriptor(&self) -> Option<Descriptor> {
        self.descriptors.lock().pop()
    }

    /// Gives one back that was taken.
    pub(crate) fn keep_descriptor(&self, descriptor: Descriptor) {
        let kept = self.descriptors.lock().push_within_capacity(descriptor);
        // It had a place when it was taken, which nobody takes away.
        debug_assert!(kept.is_ok());
    }

    /// Adds one; gives it back if there is no memory for that.
    fn add_descriptor(&self, descriptor: Descriptor) -> Option<Descriptor> {
        let mut descriptors = self.descriptors.lock();
        // Those that are in use have to have a place, too. Nobody may sleep here.
        let all = descriptors.capacity() + 1 - descriptors.len();
        if descriptors.reserve(all, GFP_ATOMIC).is_err() {
            return Some(descriptor);
        }
        descriptors
            .push_within_capacity(descriptor)
            .err()
            .map(|error| error.0)
    }

    /// The longest piece of memory that can be mapped for the device.
    pub(crate) fn max_segment(&self) -> u32 {
        self.max_segment
    }

    /// A buffer that nobody uses now, if there is one.
    pub(crate) fn take_buffer(&self) -> Option<Buffer> {
        self.buffers.lock().pop()
    }

    /// Keeps a buffer for others; gives it back if there are enough.
    pub(crate) fn keep_buffer(&self, buffer: Buffer) -> Option<Buffer> {
        let kept = self.buffers.lock().push_within_capacity(buffer);
        kept.err().map(|error| error.0)
    }
}

/// Adds a descriptor to the engine that `engine` gives, of this device, if that is still there.
pub(crate) fn add_descriptor<E: Deref<Target = Engine>>(
    device: &device::Device,
    engine: impl FnOnce() -> Result<E>,
) -> Result {
    // The engine goes before its device is unbound, so all is of the same binding.
    gaps::while_bound(device, |device| {
        let descriptor = Descriptor::new(device)?;
        let rest = engine().map(|engine| engine.add_descriptor(descriptor))?;
        match rest {
            None => Ok(()),
            Some(_) => Err(ENOMEM),
        }
    })
}
