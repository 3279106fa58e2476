// SPDX-License-Identifier: GPL-2.0-or-later

//! What a PCI device is.

#[cfg(test)]
mod tests;

use core::ffi::CStr;

use crate::access::Access;
use crate::declare::Declare;
use crate::host::Host;
use crate::register::GuestError;

/// How a device presents itself in PCI configuration space. [`Identity::new`] fills in the fields that a
/// device may leave out.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Vendor id.
    pub vendor_id: u16,
    /// Device id.
    pub device_id: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code: class in the high byte, subclass in the low byte.
    pub class: u16,
    /// Programming interface, the lowest byte of the class code.
    pub prog_if: u8,
    /// Subsystem vendor id and subsystem id; `None` for QEMU's own.
    pub subsystem: Option<(u16, u16)>,
    /// The bytes of a vendor-specific capability, after its header of 3 bytes; at most 96, none if empty.
    pub vendor_capability: &'static [u8],
    /// The serial number of a PCIe device.
    pub serial: Option<u64>,
}

impl Identity {
    /// A device of class 0x00ff (fits no other class) and revision 0, with nothing optional. QEMU's own vendor id
    /// is 0x1234.
    #[must_use]
    pub const fn new(vendor_id: u16, device_id: u16) -> Self {
        Self {
            vendor_id,
            device_id,
            revision: 0,
            class: 0x00ff,
            prog_if: 0,
            subsystem: None,
            vendor_capability: &[],
            serial: None,
        }
    }
}

/// The address space that a BAR maps into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Memory with 32-bit addresses.
    Memory32,
    /// Memory with 64-bit addresses; takes the next BAR's register too.
    Memory64,
    /// I/O ports.
    Io,
}

/// A base address register, and the region behind it.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Which of the six base address registers: 0 to 5.
    pub index: u8,
    /// The address space.
    pub kind: BarKind,
    /// Whether the guest may prefetch: reads have no side effect, and writes may be merged. Not for I/O.
    pub prefetchable: bool,
    /// Size in bytes, a power of two: from 16 bytes for memory, and 4 to 256 for I/O.
    pub size: u64,
    /// Which accesses reach the model.
    pub rules: Rules,
}

impl Bar {
    /// 32-bit, non-prefetchable memory, for aligned accesses of 4 bytes.
    #[must_use]
    pub const fn memory(index: u8, size: u64) -> Self {
        Self {
            index,
            kind: BarKind::Memory32,
            prefetchable: false,
            size,
            rules: Rules::WORDS,
        }
    }

    /// I/O ports, for accesses of one byte.
    #[must_use]
    pub const fn io(index: u8, size: u64) -> Self {
        Self {
            kind: BarKind::Io,
            rules: Rules::BYTES,
            ..Self::memory(index, size)
        }
    }

    /// The same BAR with 64-bit addresses.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self {
            kind: BarKind::Memory64,
            ..self
        }
    }

    /// The same BAR, which the guest may prefetch.
    #[must_use]
    pub const fn prefetchable(self) -> Self {
        Self {
            prefetchable: true,
            ..self
        }
    }

    /// The same BAR, with other rules.
    #[must_use]
    pub const fn with(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    const fn is_possible(&self) -> bool {
        self.size.is_power_of_two()
            && match self.kind {
                BarKind::Memory32 => self.index < 6 && self.size >= 16 && self.size <= 1 << 31,
                BarKind::Memory64 => self.index < 5 && self.size >= 16 && self.size <= 1 << 62,
                BarKind::Io => {
                    self.index < 6 && self.size >= 4 && self.size <= 256 && !self.prefetchable
                }
            }
    }

    /// The registers that it takes, a bit each.
    const fn registers(&self) -> u8 {
        match self.kind {
            BarKind::Memory64 => 0b11 << self.index,
            _ => 1 << self.index,
        }
    }
}

/// Which accesses to a BAR reach the model. The kit refuses and logs the others.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The sizes in bytes that the model takes: the sum of 1, 2, 4 and 8.
    pub sizes: u8,
    /// Whether it takes accesses that are not at a multiple of their size.
    pub unaligned: bool,
    /// The largest piece in bytes, 1, 2, 4 or 8: a longer access arrives as several of this size, from the low
    /// address up.
    pub largest: u8,
    /// What the guest reads if the kit or the model refuses a read, cut to the access's size.
    pub refused: u64,
}

