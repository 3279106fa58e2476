// SPDX-License-Identifier: GPL-2.0-or-later OR MIT

//! The constants of the `my_rng` device and of its Linux driver. `docs/my-rng.rst` specifies the device.
//!
//! The device model, the kernel module, the app and the tests all include this file with `#[path]`. So it holds only
//! plain constants, in edition 2021, and needs only `core`.

/// PCI vendor id (QEMU's range for devices that exist only in emulation).
pub const PCI_VENDOR_ID: u16 = 0x1234;
/// PCI device id.
pub const PCI_DEVICE_ID: u16 = 0xcafe;
/// PCI revision id.
pub const PCI_REVISION: u8 = 0x10;
/// PCI class code (class 0x00, subclass 0xff): a device that fits no other class.
pub const PCI_CLASS: u16 = 0x00ff;

/// The BAR that maps the device's registers.
pub const BAR: u8 = 0;
/// The size of that BAR, in bytes.
pub const BAR_SIZE: usize = 4096;

/// The width of each register, in bytes. Accesses of other widths have no effect.
pub const REG_SIZE: usize = 4;
/// `RNG`, read-only: the next number of the stream; every read takes one.
pub const REG_RNG: usize = 0x0;
/// `SEED`, write-only: restarts the stream from the seed written.
pub const REG_SEED: usize = 0x4;
/// `INFO`, read-only: signature, extensions and generator; reading it takes no number. See [`info`].
pub const REG_INFO: usize = 0x8;

/// `DOORBELL`, write-only, if [`INFO_BULK`] is set: executes the descriptor in the page of guest memory at the
/// address of the value times [`BULK_PAGE`].
pub const REG_DOORBELL: usize = 0xc;
/// `FAILURES`, read-only, if [`INFO_FAILURES`] is set: how many reads of `RNG` returned 0 because the host had no
/// entropy.
pub const REG_FAILURES: usize = 0x10;

/// Bits 31 to 16 of `INFO`: the signature. The classic device with two registers does not have it.
pub const INFO_SIGNATURE: u16 = 0x524e;
/// Generator id (bits 7 to 0 of `INFO`): the same numbers as glibc's `rand`, 31 bits, from a seed.
pub const GENERATOR_LIBC: u8 = 0;
/// Generator id: ChaCha20, 32 bits, from a seed.
pub const GENERATOR_CHACHA20: u8 = 1;
/// Generator id: the host's entropy, 32 bits, unpredictable, takes no seed.
pub const GENERATOR_HOST: u8 = 2;
/// Generator id: ChaCha8, 32 bits, from a seed.
pub const GENERATOR_CHACHA8: u8 = 3;
/// Generator id: xoshiro256++, 32 bits, from a seed.
pub const GENERATOR_XOSHIRO256PP: u8 = 4;

/// Bit of `INFO`: the device has the bulk engine.
pub const INFO_BULK: u32 = 1 << 8;
/// Bit of `INFO`: the device has the register `FAILURES`.
pub const INFO_FAILURES: u32 = 1 << 9;

/// The value of `INFO` for a generator, without extensions. Bits 15 to 8 announce extensions: [`INFO_BULK`] and
/// [`INFO_FAILURES`]; the others are reserved. Software ignores bits that it does not know.
pub const fn info(generator: u8) -> u32 {
    ((INFO_SIGNATURE as u32) << 16) | generator as u32
}

/// The size and alignment of a descriptor, in bytes.
pub const BULK_PAGE: usize = 4096;
/// Descriptor offset of the status: the driver writes 0, the device one of the values below.
pub const BULK_STATUS: usize = 0x0;
/// Descriptor offset of the number of segments, from 1 to [`BULK_MAX_SEGMENTS`].
pub const BULK_COUNT: usize = 0x4;
/// Descriptor offset of the number of bytes that the device has written to the segments.
pub const BULK_DONE: usize = 0x8;
/// Descriptor offset of the first segment: 64-bit address, 32-bit length in bytes, 32 bits of 0.
pub const BULK_SEGMENTS: usize = 0x10;
/// The size of a segment in a descriptor, in bytes.
pub const BULK_SEGMENT_SIZE: usize = 0x10;
/// The maximum number of segments in a descriptor.
pub const BULK_MAX_SEGMENTS: usize = (BULK_PAGE - BULK_SEGMENTS) / BULK_SEGMENT_SIZE;
/// The maximum number of bytes in all segments of a descriptor together.
pub const BULK_MAX_BYTES: usize = 256 << 10;

/// Status: the segments are filled.
pub const BULK_FILLED: u32 = 1;
/// Status: the descriptor is invalid; nothing was done.
pub const BULK_BAD_DESCRIPTOR: u32 = 2;
/// Status: a segment is not in memory that the device can write to; nothing was done.
pub const BULK_BAD_MEMORY: u32 = 3;
/// Status: the host ran out of entropy; [`BULK_DONE`] says how much was written.
pub const BULK_NO_ENTROPY: u32 = 4;

/// The seed of a device that was never seeded.
pub const DEFAULT_SEED: u32 = 1;

/// The name of the first device's node, under `/dev`.
pub const NODE_NAME: &str = "my_rng_driver";

/// The type ("magic") byte of the driver's ioctl numbers.
pub const IOCTL_TYPE: u32 = b'q' as u32;
/// The sequence number of the two classic ioctls, which differ in direction.
pub const IOCTL_NR: u32 = 1;
/// The sequence number of [`IOCTL_FILL`].
pub const IOCTL_FILL_NR: u32 = 2;
/// `_IOR('q', 1, unsigned int)`: stores the next number at the argument's address.
pub const IOCTL_RAND: u32 = ioctl_number(IOC_READ, IOCTL_NR, 4);
/// `_IOW('q', 1, unsigned int)`: seeds the device with the number at the argument's address.
pub const IOCTL_SEED: u32 = ioctl_number(IOC_WRITE, IOCTL_NR, 4);
/// `_IOW('q', 2, unsigned int[2])`: fills a part of the file's mapped memory with the next numbers. The argument
/// points to the part's start and length, both in bytes and multiples of 4.
pub const IOCTL_FILL: u32 = ioctl_number(IOC_WRITE, IOCTL_FILL_NR, 8);

const IOC_WRITE: u32 = 1;
const IOC_READ: u32 = 2;

// The layout of asm-generic/ioctl.h: nr 0..8, type 8..16, size 16..30, direction 30..32.
const fn ioctl_number(direction: u32, nr: u32, size: u32) -> u32 {
    (direction << 30) | (size << 16) | (IOCTL_TYPE << 8) | nr
}

const _: () = assert!(IOCTL_RAND == 0x8004_7101 && IOCTL_SEED == 0x4004_7101);
const _: () = assert!(IOCTL_FILL == 0x4008_7102);
