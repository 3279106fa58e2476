// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device, and the operations on it.

use crate::{
    abi,
    bulk::{self, Engine, DIRECT_FROM, READ_SIZE},
    gaps::{
        Block, Buffer, Counter, DmaLimits, DmaMasks, Hardware, Link, Linked, Pinned, Registers,
        Table,
    },
    identity::{self, Generator, Identity},
};
use core::ops::Range;
use kernel::{
    device::Core,
    io::Io,
    iov::IovIterDest,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    str::CString,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

/// A device, shared by its node, the open files and hw_random.
///
/// Open files can keep it alive after unbind. Then every use fails with `ENODEV`.
///
/// It needs no lock. The device gives each number once, and a read of a register, or a bulk transfer, takes
/// consecutive numbers, also while others run.
pub(crate) struct Device {
    hardware: Link,
    /// `None` if the device has no bulk engine.
    limits: Option<DmaLimits>,
    address: CString,
    identity: Identity,
    counters: Counters,
    is_offered: Atomic<bool>,
}

/// The result of one piece of a read.
pub(crate) struct Piece {
    /// How many bytes were stored.
    pub(crate) stored: usize,
    /// If set, the read ends after this piece, for this reason.
    pub(crate) end: Option<Error>,
}

impl Piece {
    /// A piece of which `filled` of `length` bytes could be read, and `stored` of these could be stored.
    fn new(stored: usize, filled: usize, length: usize) -> Self {
        let end = if stored < filled {
            Some(EFAULT)
        } else {
            // The host ran out of entropy.
            (filled < length).then_some(EIO)
        };
        Self { stored, end }
    }
}

/// Numbers taken and seeds written since the driver was bound to the device.
pub(crate) struct Counters {
    pub(crate) words: Counter,
    pub(crate) seeds: Counter,
}

impl AsRef<Link> for Device {
    fn as_ref(&self) -> &Link {
        &self.hardware
    }
}

impl Device {
    /// Creates it for an enabled device that is being probed. If `masks` is an error, there are no bulk
    /// transfers. It can be used until the second result is dropped.
    pub(crate) fn new<'a>(
        pdev: &'a pci::Device<Core<'_>>,
        masks: Result<DmaMasks>,
    ) -> Result<(Arc<Self>, Linked<'a, Self>)> {
        let registers = Registers::new(pdev)?;
        if !registers.are_present() {
            dev_err!(
                pdev,
                "the device does not answer: reset or replug it, then bind it again\n"
            );
            return Err(ENODEV);
        }
        let info = || registers.read32(abi::REG_INFO);
        let identity = Identity::new(info(), info());
        if identity.is_classic() {
            dev_info!(
                pdev,
                "a classic device, without the register INFO: only single numbers and seeds\n"
            );
        }
        let bulk = if identity.has_bulk() {
            // The registers work without it.
            masks
                .and_then(|masks| Ok((DmaLimits::new(pdev.as_ref())?, Engine::new(pdev, masks)?)))
                .inspect_err(|error| dev_warn!(pdev, "no bulk transfers: {error:?}\n"))
                .ok()
        } else {
            None
        };
        let (limits, engine) = bulk.unzip();
        let device = Self {
            hardware: Link::new(),
            limits,
            address: CString::try_from(pdev.as_ref().name())?,
            identity,
            counters: Counters {
                words: Counter::new()?,
                seeds: Counter::new()?,
            },
            is_offered: Atomic::new(false),
        };
        let device = Arc::new(device, GFP_KERNEL)?;
        let linked = Linked::new(device.clone(), Hardware::new(registers, engine))?;
        Ok((device, linked))
    }

    /// The PCI address, as `lspci -D` prints it.
    pub(crate) fn address(&self) -> &CStr {
        &self.address
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.is_offered.load(Relaxed)
    }

    pub(crate) fn set_offered(&self) {
        self.is_offered.store(true, Relaxed);
    }

    /// The next number of the stream; errors as [`Self::take`].
    #[inline]
    pub(crate) fn rand(&self) -> Result<u32> {
        let mut number = 0;
        self.take(1, |next| number = next)?;
        Ok(number)
    }

    /// Takes the next numbers of the stream from the register. Fails with `EIO` if the host had no entropy for
    /// one of them; then none must be used.
    #[inline]
    pub(crate) fn take(&self, count: usize, mut to: impl FnMut(u32)) -> Result {
        // A failed read returns 0, which can also be a number. Only a changed count shows a failure.
        let can_fail = self.identity.can_fail();
        let failures = || {
            if can_fail {
                self.hardware.read::<{ abi::REG_FAILURES }>()
            } else {
                Ok(0)
            }
        };
        let before = failures()?;
        let mut suspicious = false;
        for _ in 0..count {
            let number = self.hardware.read::<{ abi::REG_RNG }>()?;
            suspicious |= identity::is_suspicious(number);
            to(number);
        }
        let failed = failures()? != before;
        if suspicious || failed {
            self.check()?;
        }
        if failed {
            return Err(EIO);
        }
        self.counters.words.add(count);
        Ok(())
    }

    /// Fills `buffer` with the next numbers of the stream, as little-endian bytes; see [`Self::take`]. If its
    /// length is not a multiple of 4, the rest of the last number is lost.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result {
        let count = buffer.len().div_ceil(abi::REG_SIZE);
        let mut chunks = buffer.chunks_mut(abi::REG_SIZE);
        self.take(count, |number| {
            if let Some(chunk) = chunks.next() {
                chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
            }
        })
    }

    pub(crate) fn has_bulk(&self) -> bool {
        self.limits.is_some()
    }

    /// Fails with `ENODEV` if the device has no bulk engine or was unbound.
    pub(crate) fn check_bulk(&self) -> Result {
        self.limits()?;
        self.hardware.with(|_| Ok(()))
    }

    /// The limits of the bulk engine. Fails with `ENODEV` if there is none.
    fn limits(&self) -> Result<DmaLimits> {
        self.limits.ok_or(ENODEV)
    }

    /// Fills a part of `buffer` with the next numbers of the stream, as little-endian bytes. The length
    /// must be a multiple of 4. Fails with `EIO` if the host ran out of entropy; numbers already written
    /// are lost.
    pub(crate) fn fill_memory(&self, buffer: &Buffer, part: Range<usize>) -> Result {
        let length = part.len();
        let filled = self.fill_some(buffer, part)?;
        (filled == length).then_some(()).ok_or(EIO)
    }

    /// Like [`Self::fill_memory`], but returns how many bytes were filled before the host ran out of
    /// entropy.
    fn fill_some(&self, buffer: &Buffer, part: Range<usize>) -> Result<usize> {
        let length = part.len();
        let table = buffer.table(part, self.limits()?.max_segment)?;
        self.fill_table(length, table)
    }

    /// Lets the device fill the `length` bytes of `table`; see [`Self::transfer`].
    fn fill_table(&self, length: usize, mut table: Table<'_>) -> Result<usize> {
        self.transfer(length, |link| {
            link.with(|hardware| {
                table.with_device(hardware.registers.device(), |segments| {
                    bulk::fill(link, segments)
                })
            })
        })
    }

    /// Calls `f` for a transfer of `length` bytes, and counts the numbers. `f` returns how many bytes the
    /// device has filled: all, unless the host ran out of entropy. Returns the same. On error nothing was
    /// filled.
    #[inline]
    fn transfer(&self, length: usize, f: impl FnOnce(&Link) -> Result<usize>) -> Result<usize> {
        // Writes to a missing device are lost silently.
        let filled = f(&self.hardware).or_else(|error| self.check().and(Err(error)))?;
        let numbers = filled.min(length) / abi::REG_SIZE;
        self.counters.words.add(numbers);
        Ok(numbers * abi::REG_SIZE)
    }

    /// Lets the device write directly to the caller's memory at the position of `to`. Fails with `EFAULT`,
    /// leaving `to` unchanged, if fewer than [`DIRECT_FROM`] bytes can be pinned there.
    pub(crate) fn read_direct(&self, to: &mut IovIterDest<'_>) -> Result<Piece> {
        let limits = self.limits()?;
        let unit = limits.alignment.max(abi::REG_SIZE);
        // May sleep to fault in pages.
        let pinned = Pinned::take(to, DIRECT_FROM, abi::BULK_MAX_BYTES, unit).ok_or(EFAULT)?;
        let length = pinned.length();
        let filled = self.fill_table(length, pinned.table(limits.max_segment)?)?;
        to.advance(filled);
        Ok(Piece::new(filled, filled, length))
    }

    /// Reads up to [`READ_SIZE`] bytes of whole numbers through a kernel buffer and copies them to `to`.
    /// Takes the buffer from `spare` if it is large enough, and leaves it there, wiped. Numbers that cannot
    /// be stored are lost.
    pub(crate) fn read_buffered(
        &self,
        to: &mut IovIterDest<'_>,
        spare: &SpinLock<Option<Buffer>>,
    ) -> Result<Piece> {
        self.check_bulk()?;
        let length = to.len().min(READ_SIZE) / abi::REG_SIZE * abi::REG_SIZE;
        let kept = spare.lock().take();
        let mut buffer = match kept.filter(|kept| kept.size() >= length) {
            Some(kept) => kept,
            None => Buffer::new(length.next_multiple_of(PAGE_SIZE))?,
        };
        let piece = self
            .fill_some(&buffer, 0..length)
            .map(|filled| Piece::new(buffer.copy_to(filled, to), filled, length));
        buffer.wipe(length);
        // Another reader of the same file may have left a buffer. Freeing it can sleep, so drop it without
        // the lock.
        let surplus = spare.lock().replace(buffer);
        drop(surplus);
        piece
    }

    /// Reads up to [`Block::SIZE`] bytes, by a transfer or from the register. Numbers that cannot be stored are
    /// lost, and so is the rest of the last one.
    #[inline]
    pub(crate) fn read_block(&self, to: &mut IovIterDest<'_>, by_transfer: bool) -> Result<Piece> {
        let length = to.len().min(Block::SIZE);
        let count = length.div_ceil(abi::REG_SIZE);
        let mut block = Block::new();
        let filled = if by_transfer {
            self.transfer(count * abi::REG_SIZE, |link| {
                bulk::fill_block(link, &mut block, count * abi::REG_SIZE)
            })?
        } else {
            self.take(count, |number| block.push(number))?;
            length
        };
        let filled = filled.min(length);
        Ok(Piece::new(block.copy_to(filled, to), filled, length))
    }

    /// Restarts the stream from `seed`. Does nothing if the generator takes no seed.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        if self.identity.generator() == Generator::Host {
            // The device would log a guest error.
            return self.check();
        }
        self.hardware.write::<{ abi::REG_SEED }>(seed)?;
        // Writes to a missing device are lost silently.
        self.check()?;
        self.counters.seeds.add(1);
        Ok(())
    }

    /// Fails with `ENODEV` if the device was unbound, or removed without notice (surprise removal).
    fn check(&self) -> Result {
        let is_present = match self.identity.info() {
            // An empty bus never returns a valid INFO, and reading it is cheaper than the configuration
            // space.
            Some(info) => self.hardware.read::<{ abi::REG_INFO }>()? == info,
            None => self
                .hardware
                .with(|hardware| Ok(hardware.registers.are_present()))?,
        };
        is_present.then_some(()).ok_or(ENODEV)
    }
}