impl Rules {
    /// Aligned accesses of 4 bytes; an access of 8 arrives as two. A refused read gives 0.
    pub const WORDS: Self = Self::sizes(4);

    /// Accesses of 1 byte; longer ones arrive byte by byte. A refused read gives 0.
    pub const BYTES: Self = Self::sizes(1);

    /// Aligned accesses of these sizes, given as their sum. Longer ones arrive as several of the largest. A refused
    /// read gives 0.
    #[must_use]
    pub const fn sizes(sizes: u8) -> Self {
        Self {
            sizes,
            unaligned: false,
            largest: 1 << sizes.ilog2(),
            refused: 0,
        }
    }

    /// The same rules, but a refused read gives this.
    #[must_use]
    pub const fn refused(self, refused: u64) -> Self {
        Self { refused, ..self }
    }

    /// Checks an access against these rules.
    ///
    /// # Errors
    ///
    /// When the model does not take its size or alignment.
    pub const fn check<E>(&self, access: Access) -> Result<(), GuestError<E>> {
        if access.size > 8 || !access.size.is_power_of_two() || access.size & self.sizes as u32 == 0
        {
            return Err(GuestError::Size(self.sizes));
        }
        if !self.unaligned && access.offset % access.size as u64 != 0 {
            return Err(GuestError::Unaligned);
        }
        Ok(())
    }

    const fn is_possible(&self) -> bool {
        self.sizes > 0
            && self.sizes < 16
            && self.largest.is_power_of_two()
            && self.largest <= 8
            // A larger size would never arrive.
            && self.sizes < self.largest * 2
    }
}

/// MSI-X: its table takes a memory BAR of its own, of 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiX {
    /// How many vectors: 1 to 64.
    pub vectors: u16,
    /// The BAR of the table.
    pub bar: u8,
}

/// Which kinds of interrupts a device can send. The guest uses one kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// Whether it has an interrupt pin (INTA).
    pub pin: bool,
    /// How many MSI vectors: 0, 1, 2, 4, 8, 16 or 32.
    pub msi: u8,
    /// MSI-X.
    pub msix: Option<MsiX>,
    /// Whether the device is refused on a machine without MSI. If not, it uses the pin there.
    pub msi_required: bool,
}

impl Interrupts {
    /// No interrupts.
    pub const NONE: Self = Self {
        pin: false,
        msi: 0,
        msix: None,
        msi_required: false,
    };

    /// The pin only.
    pub const PIN: Self = Self {
        pin: true,
        ..Self::NONE
    };

    /// The same with this number of MSI vectors.
    #[must_use]
    pub const fn with_msi(self, vectors: u8) -> Self {
        Self {
            msi: vectors,
            ..self
        }
    }

    /// Whether PCI and the kit allow these values.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        let msi = self.msi > 0 || self.msix.is_some();
        (self.msi == 0 || self.msi.is_power_of_two() && self.msi <= 32)
            && match self.msix {
                Some(MsiX { vectors, bar }) => vectors >= 1 && vectors <= 64 && bar < 6,
                None => true,
            }
            && (!self.msi_required || msi)
            // What would a device without pin do on a machine without MSI?
            && (!msi || self.pin || self.msi_required)
    }

    /// Whether a device of a type with the interrupts `most` can have these.
    pub(crate) fn is_within(&self, most: &Self) -> bool {
        self.is_possible()
            && (most.pin || !self.pin)
            && self.msi <= most.msi
            && (self.msix.is_none() || self.msix == most.msix)
    }

    /// How many vectors [`Host::interrupt`] takes.
    #[must_use]
    pub fn vectors(&self) -> u16 {
        let msix = self.msix.map_or(0, |it| it.vectors);
        u16::from(self.pin).max(self.msi.into()).max(msix)
    }
}

/// A read-only number that `qom-get` shows in QEMU's monitor. It counts from the start of the QEMU process: it is
/// not saved, and a reset does not change it.
#[derive(Debug)]
pub struct Counter<D> {
    /// The property's name.
    pub name: &'static CStr,
    /// One line for `-device NAME,help`.
    pub help: &'static CStr,
    /// Its value.
    pub get: fn(&D) -> u64,
}

