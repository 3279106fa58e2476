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
//! [`Device::read_bytes`] and [`Device::fill_bytes`] take many numbers at a time. [`Device::fill`] lends them
//! where the device has written them, without a copy, if it has an engine for that.
//!
//! [`DeviceRng`] makes a device whose numbers have all 32 bits (all generators but `libc`) a
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
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../abi/known_answers.rs"]
mod known_answers;
mod nodes;
mod open_file;
mod rng;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use error::{Error, Operation};
pub use info::{Generator, Info};
pub use nodes::list;
use open_file::OpenFile;
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
    node: OpenFile,
    path: PathBuf,
}

impl Device {
    /// Opens the node at `path`, read-write as the classic clients do.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let node =
            OpenFile::open(path).map_err(|source| Error::new(Operation::Open, path, source))?;
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
        self.node
            .seed(seed)
            .map_err(|source| self.error(Operation::Seed, source))
    }

    /// Takes the next number of the stream. Every driver of the device can do this.
    pub fn next_u32(&self) -> Result<u32, Error> {
        self.node
            .rand()
            .map_err(|source| self.error(Operation::Read, source))
    }

    /// Takes numbers from the stream, as little-endian bytes, into `buffer`; returns how many bytes. Those
    /// are fewer than there is room for if a signal arrived, the device went away, or its host ran out of
    /// entropy ([`Generator::Host`]). A signal loses no numbers. In the other two cases up to 256 bytes of good
    /// numbers, those taken last, can be lost. If the length of `buffer` is not a multiple of four, the rest of
    /// its last number is lost.
    ///
    /// This is one `read()` of the node, for many numbers at the price of one system call. A driver that has
    /// none fails with an error that [is unsupported](Error::is_unsupported); any other file than the
    /// driver's node gives what its own `read()` gives.
    pub fn read_bytes(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let length = self
            .node
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

    /// How many bytes [`Self::fill`] gives at most.
    pub const FILL_MAX: usize = abi::BULK_MAX_BYTES;

    /// Takes numbers from the stream, as the little-endian bytes that [`read_bytes`](Self::read_bytes) gives,
    /// and lends them where the device has written them. It is always all of `length` bytes, of which there
    /// can be [`FILL_MAX`](Self::FILL_MAX), whatever signals arrive meanwhile; where the length is no multiple
    /// of four, the rest of the last number is dropped.
    ///
    /// This saves the copy that a read makes. The first call maps memory, which takes as long as to read some
    /// hundred kilobytes, so it is for whoever wants much: from a megabyte on it pays. Each `Device` has its
    /// memory for itself, up to its end, also of those that were opened at the same node.
    ///
    /// It needs a device with an engine (see [`Info::bulk`]) and a driver that knows of it. Where one of them
    /// is not there, or the engine does not work now, the error [is unsupported](Error::is_unsupported), and
    /// a read is what there is instead:
    ///
    /// ```no_run
    /// let mut device = my_rng::Device::open(&my_rng::default_path())?;
    /// let mut buffer = [0; 65536];
    /// let ones: u32 = match device.fill(65536) {
    ///     Ok(bytes) => bytes.iter().map(|byte| byte.count_ones()).sum(),
    ///     Err(error) if error.is_unsupported() => {
    ///         device.fill_bytes(&mut buffer)?;
    ///         buffer.iter().map(|byte| byte.count_ones()).sum()
    ///     }
    ///     Err(error) => return Err(error),
    /// };
    /// # let _ = ones;
    /// # Ok::<(), my_rng::Error>(())
    /// ```
    ///
    /// What was lent has to be given back before the next call, or the compiler refuses it:
    ///
    /// ```compile_fail,E0499
    /// let mut device = my_rng::Device::open(&my_rng::default_path())?;
    /// let first = device.fill(4)?;
    /// let second = device.fill(4)?;
    /// assert_ne!(first, second);
    /// # Ok::<(), my_rng::Error>(())
    /// ```
    ///
    /// For those who fork without executing another program, which takes code that is unsafe: both processes
    /// have the same memory, so only one of them may go on using the `Device`.
    pub fn fill(&mut self, length: usize) -> Result<&[u8], Error> {
        if length > Self::FILL_MAX {
            return Err(self.error(Operation::Fill, io::ErrorKind::InvalidInput.into()));
        }
        if let Err(source) = self.node.map() {
            return Err(self.error(Operation::Map, source));
        }
        if let Err(source) = self.node.fill(length) {
            return Err(self.error(Operation::Fill, source));
        }
        Ok(self.filled())
    }

    /// What the last call of [`Self::fill`] gave, once more; nothing if it failed.
    pub fn filled(&self) -> &[u8] {
        self.node.filled()
    }

    /// What the driver says of the device. Takes no number.
    pub fn info(&self) -> Result<Info, Error> {
        let fdinfo = format!("/proc/self/fdinfo/{}", self.node.number());
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

    /// It could be mapped, but what was not filled by the driver is never lent: it could change, or go away.
    #[test]
    fn a_file_that_is_no_node_lends_nothing() {
        let (mut device, file) = fake(&[1; 8]);
        assert_eq!(device.filled(), []);
        let error = device.fill(8).expect_err("no node");
        assert_eq!(error.operation(), Operation::Map);
        assert!(error.is_unsupported());
        assert_eq!(error.path(), file.path());
        assert_eq!(device.filled(), []);
        // All else goes on.
        device.fill_bytes(&mut [0; 8]).expect("bytes");
    }

    #[test]
    fn a_node_that_has_no_memory_is_told() {
        // It cannot be mapped, as that of an older driver.
        let mut device = Device::open(Path::new("/dev/null")).expect("a node");
        let error = device.fill(8).expect_err("no mmap");
        assert_eq!(error.operation(), Operation::Map);
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("read()"), "{error}");
    }

    #[test]
    fn no_more_can_be_filled_than_there_is_memory() {
        let (mut device, _file) = fake(&[]);
        for length in [Device::FILL_MAX + 1, 1 << 32, usize::MAX] {
            let error = device.fill(length).expect_err("too much");
            assert_eq!(error.operation(), Operation::Fill);
            assert!(error.to_string().contains("262144"), "{error}");
            assert!(!error.is_unsupported());
        }
    }

    /// As it was before there was memory in it.
    #[test]
    fn it_goes_to_other_threads() {
        fn goes<T: Send + Sync>() {}
        goes::<Device>();
        goes::<DeviceRng>();
    }

    #[test]
    fn a_file_that_is_no_node_tells_nothing() {
        let (device, file) = fake(&[]);
        let error = device.info().expect_err("no my_rng lines");
        assert!(error.is_unsupported());
        assert_eq!(error.path(), file.path());
    }
}
