// SPDX-License-Identifier: GPL-2.0-or-later

//! One `my_rng` device: its registers, and what can be done with them.

use crate::{
    abi,
    bulk::{self, Engine, DIRECT_FROM, READ_SIZE},
    gaps::{Buffer, Pinned, Table},
    identity::{self, Generator, Identity},
};
use core::{mem::size_of, ops::Range};
use kernel::{
    device::Core,
    io::{register::Register, Io},
    iov::IovIterDest,
    pci,
    prelude::*,
    revocable::{Revocable, RevocableGuard},
    str::CString,
    sync::atomic::{Atomic, Relaxed},
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
    }
}

// `register!` takes literals only, so the contract is held against them here.
const _: () = {
    assert!(regs::RNG::OFFSET == abi::REG_RNG);
    assert!(regs::SEED::OFFSET == abi::REG_SEED);
    assert!(regs::INFO::OFFSET == abi::REG_INFO);
    assert!(regs::DOORBELL::OFFSET == abi::REG_DOORBELL);
    assert!(size_of::<<regs::RNG as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::SEED as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::INFO as Register>::Storage>() == abi::REG_SIZE);
    assert!(size_of::<<regs::DOORBELL as Register>::Storage>() == abi::REG_SIZE);
};

/// The device's registers, mapped.
pub(crate) type Bar<'a> = pci::Bar<'a, { abi::BAR_SIZE }>;

/// A device, shared between its node, the files that are open on it, and whatever else reads from it.
///
/// It can outlive the binding of the driver to the PCI device, by way of the open files: from then
/// on the registers are gone, and whoever asks for them gets `ENODEV`.
///
/// There is no lock: each number, or each transfer of many, is one access to one register, and the
/// device answers those one after the other. So no number is ever given twice or in pieces, whoever
/// else is reading.
pub(crate) struct Device {
    bar: pci::DevresBar<{ abi::BAR_SIZE }>,
    address: CString,
    identity: Identity,
    counters: Counters,
    /// Revoked when the device is unbound; none where it has none.
    engine: Option<Pin<KBox<Revocable<Engine>>>>,
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
    /// Takes over a device that the driver is being bound to, and its registers.
    pub(crate) fn new(pdev: &pci::Device<Core<'_>>, bar: Bar<'_>) -> Result<Self> {
        // One from before `INFO` gives 0 here, as it does for whatever it has no register for.
        let identity = Identity::new(bar.read(regs::INFO).into())?;
        let engine = if identity.has_bulk() {
            // Single numbers can be had without it.
            Engine::new(pdev)
                .and_then(|engine| KBox::pin_init(Revocable::new(engine), GFP_KERNEL))
                .inspect_err(|error| dev_warn!(pdev, "no bulk transfers: {error:?}\n"))
                .ok()
        } else {
            None
        };
        Ok(Self {
            bar: bar.into_devres()?,
            address: CString::try_from(pdev.as_ref().name())?,
            identity,
            counters: Counters {
                words: Atomic::new(0),
                seeds: Atomic::new(0),
            },
            engine,
        })
    }

    /// Ends all transfers, for good: the device is being unbound.
    pub(crate) fn stop(&self) {
        if let Some(engine) = &self.engine {
            engine.revoke();
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

    /// Takes the next number of the stream.
    pub(crate) fn rand(&self) -> Result<u32> {
        // As in `fill`, which does the same for many.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        let word = bar.read(regs::RNG).into();
        if identity::may_be_nobodys(word) {
            self.check(&bar)?;
        }
        self.counters.words.fetch_add(1, Relaxed);
        Ok(word)
    }

    /// Fills `buffer` with the next numbers of the stream, in little-endian bytes. If its length is
    /// not a multiple of theirs, the rest of the last number is lost.
    ///
    /// Keep the buffer small: meanwhile nothing may sleep, and others may be kept off this processor.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result {
        // What `try_access` returns is an RCU read-side critical section: nothing that could sleep
        // may happen in its life, which ends with this function.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        let mut suspicious = false;
        let mut words = 0;
        for bytes in buffer.chunks_mut(abi::REG_SIZE) {
            let word: u32 = bar.read(regs::RNG).into();
            suspicious |= identity::may_be_nobodys(word);
            words += 1;
            bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        }
        if suspicious {
            self.check(&bar)?;
        }
        self.counters.words.fetch_add(words, Relaxed);
        Ok(())
    }

    /// The engine, while there is one. Nothing may sleep as long as the result lives: who unbinds the
    /// device waits for its end.
    fn engine(&self) -> Result<RevocableGuard<'_, Engine>> {
        let engine = self.engine.as_ref().ok_or(ENODEV)?;
        engine.try_access().ok_or(ENODEV)
    }

