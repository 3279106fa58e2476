// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device: its registers and the operations on them.

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

// `register!` takes only literals, so compare them with the shared constants.
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

/// A device, shared by its node, the open files and hw_random.
///
/// Open files can keep it alive after unbind. Then the registers are revoked, and every use fails with
/// `ENODEV`.
///
/// It needs no lock: a number, or a bulk transfer, is one access to one register, and the device handles
/// accesses one after the other. So concurrent callers never get the same number or parts of one.
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
    /// If set, the read ends after this piece, for this reason.
    pub(crate) end: Option<Error>,
}

impl Piece {
    /// A piece that failed with nothing stored.
    pub(crate) fn failed(error: Error) -> Self {
        Self {
            stored: 0,
            end: Some(error),
        }
    }
}

/// Numbers taken and seeds written since the driver was bound to the device.
pub(crate) struct Counters {
    words: Atomic<u64>,
    seeds: Atomic<u64>,
}

impl Counters {
    pub(crate) fn words(&self) -> u64 {
        self.words.load(Relaxed)
    }

    pub(crate) fn seeds(&self) -> u64 {
        self.seeds.load(Relaxed)
    }
}

impl Device {
    /// Creates it for an enabled device that is being probed. If `masks` is an error, there are no bulk
    /// transfers.
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
                "a classic device, without the register INFO: only single numbers and seeds\n"
            );
        }
        let engine = if identity.has_bulk() {
            // The registers work without it.
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

    /// Stops the bulk engine before unbind.
    pub(crate) fn stop(&self, pdev: &pci::Device<Core<'_>>) {
        if let Some(engine) = &self.engine {
            engine.stop(pdev);
        }
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

    pub(crate) fn rand(&self) -> Result<u32> {
        let mut word = [0; abi::REG_SIZE];
        self.fill(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Fills `buffer` from the registers with the next numbers of the stream, as little-endian bytes. If
    /// its length is not a multiple of 4, the rest of the last number is lost. Fails with `EIO` if the host
    /// had no entropy for one of the numbers.
    ///
    /// Keep the buffer small: this runs in an RCU read-side critical section and may keep other tasks off
    /// this processor.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result {
        // The guard of `try_access` holds an RCU read lock: do not sleep until the function returns.
        let registers = self.registers.try_access().ok_or(ENODEV)?;
        // A failed read returns 0, which can also be a number. Only a changed count shows a failure.
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

    /// Fails with `ENODEV` if the device has no engine or was unbound.
    pub(crate) fn check_bulk(&self) -> Result {
        self.engine()?.check()
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
        let limits = self.engine()?.limits();
        let length = part.len();
        self.transfer(length, buffer.table(part, limits.max_segment)?)
    }

    /// Lets the device fill the `length` bytes of `table`. Returns how many bytes it has filled: all,
    /// unless the host ran out of entropy. On error nothing was filled. Waits for a descriptor, and fails
    /// with `ERESTARTSYS` if a signal arrives during the wait.
    fn transfer(&self, length: usize, mut table: Table<'_>) -> Result<usize> {
        let result = self.engine()?.with_descriptor(|descriptor| {
            // RCU read lock, as in `fill`: do not sleep.
            let registers = self.registers.try_access().ok_or(ENODEV)?;
            let (status, done) = table.with_device(registers.device(), |segments| {
                descriptor.execute(
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
                // Writes to a missing device are lost silently.
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

    /// Lets the device write directly to the caller's memory at the position of `to`. Returns `None`,
    /// leaving `to` unchanged, if fewer than [`DIRECT_FROM`] bytes can be pinned there.
    pub(crate) fn read_direct(&self, to: &mut IovIterDest<'_>) -> Result<Option<Piece>> {
        let limits = self.engine()?.limits();
        let unit = limits.alignment.max(abi::REG_SIZE);
        // May sleep to fault in pages.
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

    /// Reads up to [`READ_SIZE`] bytes of whole numbers through a kernel buffer and copies them to `to`.
    /// Takes the buffer from `spare` if it is large enough, and leaves it there, wiped. Numbers that cannot
    /// be stored are lost.
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
        // Another reader of the same file may have left a buffer. Freeing it can sleep, so drop it without
        // the lock.
        let surplus = spare.lock().replace(buffer);
        drop(surplus);
        piece
    }

    /// Restarts the stream from `seed`. Does nothing if the generator takes no seed.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        // RCU read lock, as in `fill`.
        let registers = self.registers.try_access().ok_or(ENODEV)?;
        if self.identity.generator() == Generator::Host {
            // The device would log a guest error.
            return self.check(&registers);
        }
        registers.write_reg(regs::SEED::from(seed));
        // Writes to a missing device are lost silently.
        self.check(&registers)?;
        self.counters.seeds.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Fails with `ENODEV` if the device was removed without notice (surprise removal).
    fn check(&self, registers: &Registers<'_>) -> Result {
        let is_present = match self.identity.info() {
            // An empty bus never returns a valid INFO, and reading it is cheaper than the configuration
            // space.
            Some(info) => u32::from(registers.read(regs::INFO)) == info,
            None => registers.are_present(),
        };
        is_present.then_some(()).ok_or(ENODEV)
    }
}
