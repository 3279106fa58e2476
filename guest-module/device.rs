// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device: its registers, and what can be done with them.

use crate::{
    abi,
    bulk::{Engine, DIRECT_FROM, READ_SIZE},
    gaps::{Buffer, DmaMasks, Pinned, Registers, RevocableRegisters, Table},
    identity::{self, Generator, Identity},
};
use core::{mem::size_of, ops::Range};
use kernel::{
    device::Core,
    io::{register::Register, Io},
    iov::IovIterDest,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    str::CString,
    sync::{
        atomic::{Atomic, Relaxed},
        SpinLock,
    },
};

mod regs {
    use kernel::io::register;

    register! {
        pub(super) RNG(u32) @ 0x0 {
            31:0 number;
        }

        pub(super) SEED(u32) @ 0x4 {
            31:0 seed;
        }

        pub(super) INFO(u32) @ 0x8 {
            31:0 value;
        }

        pub(super) DOORBELL(u32) @ 0xc {
            31:0 page;
        }

        pub(super) FAILURES(u32) @ 0x10 {
            31:0 count;
        }
    }
}

// `register!` takes literals only, so the contract is held against them here.
const _: () = {
    assert!(regs::RNG::OFFSET == abi::REG_RNG);
    assert!(regs::SEED::OFFSET == abi::REG_SEED);
    assert!(regs::INFO::OFFSET == abi::REG_INFO);
    assert!(regs::DOORBELL::OFFSET == abi::REG_DOORBELL);
    assert!(regs::FAILURES::OFFSET == abi::REG_FAILURES);
    assert!(size_of::<<regs::RNG as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::SEED as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::INFO as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::DOORBELL as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::FAILURES as Register>::Storage>() == abi::REG_SIZE);
};

/// A device, shared between its node, the files that are open on it, and whatever else reads from it.
///
/// It can outlive the binding of the driver to the PCI device, by way of the open files: from then
/// on the registers are gone, and each use of them fails with `ENODEV`.
///
/// There is no lock: each number, or each transfer of many, is one access to one register, and the
/// device answers those one after the other. So no number is ever given twice or in pieces, however
/// many callers read at a time.
pub(crate) struct Device {
    registers: RevocableRegisters,
    address: CString,
    identity: Identity,
    counters: Counters,
    is_offered: Atomic<bool>,
    engine: Option<Pin<KBox<Engine>>>,
}

/// The result of one piece of a read.
pub(crate) struct Piece {
    /// How many bytes were stored.
    pub(crate) stored: usize,
    /// Why the read has to end with them, if it has to.
    pub(crate) end: Option<Error>,
}

impl Piece {
    /// Nothing was stored, for this reason.
    pub(crate) fn failed(error: Error) -> Self {
        Self {
            stored: 0,
            end: Some(error),
        }
    }
}

/// What the driver has asked of a device since it was bound to it.
pub(crate) struct Counters {
    words: Atomic<u64>,
    seeds: Atomic<u64>,
}

impl Counters {
    /// How many numbers were taken.
    pub(crate) fn words(&self) -> u64 {
        self.words.load(Relaxed)
    }

    /// How often the device was seeded.
    pub(crate) fn seeds(&self) -> u64 {
        self.seeds.load(Relaxed)
    }
}

