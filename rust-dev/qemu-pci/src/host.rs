// SPDX-License-Identifier: GPL-2.0-or-later

//! What a device may ask of the machine around it.

use crate::declare::Declare;

/// What a device may ask of the machine at any time, also in work without QEMU's big lock (BQL).
///
/// Addresses are bus addresses: if there is an IOMMU, it translates them. DMA reaches only RAM: never the registers of
/// a device, and only what the IOMMU allows. It fails while the guest has not made the device a bus master. The
/// memory of another device, such as a display's, counts as RAM.
pub trait Outside<D: Declare> {
    /// Guest memory that the device writes.
    type Writable: WriteMemory + 'static;
    /// Guest memory that the device reads and writes.
    type Shared: ReadMemory + WriteMemory + 'static;

    /// Fills `bytes` with the host's entropy. Returns false, already reported, if there was none. Under `-seed` and in
    /// record and replay the bytes repeat.
    #[must_use]
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// Emits a trace event.
    fn trace(&mut self, event: D::Event);

    /// Maps guest memory for the device to write: from `address` on, at least one byte and at most `length`.
    fn map_write(&mut self, address: u64, length: usize) -> Option<Self::Writable>;

    /// The same for memory that the device reads and writes.
    fn map_shared(&mut self, address: u64, length: usize) -> Option<Self::Shared>;
}

/// The machine around a device, during its work ([`Host::run_alone`]).
pub trait Work<D: Declare>: Outside<D> + 'static {
    /// Runs `rest` when this work has ended, and before the guest's access ends. It has no access to the device, so other
    /// calls of the device run at the same time. Work can give this once; `rest` cannot.
    fn run_beside(&mut self, rest: impl FnOnce(&mut Self) + 'static);
}

/// The machine around a device, during one call of the device.
pub trait Host<D: Declare>: Outside<D> {
    /// Guest memory that the device reads.
    type Readable: ReadMemory + 'static;
    /// The machine, during work.
    type Work: Work<D>;

    /// Copies guest memory from `address` on into `bytes`. Returns false if the device cannot read all of it;
    /// part of `bytes` may have changed then.
    #[must_use]
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool;

    /// Copies `bytes` to guest memory from `address` on. Returns false if the device cannot write all of it;
    /// part of the memory may have changed then.
    #[must_use]
    fn write(&mut self, address: u64, bytes: &[u8]) -> bool;

    /// Maps guest memory for the device to read: from `address` on, at least one byte and at most `length`.
    fn map_read(&mut self, address: u64, length: usize) -> Option<Self::Readable>;

    /// Sends an interrupt when the device's method has returned: a message if the guest has enabled MSI or MSI-X;
    /// otherwise the pin is raised. `vector` is below [`Interrupts::vectors`](crate::Interrupts::vectors) of the device's
    /// type. Where the device or the guest has fewer, the numbers wrap around.
    fn interrupt(&mut self, vector: u16);

    /// Lowers the pin when the device's method has returned. Messages cannot be taken back.
    fn lower(&mut self);

    /// The machine's virtual time, in nanoseconds. It stops with the machine, continues after a migration, and is the
    /// same in every run under `-icount`.
    fn now(&mut self) -> u64;

    /// Starts one of the device's timers, or moves it: [`PciDevice::timer`](crate::PciDevice::timer) is called
    /// `delay` nanoseconds from now. A delay below [`SHORTEST_DELAY`](crate::device::SHORTEST_DELAY) or above
    /// [`LONGEST_DELAY`](crate::PciDevice::LONGEST_DELAY) becomes that. 0 means: soon after this access.
    fn start_timer(&mut self, timer: usize, delay: u64);

    /// Stops one of the device's timers.
    fn stop_timer(&mut self, timer: usize);

    /// Runs `work` after the device's method has returned and before the guest's access ends. Other calls of this
    /// device wait until it has ended; what does not need the device can go on after that ([`Work::run_beside`]). An
    /// error counts as the guest's.
    ///
    /// Where that is possible, QEMU's big lock is not held: the rest of the machine goes on. That needs a device with
    /// [`PARALLEL`](crate::PciDevice::PARALLEL), on which the user has not set `parallel=off`; an access of a virtual CPU
    /// (another device's DMA or message keeps the lock); a machine without `-icount`, record and replay; and no IOMMU
    /// before the device. A reset, an unplug and a migration wait until the work has ended.
    ///
    /// A write is the place for this: of a read, the guest gets the value that the method has returned. A method can
    /// give one piece of work. It is dropped if the device is unplugged before.
    fn run_alone(
        &mut self,
        work: impl FnOnce(&mut D, &mut Self::Work) -> Result<(), D::Error> + 'static,
    );
}

/// Work that a device has given to its host: see [`Host::run_alone`].
pub(crate) type AloneWork<D, W> =
    Box<dyn FnOnce(&mut D, &mut W) -> Result<(), <D as Declare>::Error>>;

/// What is left of it: see [`Work::run_beside`].
pub(crate) type BesideWork<W> = Box<dyn FnOnce(&mut W)>;

/// Guest memory that a device has mapped. It is unmapped when this is dropped: at the latest when the call or the work
/// that has mapped it ends. The guest may change it at any time.
pub trait Mapping {
    /// How many bytes it has.
    fn size(&self) -> usize;
}

/// Guest memory that a device may read.
pub trait ReadMemory: Mapping {
    /// Copies bytes from `at` on. Bytes beyond the end are not changed.
    fn read(&self, at: usize, bytes: &mut [u8]);
}

/// Guest memory that a device may write. Bytes beyond its end are left out.
pub trait WriteMemory: Mapping {
    /// Writes bytes from `at` on.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Writes `count` values of `next` from `at` on, as 8 little-endian bytes each. This is faster than
    /// [`write`](Self::write), which copies from a buffer.
    fn write_u64s(&mut self, at: usize, count: usize, next: impl FnMut() -> u64);
}
