// SPDX-License-Identifier: GPL-2.0-or-later

//! An open device.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::open_file::{Access, OpenFile};
use crate::pci::Pci;
use crate::{BufferedDevice, DeviceRng, Error, ErrorKind, Info, Operation, abi};

/// An open device.
///
/// All openers of a device share its stream: numbers that one reads are gone for the others, and seeding restarts the
/// stream for all.
///
/// [`Read`] works like [`read_bytes`](Self::read_bytes), and its errors contain an [`Error`]. A wrapper that buffers,
/// such as `BufReader` or [`BufferedDevice`], takes more numbers from the stream than it returns.
///
/// # Without a driver
///
/// ```no_run
/// let device = my_rng::Device::open("pci")?;
/// # Ok::<(), my_rng::Error>(())
/// ```
///
/// opens the first device that no driver is bound to, and `pci:0000:00:04.0` the one at this PCI address. (A file of
/// that name is `./pci`.) This needs root, and a kernel that is not locked down. The registers then give the same numbers
/// as the node would, more slowly, and [`fill_mapped`](Self::fill_mapped) is unsupported.
///
/// The device belongs to this `Device` until it is dropped: others cannot open it ([`ErrorKind::Busy`]), it is enabled,
/// and its `driver_override` in sysfs keeps drivers off. Dropping it undoes this, and lets a driver that was loaded
/// meanwhile bind. If the process is killed, the device stays enabled and kept from drivers until it is opened and
/// dropped once more.
#[derive(Debug)]
pub struct Device {
    handle: Handle,
    path: PathBuf,
}

#[derive(Debug)]
enum Handle {
    Node(OpenFile),
    Pci(Pci),
}