    /// Fails if the device has no engine, or is gone.
    pub(crate) fn check_bulk(&self) -> Result {
        self.engine().map(drop)
    }

    /// Has a part of `buffer`, in whole numbers, filled with the next numbers of the stream, in
    /// little-endian bytes.
    pub(crate) fn fill_memory(&self, buffer: &Buffer, part: Range<usize>) -> Result {
        let most = self.engine()?.max_segment();
        let length = part.len();
        self.transfer(length, buffer.table(part, most)?)
    }

    /// Has `length` bytes of memory filled.
    fn transfer(&self, length: usize, mut table: Table<'_>) -> Result {
        let (engine, descriptor) = loop {
            let engine = self.engine()?;
            if let Some(descriptor) = engine.take_descriptor() {
                break (engine, descriptor);
            }
            let device = engine.device().clone();
            drop(engine);
            bulk::add_descriptor(&device, || self.engine())?;
        };
        // Both guards are of RCU: nothing may sleep until they go, and who unbinds the device waits.
        let result = match self.bar.try_access() {
            Some(bar) => table
                .with_device(engine.device(), |segments| {
                    descriptor.carry_out(
                        segments,
                        |page| bar.write_reg(regs::DOORBELL::from(page)),
                        || {
                            let _ = bar.read(regs::INFO);
                        },
                    )
                })
                .and_then(|status| match status {
                    abi::BULK_FILLED => Ok(()),
                    // A write to a device that is gone is lost without a word.
                    0 => self.check(&bar).and(Err(EIO)),
                    _ => Err(EIO),
                }),
            None => Err(ENODEV),
        };
        engine.keep_descriptor(descriptor);
        drop(engine);
        if result.is_ok() {
            let numbers = length / abi::REG_SIZE;
            self.counters.words.fetch_add(numbers as u64, Relaxed);
        }
        result
    }

    /// Has the next memory of the caller's filled that `to` leads to, itself, if it is [`DIRECT_FROM`]
    /// bytes or more: how many. None if it cannot be; `to` is as it was then.
    pub(crate) fn read_direct(&self, to: &mut IovIterDest<'_>) -> Option<usize> {
        let most = self.engine().ok()?.max_segment();
        // This may wait for pages that have to be made first.
        let pinned = Pinned::take(to, DIRECT_FROM, abi::BULK_MAX_BYTES, abi::REG_SIZE)?;
        let length = pinned.length();
        let filled = pinned
            .table(most)
            .and_then(|table| self.transfer(length, table));
        match filled {
            Ok(()) => Some(length),
            Err(_) => {
                pinned.give_back(to);
                None
            }
        }
    }

    /// Takes numbers of the stream to where `to` says, by way of memory of ours, and at most
    /// [`READ_SIZE`] bytes of whole numbers. Returns how many bytes were taken, and how many of them
    /// could be stored; the rest is lost.
    pub(crate) fn read_bulk(&self, to: &mut IovIterDest<'_>) -> Result<(usize, usize)> {
        let length = to.len().min(READ_SIZE) / abi::REG_SIZE * abi::REG_SIZE;
        let spare = self.engine()?.take_buffer();
        let buffer = match spare {
            Some(buffer) => buffer,
            None => Buffer::new(READ_SIZE, GFP_KERNEL)?,
        };
        let filled = self.fill_memory(&buffer, 0..length);
        let copied = filled.map(|()| buffer.copy_to(length, to));
        let rest = match self.engine() {
            Ok(engine) => engine.keep_buffer(buffer),
            Err(_) => Some(buffer),
        };
        drop(rest);
        copied.map(|copied| (length, copied))
    }

    /// Restarts the stream from `seed`, if the generator has one.
    pub(crate) fn seed(&self, seed: u32) -> Result {
        // As in `fill`.
        let bar = self.bar.try_access().ok_or(ENODEV)?;
        if self.identity.generator() == Generator::Host {
            // To the device that would be an error.
            return self.check(&bar);
        }
        bar.write_reg(regs::SEED::from(seed));
        // A write to a device that is gone is lost without a word.
        self.check(&bar)?;
        self.counters.seeds.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Fails if the device has been pulled out, which no driver is asked about.
    fn check(&self, bar: &Bar<'_>) -> Result {
        if self.identity.is_confirmed_by(bar.read(regs::INFO).into()) {
            Ok(())
        } else {
            Err(ENODEV)
        }
    }
}
