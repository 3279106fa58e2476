// SPDX-License-Identifier: GPL-2.0-or-later

//! `rust_edu`: QEMU's educational device `edu`, written again. Its specification is `docs/specs/edu.rst` in
//! QEMU's tree.
//!
//! Programs that were written for `edu` run on it. Beyond `edu`:
//!
//! - It migrates, also during a factorial and during a DMA, and it has a reset.
//! - A factorial takes 100 µs of the virtual clock, and a DMA 100 ms as with `edu`: both are repeatable under
//!   `-icount`.
//! - A DMA that does not fit into the buffer, or that reaches no memory, copies nothing that it should not. It ends
//!   as others do, with its interrupt if the guest asked for one, and is logged as a guest error.
//! - Accesses that do nothing are logged as guest errors.

#[cfg(test)]
mod tests;

use qemu_pci::prelude::*;
use qemu_pci::{Interrupts, Rules};

qemu_pci::registers! {
    /// The registers of BAR 0.
    pub enum Register {
        /// What the device is, and its version.
        IDENTIFICATION: ReadOnly = 0x00,
        /// Gives what was written, inverted.
        LIVENESS: ReadWrite = 0x04,
        /// Takes n, and gives n! when it is computed.
        FACTORIAL: ReadWrite = 0x08,
        /// A [`Status`].
        STATUS: ReadWrite = 0x20,
        /// Why interrupts were raised, as bits.
        INTERRUPT_STATUS: ReadOnly = 0x24,
        /// Sets these bits, and raises an interrupt.
        INTERRUPT_RAISE: WriteOnly = 0x60,
        /// Clears these bits.
        INTERRUPT_ACKNOWLEDGE: WriteOnly = 0x64,
        /// Where a DMA reads: a bus address, or a place in the buffer.
        DMA_SOURCE[8]: ReadWrite = 0x80,
        /// Where a DMA writes.
        DMA_DESTINATION[8]: ReadWrite = 0x88,
        /// How many bytes.
        DMA_COUNT[8]: ReadWrite = 0x90,
        /// A [`Command`].
        DMA_COMMAND[8]: ReadWrite = 0x98,
    }
}

qemu_pci::bits! {
    /// The register STATUS.
    pub struct Status: u32 {
        /// A factorial is being computed. Read-only.
        COMPUTING = 0x01,
        /// Raise [`COMPUTED`] after it.
        INTERRUPT = 0x80,
    }
}

qemu_pci::bits! {
    /// The register DMA_COMMAND.
    pub struct Command: u64 {
        /// Start. Reads as 1 until the DMA is over.
        START = 0x1,
        /// From the buffer to memory; without it the other way.
        TO_MEMORY = 0x2,
        /// Raise [`DMA_DONE`] after it.
        INTERRUPT = 0x4,
    }
}

/// The device, version 1.0.
const IDENTIFICATION: u32 = 0x0100_00ed;
/// A refused read gives all ones.
const RULES: Rules = Rules::sizes(4 | 8).refused(u64::MAX);
/// Bits of INTERRUPT_STATUS.
const COMPUTED: u32 = 0x1;
const DMA_DONE: u32 = 0x100;
/// The buffer, as the DMA registers name it. The guest has no other access to it.
const BUFFER: u64 = 0x4_0000;
const BUFFER_SIZE: usize = 4096;

/// The timers, and how long they take in nanoseconds.
const FACTORIAL_TIMER: usize = 0;
const FACTORIAL_TIME: u64 = 100_000;
const DMA_TIMER: usize = 1;
const DMA_TIME: u64 = 100_000_000;

qemu_pci::properties! {
    /// What the user sets.
    pub struct Properties {
        /// The address bits that DMA reaches
        "dma_mask" dma_mask: u64 = (1 << 28) - 1,
    }
}

qemu_pci::state! {
    /// The device. All of it travels.
    #[derive(Debug, PartialEq, Eq)]
    pub struct RustEdu {
        dma_mask: u64,
        liveness: u32,
        factorial: u32,
        status: Status,
        interrupts: u32,
        source: u64,
        destination: u64,
        count: u64,
        command: Command,
        buffer: [u8; BUFFER_SIZE] = [0; BUFFER_SIZE],
    }
}

qemu_pci::trace_events! {
    /// What can be traced.
    pub enum Event {
        /// A DMA is over.
        dma(address: u64, count: u64, to_memory: bool, done: bool) = "address 0x%x count %u to memory %d done %d";
    }
}

type Checked<T> = Result<T, GuestError<&'static str>>;

qemu_pci::device! {
    rust_edu: RustEdu {
        properties: Properties,
        state: Self,
        events: Event,
        errors: &'static str,
    }
}

impl RustEdu {
    /// Sets bits of INTERRUPT_STATUS, if the guest wants that. Like `edu`, sends an interrupt even if they were set.
    fn raise(&mut self, host: &mut impl Host<Self>, bits: u32, wanted: bool) {
        self.interrupts |= if wanted { bits } else { 0 };
        if wanted && self.interrupts != 0 {
            host.interrupt(0);
        }
    }

