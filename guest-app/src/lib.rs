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
//! [`DeviceRng`] makes a device whose numbers have all 32 bits (the generators `chacha20` and `host`) a
//! generator for `rand` and for whatever else builds on `rand_core`. [`Device::info`] tells which
//! generator a device has, [`list`] which nodes there are.
//!
//! A seeded stream is predictable by design: never make keys or passwords of it.

// The file is also compiled into the kernel module, whose edition's prelude holds less.
#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
mod diagnosis;
mod error;
mod info;
mod ioctl;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../abi/known_answers.rs"]
mod known_answers;
mod nodes;
mod rng;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

pub use error::{Error, Operation};
pub use info::{Generator, Info};
pub use nodes::list;
/// The crate whose traits [`DeviceRng`] has, in the version in which it has them.
pub use rand_core;
pub use rng::DeviceRng;

/// The node of the first device, `/dev/my_rng_driver`.
pub fn default_path() -> PathBuf {
    Path::new("/dev").join(abi::NODE_NAME)
}

/// An open device node.
///
/// All openers of a node share the one stream of its device: whoever reads takes numbers from the
/// others, and whoever seeds restarts the stream for all.
///
/// As [`Read`], it is the stream's bytes, as [`read_bytes`](Self::read_bytes) gives them; the errors carry
/// an [`Error`]. What wraps it, such as a `BufReader`, may take more from the stream than it hands on.
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

    /// The node that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Restarts the stream from `seed`. A device with the generator [`Generator::Host`] has no seed, and
    /// goes on as if nothing had been said.
    pub fn seed(&self, seed: u32) -> Result<(), Error> {
        ioctl::seed(self.node.as_fd(), seed).map_err(|source| self.error(Operation::Seed, source))
    }

    /// Takes the next number of the stream. Every driver of the device can do this.
    pub fn next_u32(&self) -> Result<u32, Error> {
        ioctl::rand(self.node.as_fd()).map_err(|source| self.error(Operation::Read, source))
    }

    /// Takes numbers from the stream, as little-endian bytes, into `buffer`; returns how many bytes. Those
    /// are fewer than there is room for if a signal arrived or the device went away; what was taken is
    /// never lost. Only where the length of `buffer` is no multiple of four, the rest of its last number
    /// is dropped.
    ///
    /// This is one `read()` of the node, for many numbers at the price of one system call. A driver that has
    /// none fails with an error that [is unsupported](Error::is_unsupported); any other file than the
    /// driver's node gives what its own `read()` gives.
    pub fn read_bytes(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let length = (&self.node)
            .read(buffer)
            .map_err(|source| self.error(Operation::Read, source))?;
        if length == 0 && !buffer.is_empty() {
            return Err(self.error(Operation::Read, io::ErrorKind::UnexpectedEof.into()));
        }
        // The driver never does this. Going on would shift all that follows, and nobody would notice.
        if length < buffer.len() && length % abi::REG_SIZE != 0 {
            return Err(self.error(Operation::Read, io::ErrorKind::InvalidData.into()));
        }
        Ok(length)
    }

    /// Fills `buffer` with the stream's bytes, as [`read_bytes`](Self::read_bytes) gives them, whatever
    /// signals arrive meanwhile. After an error there is no telling how many numbers were taken.
    pub fn fill_bytes(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut rest = buffer;
        while !rest.is_empty() {
            match self.read_bytes(rest) {
                Ok(length) => rest = rest.get_mut(length..).unwrap_or_default(),
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the driver says of the device. Takes no number.
    pub fn info(&self) -> Result<Info, Error> {
        let fdinfo = format!("/proc/self/fdinfo/{}", self.node.as_raw_fd());
        let text = fs::read_to_string(fdinfo)
            .map_err(|source| Error::new(Operation::Info, &self.path, source))?;
        Info::parse(&self.path, &text, Path::new("/sys"))
    }

    /// Makes a generator for `rand` of it, as [`DeviceRng::new`] does.
    pub fn into_rng(self) -> Result<DeviceRng, Error> {
        DeviceRng::new(self)
    }

    fn error(&self, operation: Operation, source: io::Error) -> Error {
        Error::new(operation, &self.path, source)
    }
}

impl Read for &Device {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_bytes(buffer)?)
    }
}

impl Read for Device {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file is device enough for what goes by `read()`.
    pub(crate) fn fake(bytes: &[u8]) -> (Device, tempfile::NamedTempFile) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("its contents");
        let device = Device::open(file.path()).expect("a file can be opened");
        (device, file)
    }

    #[test]
    fn reads_come_in_the_lengths_that_the_driver_gives() {
        let (device, _file) = fake(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut buffer = [0; 6];
        assert_eq!(device.read_bytes(&mut []).expect("nothing"), 0);
        assert_eq!(device.read_bytes(&mut buffer).expect("bytes"), 6);
        assert_eq!(buffer, [1, 2, 3, 4, 5, 6]);

        let (device, _file) = fake(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(device.read_bytes(&mut [0; 100]).expect("bytes"), 8);
        let end = device.read_bytes(&mut [0; 100]).expect_err("the end");
        assert!(end.to_string().contains("it is no my_rng device"), "{end}");
    }

    /// As a reader of whole numbers would lose its place.
    #[test]
    fn a_number_in_pieces_is_refused() {
        let (device, _file) = fake(&[1, 2, 3, 4, 5]);
        let error = device.read_bytes(&mut [0; 8]).expect_err("five bytes");
        assert_eq!(error.operation(), Operation::Read);
        assert!(error.to_string().contains("whole numbers"), "{error}");
    }

    #[test]
    fn filling_goes_on_until_all_is_there() {
        let (device, _file) = fake(&[9; 8]);
        let mut buffer = [0; 8];
        device.fill_bytes(&mut buffer).expect("bytes");
        assert_eq!(buffer, [9; 8]);

        let (device, _file) = fake(&[9; 8]);
        let error = device.fill_bytes(&mut [0; 12]).expect_err("too few");
        assert_eq!(error.operation(), Operation::Read);
    }

    #[test]
    fn as_a_reader_its_errors_keep_their_advice() {
        let (mut device, _file) = fake(&[7; 8]);
        let mut bytes = Vec::new();
        Read::take(&mut device, 8)
            .read_to_end(&mut bytes)
            .expect("bytes");
        assert_eq!(bytes, [7; 8]);
        let error = device.read_exact(&mut [0; 4]).expect_err("the end");
        assert!(error.to_string().contains("/dev/my_rng_driver"), "{error}");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()));
    }

    #[test]
    fn a_file_that_is_no_node_tells_nothing() {
        let (device, file) = fake(&[]);
        let error = device.info().expect_err("no my_rng lines");
        assert!(error.is_unsupported());
        assert_eq!(error.path(), file.path());
    }
}
