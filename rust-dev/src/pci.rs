// SPDX-License-Identifier: GPL-2.0-or-later

//! What a device model says of itself to become a PCI device with one memory BAR.
//!
//! The glue to QEMU is written against these traits alone; a model that implements them never sees a
//! pointer. What a model has for properties and for state it tells by walking over the fields of a
//! plain struct, so that one list serves for describing them, reading them and writing them.

use core::convert::Infallible;
use core::ffi::CStr;
use core::fmt;

#[cfg(test)]
pub mod listed;

/// How a device presents itself in PCI configuration space.
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
}

/// A 32-bit, non-prefetchable memory BAR.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBar {
    /// Which of the six base address registers.
    pub index: u8,
    /// Size in bytes: a power of two from 16 bytes to 2 GiB.
    pub size: usize,
}

impl MemoryBar {
    /// Whether PCI allows such a BAR. A device with another one does not compile.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        self.index < 6 && self.size.is_power_of_two() && self.size >= 16 && self.size <= 1 << 31
    }
}

/// A read-only number of a device, for people who look into QEMU (`qom-get`). It belongs to the QEMU
/// process: it does not travel, and a reset leaves it.
#[derive(Debug)]
pub struct Counter<M> {
    /// The property's name.
    pub name: &'static CStr,
    /// One line for `-device NAME,help`.
    pub description: &'static CStr,
    /// Its value.
    pub get: fn(&M) -> u64,
}

/// What the user sets with `-device NAME,PROPERTY=VALUE`; `default()` has the default values.
pub trait Properties: Default {
    /// Shows every property to `visitor`, always the same ones in the same order.
    fn visit(&mut self, visitor: &mut impl PropertyVisitor);
}

/// Goes over properties, to describe them or to fill them in. Each comes with a line for
/// `-device NAME,help`.
pub trait PropertyVisitor {
    /// A switch, `on` or `off`.
    fn bool(&mut self, name: &'static CStr, description: &'static CStr, value: &mut bool);
    /// A number of 32 bits.
    fn u32(&mut self, name: &'static CStr, description: &'static CStr, value: &mut u32);
    /// A text.
    fn text(&mut self, name: &'static CStr, description: &'static CStr, value: &mut String);
}

/// What travels in a migration and is kept in a snapshot.
pub trait State: Default {
    /// To be raised when the fields change. Another version is refused.
    const VERSION: u8;

    /// Shows every field to `visitor`, always the same ones in the same order.
    fn visit(&mut self, visitor: &mut impl StateVisitor);
}

/// Goes over the fields of a state, to describe, read or write them.
pub trait StateVisitor {
    /// A number of 8 bits.
    fn u8(&mut self, name: &'static CStr, value: &mut u8);
    /// A number of 32 bits.
    fn u32(&mut self, name: &'static CStr, value: &mut u32);
    /// A number of 64 bits.
    fn u64(&mut self, name: &'static CStr, value: &mut u64);
    /// Numbers of 32 bits, always as many.
    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]);
}

/// For a device without properties.
impl Properties for () {
    fn visit(&mut self, _visitor: &mut impl PropertyVisitor) {}
}

/// For a device that has nothing to carry along.
impl State for () {
    const VERSION: u8 = 1;

    fn visit(&mut self, _visitor: &mut impl StateVisitor) {}
}

/// A piece of the guest's memory that a device has mapped to write to it by DMA. Dropping it unmaps it.
///
/// The guest's processors may change the memory at any time. Bytes beyond its end are left out.
pub trait GuestMemory {
    /// How many bytes it has.
    fn size(&self) -> usize;

    /// Writes bytes from `at` on.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Writes, from `at` on, `count` times what `next` gives, as 8 little-endian bytes each. This is faster
    /// than [`write`](Self::write), whose bytes have to be made somewhere else first.
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64);
}

/// For tests of devices that do no DMA: memory that cannot exist.
impl GuestMemory for Infallible {
    fn size(&self) -> usize {
        match *self {}
    }

    fn write(&mut self, _at: usize, _bytes: &[u8]) {
        match *self {}
    }

    fn write_u64s(&mut self, _at: usize, _count: usize, _next: impl FnMut() -> u64) {
        match *self {}
    }
}

/// What a model may ask of the machine around it while the guest waits for an access.
pub trait Host<E> {
    /// A piece of the guest's memory.
    type Memory: GuestMemory;