/// A PCI device.
///
/// QEMU holds its big lock (BQL) while it calls a method, so there is never more than one call at a time. The calls
/// come from several threads (virtual CPUs, main loop, RCU), so a device is `Send`. The machine waits while a method
/// runs: it must return soon, whatever the guest asks for. [`Host::run_alone`] is for what takes longer.
pub trait PciDevice: Declare {
    /// One line for `-device help`.
    const DESCRIPTION: &'static CStr;
    /// The ids in configuration space.
    const IDENTITY: Identity;
    /// The BARs.
    const BARS: &'static [Bar];
    /// The most interrupts that a device of this type can have; see [`interrupts`](Self::interrupts).
    const INTERRUPTS: Interrupts = Interrupts::NONE;
    /// How many timers it has, 8 at the most. A saved state has a deadline for each, so a device with another number
    /// cannot load it.
    const TIMERS: usize = 0;
    /// The longest delay of a timer, in nanoseconds, at most 2^62: a saved state with a later one is refused.
    const LONGEST_DELAY: u64 = 3600 * 1_000_000_000;
    /// Whether its work ([`Host::run_alone`]) runs without QEMU's big lock. Such a device has the property `parallel`, with
    /// which the user turns that off, and the counter `lock-releases`.
    const PARALLEL: bool = false;
    /// Its counters.
    const COUNTERS: &'static [Counter<Self>] = &[];

    /// Makes the device in its state at power-on.
    ///
    /// # Errors
    ///
    /// When a property has a value that is not allowed. QEMU then refuses the device with this text.
    fn new(properties: Self::Properties) -> Result<Self, String>;

    /// Takes the device back to its state at power-on (the enter phase of a reset). The kit has stopped the timers
    /// already, and a reset lowers the interrupt pin.
    fn reset(&mut self);

    /// The end of a reset (the exit phase): here the device may use the machine, for example start a timer or raise
    /// the pin. In the hold phase it could not, because the bus lowers all pins at the end of that phase.
    fn reset_exit(&mut self, _host: &mut impl Host<Self>) {}

    /// Which of [`INTERRUPTS`](Self::INTERRUPTS) this device has, if that depends on a property.
    fn interrupts(&self) -> Interrupts {
        Self::INTERRUPTS
    }

    /// The guest reads, by the rules of the BAR. The value is cut to the access's size.
    ///
    /// # Errors
    ///
    /// When the device does not define such a read. It is logged, and the guest reads the rules' `refused`.
    fn read(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
    ) -> Result<u64, GuestError<Self::Error>>;

    /// The guest writes, by the rules of the BAR. The bits of `value` above the access's size are 0.
    ///
    /// # Errors
    ///
    /// When the device does not define such a write. It is logged.
    fn write(
        &mut self,
        _host: &mut impl Host<Self>,
        _access: Access,
        _value: u64,
    ) -> Result<(), GuestError<Self::Error>> {
        Err(GuestError::ReadOnly("the BAR"))
    }

    /// A timer is due.
    ///
    /// # Errors
    ///
    /// When what the guest asked for is not possible. It is logged.
    fn timer(
        &mut self,
        _host: &mut impl Host<Self>,
        _timer: usize,
    ) -> Result<(), GuestError<Self::Error>> {
        Ok(())
    }

    /// The state to save: all that the device needs to continue elsewhere. The kit adds PCI configuration space,
    /// interrupts and timers.
    fn save(&self) -> Self::State {
        const {
            assert!(
                size_of::<Self::State>() == 0,
                "a device with a state needs save()"
            )
        };
        Self::State::default()
    }

    /// Which timers have to run in `state`, one bit each: a saved state with others is refused. `None` allows any.
    fn running_timers(_state: &Self::State) -> Option<u8> {
        None
    }

    /// Continues from a saved state. It comes from outside: check all of it before you change the device. A field
    /// that an older version did not save has its default.
    ///
    /// # Errors
    ///
    /// When the state is impossible, or from a device with other properties. The device must not have changed then.
    fn load(&mut self, _state: &Self::State) -> Result<(), String> {
        const {
            assert!(
                size_of::<Self::State>() == 0,
                "a device with a state needs load()"
            )
        };
        Ok(())
    }
}

/// The most timers a device can have.
pub const MAX_TIMERS: usize = 8;

/// The shortest delay of a timer, in nanoseconds. Under `-icount` time stands still while timers run, so a timer
/// that starts itself again without a delay would hang QEMU.
pub const SHORTEST_DELAY: u64 = 10_000;

/// The deadline of a timer that is not running.
pub(crate) const NOT_RUNNING: u64 = u64::MAX;

/// The delay that a timer gets.
pub(crate) fn delay<D: PciDevice>(asked: u64) -> u64 {
    asked.clamp(SHORTEST_DELAY, D::LONGEST_DELAY)
}