impl Device {
    /// Opens the node at `path`, or a device [without a driver](#without-a-driver), for reading and seeding.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_for(path.as_ref(), Access::ReadWrite)
    }

    /// Opens it only for reading, which needs fewer permissions. [`seed`](Self::seed) then fails.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_for(path.as_ref(), Access::ReadOnly)
    }

    fn open_for(path: &Path, access: Access) -> Result<Self, Error> {
        let (handle, path) = match Pci::open(path, Path::new("/sys"), access) {
            Some(pci) => {
                let pci = pci?;
                let name = pci.name();
                (Handle::Pci(pci), name)
            }
            None => {
                let node = OpenFile::open(path, access)
                    .map_err(|source| Error::new(Operation::Open, path, source))?;
                (Handle::Node(node), path.to_owned())
            }
        };
        Ok(Self { handle, path })
    }

    /// The path of its node; without a driver, `pci:` and its address.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Restarts the stream from `seed`. A device with the generator [`Host`](crate::Generator::Host) has no seed and
    /// ignores it.
    pub fn seed(&self, seed: u32) -> Result<(), Error> {
        let result = match &self.handle {
            Handle::Node(node) => node.seed(seed),
            Handle::Pci(pci) => pci.seed(seed),
        };
        result.map_err(|source| self.error(Operation::Seed, source))
    }

    /// Takes the next number of the stream. Every driver of the device supports this.
    pub fn next_u32(&self) -> Result<u32, Error> {
        let result = match &self.handle {
            Handle::Node(node) => node.rand(),
            Handle::Pci(pci) => pci.rand(),
        };
        result.map_err(|source| self.error(Operation::Read, source))
    }

    /// Takes numbers from the stream into `buffer`, as little-endian bytes, and returns how many bytes. This is one
    /// `read()` of the node.
    ///
    /// The result is shorter than `buffer` if a signal arrived, the device went away, or the host ran out of entropy
    /// ([`Host`](crate::Generator::Host)). A signal loses no numbers. In the other two cases up to 512 bytes of good
    /// numbers, those taken last, can be lost. If the length of `buffer` is not a multiple of four, the rest of its last
    /// number is lost.
    ///
    /// Fails with [`ErrorKind::Unsupported`] if the driver has no `read()`. If the node is not the driver's, this
    /// returns whatever the file's `read()` returns.
    pub fn read_bytes(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let result = match &self.handle {
            Handle::Node(node) => node.read(buffer),
            Handle::Pci(pci) => pci.read(buffer),
        };
        let length = result.map_err(|source| self.error(Operation::Read, source))?;
        if length == 0 && !buffer.is_empty() {
            return Err(self.error(Operation::Read, io::ErrorKind::UnexpectedEof.into()));
        }
        // The driver never does this. If it were accepted, all later numbers would be shifted unnoticed.
        if length < buffer.len() && length % abi::REG_SIZE != 0 {
            return Err(self.error(Operation::Read, io::ErrorKind::InvalidData.into()));
        }
        Ok(length)
    }

    /// Fills `buffer` with bytes of the stream, like [`read_bytes`](Self::read_bytes), and continues after signals.
    /// After an error it is unknown how many numbers were taken.
    pub fn fill_bytes(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut rest = buffer;
        while !rest.is_empty() {
            match self.read_bytes(rest) {
                Ok(length) => rest = rest.get_mut(length..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The largest length, in bytes, for [`Self::fill_mapped`].
    pub const MAPPED_MAX: usize = abi::BULK_MAX_BYTES;

    /// Takes numbers from the stream and returns the memory that the device has written them to: `length`
    /// little-endian bytes, the same that [`read_bytes`](Self::read_bytes) would return. `length` is at most
    /// [`MAPPED_MAX`](Self::MAPPED_MAX). If it is not a multiple of four, the rest of the last number is dropped.
    /// Signals do not shorten the result.
    ///
    /// This saves the copy that a read makes. The first call maps memory, which takes as long as reading some hundred
    /// kilobytes, so it pays off from about one megabyte. Each `Device` has its own memory until it is dropped.
    ///
    /// It needs a device with the bulk engine (see [`Info::bulk`]) and a driver that supports it. Otherwise, or if the
    /// engine does not work now, it fails with [`ErrorKind::Unsupported`]; use a read instead:
    ///
    /// ```no_run
    /// let mut device = my_rng::open()?;
    /// let mut buffer = [0; 65536];
    /// let ones: u32 = match device.fill_mapped(65536) {
    ///     Ok(bytes) => bytes.iter().map(|byte| byte.count_ones()).sum(),
    ///     Err(error) if error.kind() == my_rng::ErrorKind::Unsupported => {
    ///         device.fill_bytes(&mut buffer)?;
    ///         buffer.iter().map(|byte| byte.count_ones()).sum()
    ///     }
    ///     Err(error) => return Err(error),
    /// };
    /// # let _ = ones;
    /// # Ok::<(), my_rng::Error>(())
    /// ```
    ///
    /// The result must not be used after the next call; the compiler refuses this:
    ///
    /// ```compile_fail,E0499
    /// let mut device = my_rng::open()?;
    /// let first = device.fill_mapped(4)?;
    /// let second = device.fill_mapped(4)?;
    /// assert_ne!(first, second);
    /// # Ok::<(), my_rng::Error>(())
    /// ```
    ///
    /// If the process forks without exec, which needs unsafe code, parent and child share the memory: only one of
    /// them may use the `Device` afterwards.
    pub fn fill_mapped(&mut self, length: usize) -> Result<&[u8], Error> {
        if length > Self::MAPPED_MAX {
            return Err(self.error(Operation::Fill, io::ErrorKind::InvalidInput.into()));
        }
        let result = match &mut self.handle {
            Handle::Node(node) => node
                .map()
                .map_err(|source| (Operation::Map, source))
                .and_then(|()| {
                    node.fill(length)
                        .map_err(|source| (Operation::Fill, source))
                }),
            // Only a driver can give the device memory to write to.
            Handle::Pci(_) => Err((Operation::Map, io::Error::from_raw_os_error(libc::ENODEV))),
        };
        match result {
            Ok(()) => Ok(self.filled()),
            Err((operation, source)) => Err(self.error(operation, source)),
        }
    }

    /// Returns the result of the last [`Self::fill_mapped`] again; an empty slice if it failed.
    pub fn filled(&self) -> &[u8] {
        match &self.handle {
            Handle::Node(node) => node.filled(),
            Handle::Pci(_) => &[],
        }
    }

    /// Describes the device. Takes no number.
    pub fn info(&self) -> Result<Info, Error> {
        let node = match &self.handle {
            Handle::Node(node) => node,
            Handle::Pci(pci) => return Ok(pci.info()),
        };
        let fdinfo = format!("/proc/self/fdinfo/{}", node.number());
        let text = fs::read_to_string(fdinfo)
            .map_err(|source| Error::new(Operation::Info, &self.path, source))?;
        Info::parse(&self.path, &text, Path::new("/sys"))
    }

    /// Puts a buffer before it, like [`BufferedDevice::new`].
    pub fn buffered(self) -> BufferedDevice {
        BufferedDevice::new(self)
    }

    /// Makes it a generator for `rand`, like [`DeviceRng::new`].
    pub fn into_rng(self) -> Result<DeviceRng, Error> {
        DeviceRng::new(self)
    }

    fn error(&self, operation: Operation, source: io::Error) -> Error {
        Error::new(operation, &self.path, source)
    }
}

/// The descriptor of the node, for system calls that this library does not make. Do not map its memory and do not use
/// the ioctl `FILL` on it or a copy of it: both belong to [`Device::fill_mapped`], which relies on nobody else writing
/// to the memory that it lends. Without a driver it is the descriptor of the BAR's file in sysfs.
impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Node(node) => node.as_fd(),
            Handle::Pci(pci) => pci.file().as_fd(),
        }
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
pub(crate) mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    /// A file, which can stand in for the device as far as `read()` goes.
    pub(crate) fn fake(bytes: &[u8]) -> (Device, tempfile::NamedTempFile) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("its contents");
        let device = Device::open(file.path()).expect("a file can be opened");
        (device, file)
    }

    #[test]
    fn read_returns_the_length_that_the_driver_returns() {
        let (device, _file) = fake(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut buffer = [0; 6];
        assert_eq!(device.read_bytes(&mut []).expect("nothing"), 0);
        assert_eq!(device.read_bytes(&mut buffer).expect("bytes"), 6);
        assert_eq!(buffer, [1, 2, 3, 4, 5, 6]);

        let (device, _file) = fake(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(device.read_bytes(&mut [0; 100]).expect("bytes"), 8);
        let end = device.read_bytes(&mut [0; 100]).expect_err("the end");
        assert_eq!(end.kind(), ErrorKind::WrongDevice);
    }

    #[test]
    fn part_of_a_number_is_an_error() {
        let (device, _file) = fake(&[1, 2, 3, 4, 5]);
        let error = device.read_bytes(&mut [0; 8]).expect_err("five bytes");
        assert_eq!(error.operation(), Operation::Read);
        assert_eq!(error.kind(), ErrorKind::WrongDevice);
    }

    #[test]
    fn fill_bytes_continues_until_the_buffer_is_full() {
        let (device, _file) = fake(&[9; 8]);
        let mut buffer = [0; 8];
        device.fill_bytes(&mut buffer).expect("bytes");
        assert_eq!(buffer, [9; 8]);

        let (device, _file) = fake(&[9; 8]);
        let error = device.fill_bytes(&mut [0; 12]).expect_err("too few");
        assert_eq!(error.operation(), Operation::Read);
    }

    #[test]
    fn errors_of_read_keep_their_advice() {
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

    /// A regular file could be mapped, but it can be changed or truncated while it is borrowed.
    #[test]
    fn regular_file_is_not_mapped() {
        let (mut device, file) = fake(&[1; 8]);
        assert_eq!(device.filled(), []);
        let error = device.fill_mapped(8).expect_err("no node");
        assert_eq!(error.operation(), Operation::Map);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.path(), file.path());
        assert_eq!(device.filled(), []);
        device.fill_bytes(&mut [0; 8]).expect("bytes");
    }

    #[test]
    fn node_without_mmap_is_unsupported() {
        // Cannot be mapped, like the node of an older driver.
        let mut device = Device::open("/dev/null").expect("a node");
        let error = device.fill_mapped(8).expect_err("no mmap");
        assert_eq!(error.operation(), Operation::Map);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("use a read"), "{error}");
    }

    #[test]
    fn fill_of_more_than_the_maximum_is_refused() {
        let (mut device, _file) = fake(&[]);
        for length in [Device::MAPPED_MAX + 1, 1 << 32, usize::MAX] {
            let error = device.fill_mapped(length).expect_err("too much");
            assert_eq!(error.operation(), Operation::Fill);
            assert!(error.to_string().contains("262144"), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn descriptor_is_that_of_the_node() {
        let (device, file) = fake(&[1; 8]);
        let copy = device.as_fd().try_clone_to_owned().expect("a copy");
        let of_copy = fs::File::from(copy).metadata().expect("metadata");
        let of_file = file.as_file().metadata().expect("metadata");
        assert_eq!(of_copy.ino(), of_file.ino());
    }

    #[test]
    fn device_and_rng_are_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<Device>();
        check::<BufferedDevice>();
        check::<DeviceRng>();
    }

    #[test]
    fn info_of_a_regular_file_is_unsupported() {
        let (device, file) = fake(&[]);
        let error = device.info().expect_err("no my_rng lines");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.path(), file.path());
    }
}
