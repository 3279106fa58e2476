// SPDX-License-Identifier: GPL-2.0-or-later OR MIT

//! The guest-visible contract of the `my_rng` device and of its Linux driver, stated once.
//!
//! This file is compiled into the device model, the kernel module, the app and the tests, each of
//! which takes it with `#[path]`: plain constants, `core` only, edition 2021. What the numbers mean
//! is told in `docs/my-rng.rst`.

/// PCI vendor id (QEMU's range for devices that exist only in emulation).
pub const PCI_VENDOR_ID: u16 = 0x1234;
/// PCI device id.
pub const PCI_DEVICE_ID: u16 = 0xcafe;
/// PCI revision id.
pub const PCI_REVISION: u8 = 0x10;
/// PCI class code (class 0x00, subclass 0xff): a device that fits no other class.
pub const PCI_CLASS: u16 = 0x00ff;

/// The base address register behind which the device's registers stand.
pub const BAR: u8 = 0;
/// The size of that BAR, in bytes.
pub const BAR_SIZE: usize = 4096;

/// The width of each register, in bytes; no other access width does anything.
pub const REG_SIZE: usize = 4;
/// `RNG`, read-only: the next number of the stream; every read takes one.
pub const REG_RNG: usize = 0x0;
/// `SEED`, write-only: restarts the stream from the seed written.
pub const REG_SEED: usize = 0x4;
/// `INFO`, read-only: what the device is; reading it takes no number. See [`info`].
pub const REG_INFO: usize = 0x8;

/// Bits 31 to 16 of `INFO`. A device from before the register reads as 0 there.
pub const INFO_SIGNATURE: u16 = 0x524e;
/// The id, in bits 7 to 0 of `INFO`, of the generator that gives what glibc's `rand` gives: numbers of
/// 31 bits, from a seed.
pub const GENERATOR_LIBC: u8 = 0;
/// The id of ChaCha20: words of 32 bits, from a seed.
pub const GENERATOR_CHACHA20: u8 = 1;
/// The id of the host's own source: words of 32 bits, which nothing foretells; it takes no seed.
pub const GENERATOR_HOST: u8 = 2;

/// The value of `INFO` for a generator. Bits 15 to 8 are 0 and reserved: whoever reads the register has
/// to leave them out of account.
pub const fn info(generator: u8) -> u32 {
    (INFO_SIGNATURE as u32) << 16 | generator as u32
}

/// The seed that a device behaves as if it had been given, until it is given one.
pub const DEFAULT_SEED: u32 = 1;

/// The name of the first device's node, under `/dev`.
pub const NODE_NAME: &str = "my_rng_driver";

/// The type ("magic") byte of the driver's ioctl numbers.
pub const IOCTL_TYPE: u32 = b'q' as u32;
/// The sequence number that both ioctls share; they differ in direction.
pub const IOCTL_NR: u32 = 1;
/// `_IOR('q', 1, unsigned int)`: stores the next number where the argument points.
pub const IOCTL_RAND: u32 = ioctl_number(IOC_READ);
/// `_IOW('q', 1, unsigned int)`: seeds the device with the number the argument points to.
pub const IOCTL_SEED: u32 = ioctl_number(IOC_WRITE);

const IOC_WRITE: u32 = 1;
const IOC_READ: u32 = 2;

// The layout of asm-generic/ioctl.h: nr 0..8, type 8..16, size 16..30, direction 30..32.
const fn ioctl_number(direction: u32) -> u32 {
    (direction << 30) | ((u32::BITS / 8) << 16) | (IOCTL_TYPE << 8) | IOCTL_NR
}

const _: () = assert!(IOCTL_RAND == 0x8004_7101 && IOCTL_SEED == 0x4004_7101);
