// SPDX-License-Identifier: GPL-2.0-or-later

//! What a device may ask of the machine around it.

use crate::device::Declare;

/// The machine around a device, during one call of the device.
///
/// Addresses are those of the device's bus, behind an IOMMU if there is one. DMA goes to RAM only: never to the
/// registers of a device, nor into holes, nor past what the IOMMU allows, nor while the guest has not made the
/// device a bus master. Memory that another device offers to the guest as such (of a display, for example) is RAM.
pub trait Host<D: Declare> {
    /// Guest memory that the device reads.
    type Readable: ReadMemory;
    /// Guest memory that the device writes.
    type Writable: WriteMemory;

    /// Copies guest memory from `address` on into `bytes`. Returns false if the device cannot read all of it;
    /// `bytes` may have changed in part then.
    #[must_use]
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool;

    /// Copies `bytes` to guest memory from `address` on. Returns false if the device cannot write all of it; the
    /// memory may have changed in part then.
    #[must_use]
    fn write(&mut self, address: u64, bytes: &[u8]) -> bool;

    /// Maps guest memory for the device to read: from `address` on, at least one byte and at most `length`.
    fn map_read(&mut self, address: u64, length: usize) -> Option<Self::Readable>;

    /// Maps guest memory for the device to write: from `address` on, at least one byte and at most `length`.
    fn map_write(&mut self, address: u64, length: usize) -> Option<Self::Writable>;

    /// Sends an interrupt, as soon as the device's method has returned: a message if the guest has enabled MSI or
    /// MSI-X, or else the pin is raised. `vector` is below [`Interrupts::vectors`](crate::Interrupts::vectors).
    fn interrupt(&mut self, vector: u16);

    /// Lowers the pin, likewise. Messages are not taken back.
    fn lower(&mut self);

    /// The machine's virtual time, in nanoseconds. It stops with the machine, travels with it, and is the same
    /// in every run under `-icount`.
    fn now(&mut self) -> u64;

    /// Starts one of the device's timers, or moves it: [`PciDevice::timer`](crate::PciDevice::timer) is called
    /// `delay` nanoseconds from now. The delay is at least [`SHORTEST_DELAY`](crate::device::SHORTEST_DELAY): 0
    /// means as soon as the access is over. It is at most
    /// [`LONGEST_DELAY`](crate::PciDevice::LONGEST_DELAY).
    fn start_timer(&mut self, timer: usize, delay: u64);

    /// Stops one of the device's timers.
    fn stop_timer(&mut self, timer: usize);

    /// Fills `bytes` with entropy of the host's. Returns false if there was none, which has been reported then.
    /// Under record and replay these are the recorded bytes.
    #[must_use]
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// Tells those who trace the device what happens inside it.
    fn trace(&mut self, event: D::Event);
}

/// Guest memory that a device has mapped to read it. Dropping it unmaps it. The guest may change it at any time.
pub trait ReadMemory {
    /// How many bytes it has.
    fn size(&self) -> usize;

    /// Copies bytes from `at` on. What is beyond the end is left as it was.
    fn read(&self, at: usize, bytes: &mut [u8]);
}

/// Guest memory that a device has mapped to write to it. Dropping it unmaps it. The guest may change it at any
/// time. Bytes beyond its end are left out.
pub trait WriteMemory {
    /// How many bytes it has.
    fn size(&self) -> usize;

    /// Writes bytes from `at` on.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Writes, from `at` on, `count` times what `next` gives, as 8 little-endian bytes each. This is faster
    /// than [`write`](Self::write), whose bytes have to be made somewhere else first.
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64);
}
