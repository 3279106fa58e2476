// SPDX-License-Identifier: GPL-2.0-or-later

//! `rust_sampler`: a PCIe device with one of everything that the kit offers. Only the kit's own tests use it.

#[cfg(test)]
mod tests;

use qemu_pci::prelude::*;
use qemu_pci::property::Size;
use qemu_pci::state::Subsection;
use qemu_pci::{Bounded, Interrupts, Mapping, MsiX, ReadMemory, Rules, WriteMemory};

qemu_pci::registers! {
    /// The registers of BAR 0.
    pub enum Register {
        /// Sends the interrupt of this vector.
        INTERRUPT: WriteOnly = 0x00,
        /// Lowers the pin.
        LOWER: WriteOnly = 0x04,
        /// Starts the timer, with this delay in nanoseconds.
        DELAY[8]: WriteOnly = 0x08,
        /// How many times the timer ran.
        RUNS: ReadOnly = 0x10,
        /// How many more times the timer starts itself again when it has run, each time without a delay.
        REPEAT: ReadWrite = 0x14,
        /// The virtual time, in nanoseconds.
        NOW[8]: ReadOnly = 0x18,
        /// Puts a number into the queue, which has room for 4.
        PUSH: WriteOnly = 0x20,
        /// How many numbers are in the queue.
        LENGTH: ReadOnly = 0x24,
        /// Copies 8 bytes from this address to the one 8 bytes later, by mapping both.
        COPY[8]: WriteOnly = 0x28,
        /// Whether the last copy was possible.
        COPIED: ReadOnly = 0x30,
        /// Kept in a subsection of the state, which is saved only if this is not 0.
        RARE: ReadWrite = 0x34,
        /// Kept in a field that version 1 of the state lacks.
        LIMIT: ReadWrite = 0x38,
        /// Stops the timer.
        STOP: WriteOnly = 0x3c,
        /// Sends the interrupts of several vectors, a bit each.
        INTERRUPTS: WriteOnly = 0x40,
    }
}

/// How many vectors it has: fewer with MSI-X than with MSI.
const VECTORS: u8 = 4;
const MSIX_VECTORS: u16 = 3;
/// The pattern of a saved state.
const PATTERN: [Pair; 2] = [Pair { low: 1, high: -2 }, Pair { low: 3, high: -4 }];

/// The property `interrupts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// The pin.
    Pin,
    /// The pin and MSI.
    Msi,
    /// The pin and MSI-X.
    MsiX,
    /// MSI-X; a machine without it refuses the device.
    MsiXOnly,
}
qemu_pci::property_enum! {
    Kinds: "pin" = Pin, "msi" = Msi, "msix" = MsiX, "msix-only" = MsiXOnly
}

qemu_pci::properties! {
    /// A property of each type. All but `interrupts` and `x-refuse` have no effect.
    pub struct Properties {
        /// A switch
        switched_on: bool = true,
        /// 8 bits
        byte: u8 = 8,
        /// 16 bits
        half: u16 = 16,
        /// 32 bits
        word: u32 = 32,
        /// 64 bits
        long: u64 = 64,
        /// Signed, 32 bits
        level: i32 = -32,
        /// Signed, 64 bits
        offset: i64 = -64,
        /// In bytes
        memory: Size = Size(4096),
        /// A text that says why the device should not be realized
        "x-refuse" refuse: String = String::new(),
        /// Which interrupts it has
        interrupts: Kinds = Kinds::Msi,
    }
}

qemu_pci::state! {
    /// A part of the state.
    #[derive(Copy, Debug, PartialEq, Eq)]
    pub struct Pair {
        low: u16,
        high: i8,
    }
}

qemu_pci::state! {
    /// A subsection of the state.
    #[derive(Debug, PartialEq, Eq)]
    pub struct Rare {
        rare: u32,
    }
}

qemu_pci::state! {
    /// A field of each kind.
    #[derive(Debug, PartialEq, Eq)]
    pub struct SamplerState: version 2, oldest 1 {
        copied: bool,
        runs: u32,
        repeat: u32,
        scratch: [u8; 16],
        pair: Pair = PATTERN[0],
        pairs: [Pair; 2] = PATTERN,
        queue: Bounded<u32, 4>,
        limit: u32 [since 2] = 100,
        rare: Subsection<Rare>,
    }
}

qemu_pci::trace_events! {
    /// What can be traced.
    pub enum Event {
        /// The timer ran.
        ran(runs: u32, now: u64) = "runs %u now %u";
    }
}

/// The device.
#[derive(Clone, Debug)]
pub struct RustSampler {
    kinds: Kinds,
    state: SamplerState,
}

qemu_pci::device! {
    rust_sampler: RustSampler {
        properties: Properties,
        state: SamplerState,
        events: Event,
        errors: &'static str,
    }
}

impl RustSampler {
    fn copy(host: &mut impl Host<Self>, address: u64) -> Option<()> {
        let mut bytes = [0; 8];
        let from = host.map_read(address, bytes.len())?;
        let mut to = host.map_write(address.checked_add(8)?, bytes.len())?;
        from.read(0, &mut bytes);
        to.write(0, &bytes);
        (from.size() == 8 && to.size() == 8).then_some(())
    }