/// Checks the deadlines in a saved state.
pub(crate) fn check_deadlines<D: PciDevice>(
    state: &D::State,
    now: u64,
    deadlines: &[u64],
) -> Result<(), String> {
    let running = D::running_timers(state);
    for (timer, deadline) in deadlines.iter().enumerate() {
        let runs = *deadline != NOT_RUNNING;
        if running.is_some_and(|running| (running >> timer & 1 == 1) != runs) {
            let what = if runs {
                "runs, but nothing waits for it"
            } else {
                "does not run, but something waits for it"
            };
            return Err(format!("its timer {timer} {what}"));
        }
        if runs && deadline.saturating_sub(now) > D::LONGEST_DELAY {
            return Err(format!(
                "its timer {timer} is due later than any timer can be"
            ));
        }
    }
    Ok(())
}

/// The rules of one of a device's BARs.
fn rules<D: PciDevice>(bar: u8) -> Rules {
    let bar = D::BARS.iter().find(|it| it.index == bar);
    bar.map_or(Rules::WORDS, |bar| bar.rules)
}

/// The pieces in which an access reaches the device, from the low address up, and where in the value each of them is,
/// in bits.
pub(crate) fn pieces<D: PciDevice>(access: Access) -> impl Iterator<Item = (Access, u32)> {
    let size = access.size.min(8);
    let largest = u32::from(rules::<D>(access.bar).largest);
    (0..size).step_by(largest as usize).map(move |at| {
        let piece = Access {
            offset: access.offset.wrapping_add(at.into()),
            size: largest.min(size - at),
            ..access
        };
        (piece, at * 8)
    })
}

/// The guest reads, by the BAR's rules.
pub(crate) fn read<D: PciDevice>(
    device: &mut D,
    host: &mut impl Host<D>,
    access: Access,
) -> Result<u64, GuestError<D::Error>> {
    rules::<D>(access.bar).check(access)?;
    Ok(cut(device.read(host, access)?, access.size))
}

/// The value for an access of `size` bytes.
pub(crate) const fn cut(value: u64, size: u32) -> u64 {
    if size < 8 {
        value & ((1 << (size * 8)) - 1)
    } else {
        value
    }
}

/// The value of a refused read.
pub(crate) fn refused<D: PciDevice>(access: Access) -> u64 {
    cut(rules::<D>(access.bar).refused, access.size)
}

/// The guest writes, by the BAR's rules.
pub(crate) fn write<D: PciDevice>(
    device: &mut D,
    host: &mut impl Host<D>,
    access: Access,
    value: u64,
) -> Result<(), GuestError<D::Error>> {
    rules::<D>(access.bar).check(access)?;
    device.write(host, access, cut(value, access.size))
}

/// Fails to compile if no PCI device can have the constants of `D`.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
pub(crate) const fn check<D: PciDevice>() {
    let mut taken = match D::INTERRUPTS.msix {
        Some(MsiX { bar, .. }) => 1_u8 << bar,
        None => 0,
    };
    let mut i = 0;
    while i < D::BARS.len() {
        let bar = &D::BARS[i];
        assert!(
            bar.is_possible(),
            "PCI allows no BAR of this index, kind and size"
        );
        assert!(
            bar.rules.is_possible(),
            "a BAR's rules have a size that never arrives"
        );
        assert!(
            taken & bar.registers() == 0,
            "two BARs share a base address register"
        );
        taken |= bar.registers();
        i += 1;
    }
    assert!(
        D::INTERRUPTS.is_possible(),
        "a device cannot have these interrupts"
    );
    assert!(D::TIMERS <= MAX_TIMERS, "a device has at most 8 timers");
    assert!(
        D::LONGEST_DELAY >= SHORTEST_DELAY,
        "no timer has so short a delay"
    );
    // now + delay is a number of 64 bits then, and is not `NOT_RUNNING`.
    assert!(D::LONGEST_DELAY <= 1 << 62, "no timer has so long a delay");
    // QEMU aborts if the capabilities do not fit into 192 bytes: PCIe takes 60, MSI 16, MSI-X 12.
    assert!(
        D::IDENTITY.vendor_capability.len() <= 96,
        "a capability has at most 96 bytes"
    );
    // QEMU loads a state on a stack of 1 MiB, where there are up to four of it at the same time.
    assert!(
        size_of::<D::State>() <= 1 << 16,
        "a state has at most 64 KiB"
    );
}