    /// Copies between buffer and memory. Like `edu`, cuts addresses that are above the mask.
    fn transfer(&mut self, host: &mut impl Host<Self>) -> Checked<()> {
        let (to_memory, count) = (self.command.contains(Command::TO_MEMORY), self.count);
        let (at, address) = match to_memory {
            true => (self.source, self.destination),
            false => (self.destination, self.source),
        };
        let bytes = at
            .checked_sub(BUFFER)
            .and_then(|start| self.buffer.get_mut(usize::try_from(start).ok()?..))
            .and_then(|rest| rest.get_mut(..usize::try_from(count).ok()?))
            .ok_or("the DMA is not within the buffer")?;
        let masked = address & self.dma_mask;
        let done = match to_memory {
            true => host.write(masked, bytes),
            false => host.read(masked, bytes),
        };
        host.trace(Event::dma(masked, count, to_memory, done));
        match done {
            false => Err("there is no memory at the address of the DMA".into()),
            true if masked != address => Err("the address of the DMA was cut to dma_mask".into()),
            true => Ok(()),
        }
    }
}

impl PciDevice for RustEdu {
    const DESCRIPTION: &'static CStr = c"Educational device in Rust, like edu";
    const IDENTITY: Identity = Identity {
        revision: 0x10,
        ..Identity::new(0x1234, 0x11e8)
    };
    const BARS: &'static [Bar] = &[Bar::memory(0, 1 << 20).with(RULES)];
    const INTERRUPTS: Interrupts = Interrupts::PIN.with_msi(1);
    const TIMERS: usize = 2;
    const LONGEST_DELAY: u64 = DMA_TIME;

    fn new(Properties { dma_mask }: Properties) -> Result<Self, String> {
        Ok(Self {
            dma_mask,
            ..Self::default()
        })
    }

    fn reset(&mut self) {
        *self = Self {
            dma_mask: self.dma_mask,
            ..Self::default()
        };
    }

    fn read(&mut self, _host: &mut impl Host<Self>, access: Access) -> Checked<u64> {
        Ok(match Register::read(access)? {
            Register::IDENTIFICATION => IDENTIFICATION.into(),
            Register::LIVENESS => self.liveness.into(),
            Register::FACTORIAL => self.factorial.into(),
            Register::STATUS => self.status.bits().into(),
            Register::INTERRUPT_STATUS => self.interrupts.into(),
            Register::DMA_SOURCE => self.source,
            Register::DMA_DESTINATION => self.destination,
            Register::DMA_COUNT => self.count,
            Register::DMA_COMMAND => self.command.bits(),
            // They are write-only, so they do not come here.
            Register::INTERRUPT_RAISE | Register::INTERRUPT_ACKNOWLEDGE => 0,
        })
    }

    fn write(&mut self, host: &mut impl Host<Self>, access: Access, value: u64) -> Checked<()> {
        let register = Register::write(access)?;
        let busy = Err(GuestError::Busy(register.name()));
        let word = value as u32;
        match register {
            Register::FACTORIAL if self.status.contains(Status::COMPUTING) => return busy,
            _ if register.size() == 8 && self.command.contains(Command::START) => return busy,
            Register::LIVENESS => self.liveness = !word,
            Register::FACTORIAL => {
                self.factorial = word;
                self.status.insert(Status::COMPUTING);
                host.start_timer(FACTORIAL_TIMER, FACTORIAL_TIME);
            }
            Register::STATUS => {
                let given = Status::from_bits_truncate(word) & Status::INTERRUPT;
                self.status = self.status & Status::COMPUTING | given;
            }
            Register::INTERRUPT_RAISE => self.raise(host, word, true),
            Register::INTERRUPT_ACKNOWLEDGE => {
                self.interrupts &= !word;
                if self.interrupts == 0 {
                    host.lower();
                }
            }
            Register::DMA_SOURCE => self.source = value,
            Register::DMA_DESTINATION => self.destination = value,
            Register::DMA_COUNT => self.count = value,
            // Without START it does nothing.
            Register::DMA_COMMAND if value & Command::START.bits() == 0 => {}
            Register::DMA_COMMAND => {
                self.command = Command::from_bits_truncate(value);
                host.start_timer(DMA_TIMER, DMA_TIME);
            }
            // They are read-only, so they do not come here.
            Register::IDENTIFICATION | Register::INTERRUPT_STATUS => {}
        }
        Ok(())
    }

    fn timer(&mut self, host: &mut impl Host<Self>, timer: usize) -> Checked<()> {
        if timer == FACTORIAL_TIMER {
            // 32 bits are kept of n!. From 34! on they are all 0: it can be divided by 2 to the power of 32.
            self.factorial = (1..=self.factorial.min(34)).fold(1, u32::wrapping_mul);
            self.status.remove(Status::COMPUTING);
            self.raise(host, COMPUTED, self.status.contains(Status::INTERRUPT));
            return Ok(());
        }
        let result = self.transfer(host);
        self.command.remove(Command::START);
        self.raise(host, DMA_DONE, self.command.contains(Command::INTERRUPT));
        result
    }

    fn save(&self) -> Self {
        self.clone()
    }

    fn running_timers(state: &Self) -> Option<u8> {
        let computing = u8::from(state.status.contains(Status::COMPUTING));
        let copying = u8::from(state.command.contains(Command::START));
        Some(computing << FACTORIAL_TIMER | copying << DMA_TIMER)
    }

    fn load(&mut self, state: &Self) -> Result<(), String> {
        let dma_mask = state.dma_mask;
        if dma_mask != self.dma_mask {
            return Err(format!("it has dma_mask={dma_mask:#x}: give both the same"));
        }
        if !Status::all().contains(state.status) || !Command::all().contains(state.command) {
            return Err("its STATUS or DMA_COMMAND has unknown bits".to_owned());
        }
        *self = state.clone();
        Ok(())
    }
}
