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
    /// Size in bytes, a power of two and at least 16.
    pub size: usize,
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

/// A piece of the guest's memory that a device has mapped for DMA. It is unmapped when this is dropped.
///
/// The guest's processors may change it at any time: what was read once and checked must not be read again.
/// Nothing outside of it can be reached: what goes beyond its end is left out.
pub trait GuestMemory {
    /// How many bytes it has.
    fn size(&self) -> usize;

    /// Copies the bytes from `at` on; `bytes` keeps what it has where there are none.
    fn read(&self, at: usize, bytes: &mut [u8]);

    /// Writes bytes from `at` on.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Writes, from `at` on, `count` times what `next` gives, as 8 little-endian bytes each. Faster than
    /// [`write`](Self::write), which takes what has to be somewhere already.
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64);
}

/// For tests of devices that do no DMA: a piece of memory that there never is.
impl GuestMemory for Infallible {
    fn size(&self) -> usize {
        match *self {}
    }

    fn read(&self, _at: usize, _bytes: &mut [u8]) {
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

    /// Maps memory for the device to read and write, as the bus has it for this device: from `address` on,
    /// at least one byte of it and at most `length`. `None` where the device can write to no memory: where
    /// there is none, where it is read-only or registers of some device, and as long as the device may not
    /// master the bus. Memory that another device offers to the guest as such (of a display, for example) is
    /// memory.
    fn map(&mut self, address: u64, length: usize) -> Option<Self::Memory>;

    /// Fills `bytes` with entropy of the host's; whether there was any. That there was none has been
    /// reported then.
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// Tells those who trace the device what happens inside it.
    fn trace(&mut self, event: E);
}

/// A model of a PCI device.
///
/// QEMU calls all methods with its big lock held, so never two at a time. They run while a virtual
/// CPU waits: they must end soon, whatever the guest asks for.
pub trait PciModel: Sized + 'static {
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
    /// Why a state that arrived is none for this device.
    type StateError: fmt::Display;
    /// What the guest did wrong, for people who read `-d guest_errors`.
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