    /// The bytes of BAR 2, which begins with the scratch memory.
    fn scratch(&mut self, access: Access) -> Result<&mut [u8], GuestError<&'static str>> {
        let start = usize::try_from(access.offset).unwrap_or(usize::MAX);
        let bytes = self.state.scratch.get_mut(start..);
        let bytes = bytes.and_then(|bytes| bytes.get_mut(..access.size as usize));
        bytes.ok_or(GuestError::Device("beyond the scratch memory"))
    }
}

impl PciDevice for RustSampler {
    const DESCRIPTION: &'static CStr = c"One of everything that the kit for devices in Rust offers";
    const IDENTITY: Identity = Identity {
        revision: 3,
        class: 0x1180,
        prog_if: 0x42,
        subsystem: Some((0x1af4, 0x5a5a)),
        vendor_capability: b"sampler",
        serial: Some(0x0123_4567_89ab_cdef),
        ..Identity::new(0x1234, 0xca5a)
    };
    const BARS: &'static [Bar] = &[
        Bar::memory(0, 4096).with(Rules::sizes(4 | 8)),
        Bar::memory(2, 1 << 16).wide().prefetchable().with(Rules {
            unaligned: true,
            ..Rules::sizes(1 | 2 | 4 | 8).refused(u64::MAX)
        }),
        Bar::io(4, 16),
    ];
    const INTERRUPTS: Interrupts = Interrupts {
        pin: true,
        msi: VECTORS,
        msix: Some(MsiX {
            vectors: MSIX_VECTORS,
            bar: 1,
        }),
        msi_required: false,
    };
    const TIMERS: usize = 1;

    fn new(properties: Properties) -> Result<Self, String> {
        if !properties.refuse.is_empty() {
            return Err(properties.refuse);
        }
        Ok(Self {
            kinds: properties.interrupts,
            state: SamplerState::default(),
        })
    }

    fn interrupts(&self) -> Interrupts {
        let Interrupts { msix, .. } = Self::INTERRUPTS;
        match self.kinds {
            Kinds::Pin => Interrupts::PIN,
            Kinds::Msi => Interrupts::PIN.with_msi(VECTORS),
            Kinds::MsiX => Interrupts {
                msix,
                ..Interrupts::PIN
            },
            Kinds::MsiXOnly => Interrupts {
                msix,
                msi_required: true,
                ..Interrupts::NONE
            },
        }
    }

    fn reset(&mut self) {
        self.state = SamplerState::default();
    }

    /// A reset ends with the pin raised, to show that this phase may do so.
    fn reset_exit(&mut self, host: &mut impl Host<Self>) {
        host.interrupt(0);
    }

    fn read(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
    ) -> Result<u64, GuestError<&'static str>> {
        match access.bar {
            0 => {}
            2 => {
                let bytes = self.scratch(access)?.iter().rev();
                return Ok(bytes.fold(0, |value, byte| value << 8 | u64::from(*byte)));
            }
            // A port reads as its own number.
            _ => return Ok(access.offset),
        }
        Ok(match Register::read(access)? {
            Register::RUNS => self.state.runs.into(),
            Register::REPEAT => self.state.repeat.into(),
            Register::NOW => host.now(),
            Register::LENGTH => self.state.queue.as_slice().len() as u64,
            Register::COPIED => self.state.copied.into(),
            Register::RARE => self.state.rare.value.rare.into(),
            Register::LIMIT => self.state.limit.into(),
            // The others are write-only.
            _ => 0,
        })
    }

    fn write(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
        value: u64,
    ) -> Result<(), GuestError<&'static str>> {
        match access.bar {
            0 => {}
            2 => {
                let bytes = value.to_le_bytes();
                for (place, byte) in self.scratch(access)?.iter_mut().zip(bytes) {
                    *place = byte;
                }
                return Ok(());
            }
            _ => return Err(GuestError::ReadOnly("a port")),
        }
        let state = &mut self.state;
        match Register::write(access)? {
            Register::INTERRUPT if value < u64::from(VECTORS) => host.interrupt(value as u16),
            Register::INTERRUPT => return Err("there is no such vector".into()),
            Register::INTERRUPTS => {
                for vector in (0..VECTORS.into()).filter(|vector| value >> vector & 1 == 1) {
                    host.interrupt(vector);
                }
            }
            Register::LOWER => host.lower(),
            Register::DELAY => host.start_timer(0, value),
            Register::STOP => host.stop_timer(0),
            Register::REPEAT => state.repeat = value as u32,
            Register::PUSH if !state.queue.push(value as u32) => {
                return Err("the queue is full".into());
            }
            Register::COPY => state.copied = Self::copy(host, value).is_some(),
            Register::RARE => {
                state.rare.present = value != 0;
                state.rare.value.rare = value as u32;
            }
            Register::LIMIT => state.limit = value as u32,
            // The others are read-only.
            _ => {}
        }
        Ok(())
    }

    fn timer(
        &mut self,
        host: &mut impl Host<Self>,
        timer: usize,
    ) -> Result<(), GuestError<&'static str>> {
        self.state.runs = self.state.runs.wrapping_add(1);
        let now = host.now();
        host.trace(Event::ran(self.state.runs, now));
        host.interrupt(1);
        if self.state.repeat > 0 {
            self.state.repeat -= 1;
            host.start_timer(timer, 0);
        }
        Ok(())
    }

    fn save(&self) -> SamplerState {
        self.state.clone()
    }

    fn load(&mut self, state: &SamplerState) -> Result<(), String> {
        if state.pair != PATTERN[0] || state.pairs != PATTERN {
            return Err("it has another pattern".to_owned());
        }
        self.state = state.clone();
        Ok(())
    }
}