    /// Copies guest memory from `address` on into `bytes`. Addresses are those of the device's bus, behind
    /// an IOMMU if there is one. Returns whether the device can read memory at all of these addresses. If
    /// not, `bytes` may have changed in part.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool;

    /// Maps guest memory for the device to write to: from `address` on, at least one byte and at most
    /// `length`. `None` where the device can write to no memory: at a hole, read-only memory or a device's
    /// registers, behind an IOMMU that does not allow it, or while the device may not master the bus. Memory
    /// that another device offers to the guest as such (of a display, for example) is memory.
    fn map(&mut self, address: u64, length: usize) -> Option<Self::Memory>;

    /// Fills `bytes` with entropy of the host's; whether there was any. That there was none has been
    /// reported then.
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// Tells those who trace the device what happens inside it.
    fn trace(&mut self, event: E);
}

/// A model of a PCI device.
///
/// QEMU calls all methods with its big lock held, so never two at a time, but from several threads: those of
/// the virtual CPUs, the main loop, and the one that frees what is unplugged. So a model is `Send`. The
/// methods run while a virtual CPU waits: they must end soon, whatever the guest asks for.
pub trait PciModel: Send + Sized + 'static {
    /// The name under which QEMU shows the device's memory and logs for it.
    const NAME: &'static CStr;
    /// One line for `-device help`.
    const DESCRIPTION: &'static CStr;
    /// The ids in configuration space.
    const IDENTITY: Identity;
    /// Where the registers stand.
    const BAR: MemoryBar;
    /// What of it can be counted from outside.
    const COUNTERS: &'static [Counter<Self>];

    /// What the user sets.
    type Properties: Properties;
    /// What travels.
    type State: State;
    /// What the user did wrong.
    type PropertyError: fmt::Display;
    /// Why this device cannot load a saved state.
    type StateError: fmt::Display;
    /// What the guest did wrong, for people who read `-d guest_errors`. Its text is made only if somebody
    /// reads it: let the error itself be cheap, for a guest can cause as many as it likes.
    type GuestError: fmt::Display;
    /// What happens inside, for people who trace; [`Infallible`](core::convert::Infallible) for nothing.
    type Event;

    /// The device as it is when power comes on.
    ///
    /// # Errors
    ///
    /// When a property has a value that is not allowed; the device is refused then.
    fn new(properties: &Self::Properties) -> Result<Self, Self::PropertyError>;

    /// Takes the device back to its state at power-on.
    fn reset(&mut self);

    /// The guest reads `size` bytes (1 to 4) at `offset` into the BAR; `offset` may be unaligned. An
    /// error is logged, and the guest reads 0.
    ///
    /// # Errors
    ///
    /// When no such read is defined.
    fn read(
        &mut self,
        host: &mut impl Host<Self::Event>,
        offset: u64,
        size: u32,
    ) -> Result<u64, Self::GuestError>;

    /// The guest writes the low `size` bytes (1 to 4) of `value` at `offset` into the BAR; `offset`
    /// may be unaligned. An error is logged, and the write is dropped.
    ///
    /// # Errors
    ///
    /// When no such write is defined.
    fn write(
        &mut self,
        host: &mut impl Host<Self::Event>,
        offset: u64,
        value: u64,
        size: u32,
    ) -> Result<(), Self::GuestError>;

    /// All that has to travel for the device to go on elsewhere as if nothing had happened.
    fn save(&self) -> Self::State;

    /// Goes on from `state`, which comes from outside and is not to be trusted.
    ///
    /// # Errors
    ///
    /// When the state is impossible, or of a device with other properties. The device is as it was
    /// then.
    fn load(&mut self, state: &Self::State) -> Result<(), Self::StateError>;
}

#[cfg(test)]
mod tests {
    use super::{MemoryBar, PciModel};

    #[test]
    fn a_bar_is_one_that_pci_allows() {
        for (index, size, expected) in [
            (0, 16, true),
            (5, 4096, true),
            (6, 4096, false),
            (0, 0, false),
            (0, 8, false),
            (0, 4097, false),
            (0, 1 << 31, true),
            // A 32-bit BAR has no address for it.
            (0, 1 << 32, false),
        ] {
            let bar = MemoryBar { index, size };
            assert_eq!(bar.is_possible(), expected, "{bar:?}");
        }
    }

    /// It compiles: every model may be handed from thread to thread.
    #[test]
    fn a_model_may_change_threads() {
        fn is_send<T: Send>() {}
        fn every<M: PciModel>() {
            is_send::<M>();
        }
        every::<crate::device::MyRng>();
    }
}