impl Device {
    /// Takes over an enabled device that the driver is being bound to. Without DMA masks there are no
    /// bulk transfers.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>, masks: Result<DmaMasks>) -> Result<Self> {
        let registers = Registers::new(pdev)?;
        if !registers.are_present() {
            dev_err!(
                pdev,
                "the device does not answer: reset or replug it, then bind it again\n"
            );
            return Err(ENODEV);
        }
        let info = || registers.read(regs::INFO).into();
        let identity = Identity::new(info(), info());
        if identity.is_classic() {
            dev_info!(
                pdev,
                "a classic device, without the register INFO: it gives numbers and takes seeds, and no more\n"
            );
        }
        let engine = if identity.has_bulk() {
            // Single numbers can be had without it.
            masks
                .and_then(|masks| Engine::new(pdev, masks))
                .inspect_err(|error| dev_warn!(pdev, "no bulk transfers: {error:?}\n"))
                .ok()
        } else {
            None
        };
        Ok(Self {
            registers: registers.into_revocable()?,
            address: CString::try_from(pdev.as_ref().name())?,
            identity,
            counters: Counters {
                words: Atomic::new(0),
                seeds: Atomic::new(0),
            },
            is_offered: Atomic::new(false),
            engine,
        })
    }

    /// Ends all transfers, for good: the device is being unbound.
    pub(crate) fn stop(&self, pdev: &pci::Device<Core<'_>>) {
        if let Some(engine) = &self.engine {
            engine.stop(pdev);
        }
    }

    /// The device's place on the bus, as `lspci -D` gives it.
    pub(crate) fn address(&self) -> &CStr {
        &self.address
    }

    /// What the device said of itself.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the device is registered with hw_random.
    pub(crate) fn is_offered(&self) -> bool {
        self.is_offered.load(Relaxed)
    }

    /// Says that the device is registered with hw_random.
    pub(crate) fn set_offered(&self) {
        self.is_offered.store(true, Relaxed);
    }

    /// Takes the next number of the stream.
    pub(crate) fn rand(&self) -> Result<u32> {
        let mut word = [0; abi::REG_SIZE];
        self.fill(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Fills `buffer` with the next numbers of the stream, in little-endian bytes. If its length is not a
    /// multiple of theirs, the rest of the last number is lost. Fails with `EIO` if the host had no entropy
    /// for one of them.
    ///
    /// Keep the buffer small: meanwhile nothing may sleep, and others may be kept off this processor.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result {
        // What `try_access` returns is an RCU read-side critical section: nothing that could sleep
        // may happen in its life, which ends with this function.
        let registers = self.registers.try_access().ok_or(ENODEV)?;
        // A read that fails gives 0, which is a number like any other. If the count stays the same, none
        // has failed.
        let failures = || {
            self.identity
                .can_fail()
                .then(|| u32::from(registers.read(regs::FAILURES)))
        };
        let before = failures();
        let mut suspicious = false;
        let mut words = 0;
        for bytes in buffer.chunks_mut(abi::REG_SIZE) {
            let word: u32 = registers.read(regs::RNG).into();
            suspicious |= identity::is_suspicious(word);
            words += 1;
            bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        }
        let failed = failures() != before;
        if suspicious || failed {
            self.check(&registers)?;
        }
        if failed {
            return Err(EIO);
        }
        self.counters.words.fetch_add(words, Relaxed);
        Ok(())
    }

    fn engine(&self) -> Result<&Engine> {
        self.engine.as_deref().ok_or(ENODEV)
    }

    /// Fails if the device has no engine, or is gone.
    pub(crate) fn check_bulk(&self) -> Result {
        self.engine()?.check()
    }

    /// Fills a part of `buffer`, in whole numbers, with the next numbers of the stream, in little-endian
    /// bytes. Fails with `EIO` if the host ran out of entropy: the part then has some numbers, which are
    /// lost.
    pub(crate) fn fill_memory(&self, buffer: &Buffer, part: Range<usize>) -> Result {
        let length = part.len();
        let filled = self.fill_some(buffer, part)?;
        (filled == length).then_some(()).ok_or(EIO)
    }

    /// As [`Self::fill_memory`], but returns how many bytes were filled before the host ran out of entropy.
    fn fill_some(&self, buffer: &Buffer, part: Range<usize>) -> Result<usize> {
        let limits = self.engine()?.limits();
        let length = part.len();
        self.transfer(length, buffer.table(part, limits.max_segment)?)
    }

    /// Has the device fill `length` bytes of memory. Returns how many it has filled: all, unless the host
    /// ran out of entropy. Fails if the transfer was not carried out, with nothing filled; with
    /// `ERESTARTSYS` if a signal came before it was its turn.
    fn transfer(&self, length: usize, mut table: Table<'_>) -> Result<usize> {
        let result = self.engine()?.with_descriptor(|descriptor| {
            // An RCU read-side critical section, as in `fill`.
            let registers = self.registers.try_access().ok_or(ENODEV)?;
            let (status, done) = table.with_device(registers.device(), |segments| {
                descriptor.carry_out(
                    segments,
                    |page| registers.write_reg(regs::DOORBELL::from(page)),
                    || {
                        let _ = registers.read(regs::INFO);
                    },
                )
            })?;
            match status {
                abi::BULK_FILLED => Ok(length),
                abi::BULK_NO_ENTROPY => Ok(done.min(length) / abi::REG_SIZE * abi::REG_SIZE),
                // A write to a device that is gone is lost without a word.
                0 => self.check(&registers).and(Err(EIO)),
                _ => Err(EIO),
            }
        })?;
        if let Ok(filled) = result {
            let numbers = filled / abi::REG_SIZE;
            self.counters.words.fetch_add(numbers as u64, Relaxed);
        }
        result
    }

    /// Has the device fill the caller's memory itself, from where `to` stands, if that is [`DIRECT_FROM`]
    /// bytes or more. Returns `None`, leaving `to` unchanged, if that cannot be done.
    pub(crate) fn read_direct(&self, to: &mut IovIterDest<'_>) -> Result<Option<Piece>> {
        let limits = self.engine()?.limits();
        let unit = limits.alignment.max(abi::REG_SIZE);
        // This may wait for pages that have to be made first.
        let Some(pinned) = Pinned::take(to, DIRECT_FROM, abi::BULK_MAX_BYTES, unit) else {
            return Ok(None);
        };
        let length = pinned.length();
        let filled = self.transfer(length, pinned.table(limits.max_segment)?)?;
        to.advance(filled);
        Ok(Some(Piece {
            stored: filled,
            end: (filled < length).then_some(EIO),
        }))
    }

    /// Takes at most [`READ_SIZE`] bytes of whole numbers to where `to` stands, by way of memory of the
    /// kernel's: what `spare` has, and it gets what is left. Numbers that cannot be stored are lost.
    pub(crate) fn read_bulk(
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
        let piece = self.fill_some(&buffer, 0..length).map(|filled| {
            let stored = buffer.copy_to(filled, to);
            let end = if stored < filled {
                Some(EFAULT)
            } else {
                (filled < length).then_some(EIO)
            };
            Piece { stored, end }
        });
        buffer.wipe(length);
        // Another reader of the same file may have left one meanwhile.
        let surplus = spare.lock().replace(buffer);
        drop(surplus);
        piece
    }

    /// Restarts the stream from `seed`, if the generator has one.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        // As in `fill`.
        let registers = self.registers.try_access().ok_or(ENODEV)?;
        if self.identity.generator() == Generator::Host {
            // To the device that would be an error.
            return self.check(&registers);
        }
        registers.write_reg(regs::SEED::from(seed));
        // A write to a device that is gone is lost without a word.
        self.check(&registers)?;
        self.counters.seeds.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Fails if the device has been pulled out, which no driver is told of.
    fn check(&self, registers: &Registers<'_>) -> Result {
        let is_present = match self.identity.info() {
            // No value of INFO comes from an empty bus. To read it is cheaper than the configuration space.
            Some(info) => u32::from(registers.read(regs::INFO)) == info,
            None => registers.are_present(),
        };
        is_present.then_some(()).ok_or(ENODEV)
    }
}
