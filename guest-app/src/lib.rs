// SPDX-License-Identifier: GPL-2.0-or-later

//! Client library for the `my_rng` device, over its Linux driver's character device, or without a driver.
//!
//! ```no_run
//! let device = my_rng::open()?;
//! device.seed(0x42)?;
//! assert_eq!(device.next_u32()?, 286129175);
//! # Ok::<(), my_rng::Error>(())
//! ```
//!
//! [`open`] opens the first device, [`Device::open`] any, and [`list`] finds them. [`Device::info`] describes a device.
//! Where the kernel has no driver, `Device::open("pci")` opens the device itself, as root.
//!
//! [`Device::read_bytes`] and [`Device::fill_bytes`] take many numbers at a time. [`Device::fill_mapped`] returns a
//! slice of the memory that the device has written, without a copy, if the device has the bulk engine.
//! [`BufferedDevice`] makes single numbers cheap: it takes many of them ahead.
//!
//! [`DeviceRng`] is a generator for `rand` and everything else that builds on `rand_core`. It needs a device whose
//! numbers have all 32 bits (any generator except `libc`).
//!
//! An [`Error`] is one sentence that says how to fix it, and has a [kind](Error::kind) for programs.
//!
//! A seeded stream is predictable by design: never use it for keys or passwords.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
mod buffered;
mod device;
mod diagnosis;
mod error;
mod info;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../abi/known_answers.rs"]
mod known_answers;
mod nodes;
mod open_file;
mod pci;
mod registers;
mod rng;

use std::path::{Path, PathBuf};

pub use buffered::BufferedDevice;
pub use device::Device;
pub use error::{Error, ErrorKind, Operation};
pub use info::{Generator, Info};
pub use nodes::list;
/// The version of `rand_core` whose traits [`DeviceRng`] implements.
pub use rand_core;
pub use rng::DeviceRng;

/// The node of the first device, `/dev/my_rng_driver`.
pub fn default_path() -> PathBuf {
    Path::new("/dev").join(abi::NODE_NAME)
}

/// Opens the first device: [`Device::open`] with the [`default_path`].
pub fn open() -> Result<Device, Error> {
    Device::open(default_path())
}
