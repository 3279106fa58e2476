// SPDX-License-Identifier: GPL-2.0-or-later

//! Client library of the `my_rng` device, over the character device of its Linux driver.
//!
//! ```no_run
//! let device = my_rng::Device::open(&my_rng::default_path())?;
//! device.seed(0x42)?;
//! assert_eq!(device.next_u32()?, 286129175);
//! # Ok::<(), my_rng::Error>(())
//! ```
//!
//! A seeded stream is predictable by design: never make keys or passwords of it.

// The file is also compiled into the kernel module, whose edition's prelude holds less.
#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
mod diagnosis;
mod error;
mod ioctl;

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

pub use error::{Error, Operation};

/// The node of the first device, `/dev/my_rng_driver`.
pub fn default_path() -> PathBuf {
    Path::new("/dev").join(abi::NODE_NAME)
}

/// An open device node.
///
/// All openers of a node share the one stream of its device: whoever reads takes numbers from the
/// others, and whoever seeds restarts the stream for all.
#[derive(Debug)]
pub struct Device {
    node: File,
    path: PathBuf,
}

impl Device {
    /// Opens the node at `path`, read-write as the classic clients do.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let node = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| Error::new(Operation::Open, path, source))?;
        Ok(Self {
            node,
            path: path.to_owned(),
        })
    }

    /// Restarts the stream from `seed`.
    pub fn seed(&self, seed: u32) -> Result<(), Error> {
        ioctl::seed(self.node.as_fd(), seed)
            .map_err(|source| Error::new(Operation::Seed, &self.path, source))
    }

    /// Takes the next number of the stream.
    pub fn next_u32(&self) -> Result<u32, Error> {
        ioctl::rand(self.node.as_fd())
            .map_err(|source| Error::new(Operation::Read, &self.path, source))
    }
}
