// SPDX-License-Identifier: GPL-2.0-or-later

//! The library's error: what failed on which node, why, and how to fix it.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::diagnosis::{self, Diagnosis};

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening the node.
    Open,
    /// Seeding the device.
    Seed,
    /// Taking numbers from it.
    Read,
    /// Mapping the memory that it fills.
    Map,
    /// Filling that memory.
    Fill,
    /// Querying the driver.
    Info,
    /// Creating a [`DeviceRng`](crate::DeviceRng).
    Rng,
    /// Listing the nodes; the path is the directory.
    List,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Seed => "seed",
            Self::Read => "read from",
            Self::Map => "map memory of",
            Self::Fill => "fill memory from",
            Self::Info => "get information on",
            Self::Rng => "take uniform numbers from",
            Self::List => "look for nodes in",
        })
    }
}

/// An operation on a device failed. The message is one sentence that ends with how to fix it. The system's error
/// is the [`source`](error::Error::source).
#[derive(Debug)]
pub struct Error {
    operation: Operation,
    path: PathBuf,
    advice: String,
    source: io::Error,
}

impl Error {
    pub(crate) fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        // Diagnose now: the machine may have changed when the message is printed.
        let advice = advice(operation, path, &source, Path::new("/sys"));
        Self::with_advice(operation, path, advice, source)
    }

    /// Creates an error whose cause is not in `source`: `advice` says what is wrong and how to fix it.
    pub(crate) fn with_advice(
        operation: Operation,
        path: &Path,
        advice: String,
        source: io::Error,
    ) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            advice,
            source,
        }
    }

    /// The operation that failed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The path of the node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error number, if the error comes from the system.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether the driver does not support this operation: it is older than this library, or the node belongs to
    /// another driver. Every my_rng driver supports [`Device::seed`](crate::Device::seed) and
    /// [`Device::next_u32`](crate::Device::next_u32).
    ///
    /// For [`Device::fill`](crate::Device::fill) this is also true if the device has no bulk engine or the engine
    /// does not work now. Use a read instead, which does not need it.
    pub fn is_unsupported(&self) -> bool {
        match self.operation {
            // A file without read().
            Operation::Read => self.raw_os_error() == Some(libc::EINVAL),
            // A node without mmap(), or a device without the engine.
            Operation::Map => self.raw_os_error() == Some(libc::ENODEV),
            Operation::Fill => matches!(self.raw_os_error(), Some(libc::ENOTTY | libc::EIO)),
            Operation::Info => self.source.kind() == io::ErrorKind::Unsupported,
            _ => false,
        }
    }
}

/// For the traits of [`std::io`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.source.kind(), error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "cannot {} {path}: {}", self.operation, self.advice)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

fn advice(operation: Operation, path: &Path, source: &io::Error, sysfs: &Path) -> String {
    if operation == Operation::List {
        return format!("{source}; is this a Linux with a /dev?");
    }
    if let Some(advice) = diagnosis::of_stale_node(path, sysfs) {
        return advice;
    }
    let path = path.display();
    let use_node = format!(
        "use the driver's node (/dev/{} for the first device)",
        abi::NODE_NAME
    );
    match source.raw_os_error() {
        // The node is open, so the missing file is its fdinfo.
        Some(libc::ENOENT) if operation == Operation::Info => {
            "this needs /proc, which is not mounted; mount it (`mount -t proc proc /proc`)".to_owned()
        }
        Some(libc::ENOENT) => Diagnosis::read(sysfs).advice(),
        Some(libc::EACCES | libc::EPERM) => {
            "permission denied; run as root (`sudo`), or install the \
             driver's udev rule (60-my_rng.rules) and join its group (`usermod -aG my_rng USER`)"
                .to_owned()
        }
        Some(libc::ENODEV | libc::ENXIO) => match operation {
            Operation::Map => "the device has no bulk engine or is gone, or the driver is too old to support \
                               it; start QEMU without `bulk=off` and load the my_rng.ko of the same \
                               release, or use read()"
                .to_owned(),
            Operation::Open => "no driver uses this node; load the driver as root with `modprobe my_rng` or \
                                `insmod my_rng.ko`"
                .to_owned(),
            _ => "the device is gone (unbound from its driver, or unplugged); bring it back and \
                  open the node again"
                .to_owned(),
        },
        Some(libc::EIO) if operation == Operation::Fill => {
            "the host has no entropy now, or bus mastering is off for the device (`lspci -v` does not show \
             `bus master`); try again later, or use read()"
                .to_owned()
        }
        Some(libc::EIO) if operation == Operation::Read => {
            "the host has no entropy now; try again later, or use another generator than `host`".to_owned()
        }
        Some(libc::ENOTTY) if operation == Operation::Fill => {
            format!("{}, or use read()", too_old("bulk transfers", &use_node))
        }
        Some(libc::ENOTTY) => format!("it is not a my_rng device; {use_node}"),
        Some(libc::EISDIR | libc::ENOTDIR) => {
            format!("{path} is not a device node; {use_node}")
        }
        Some(libc::EINVAL) if operation == Operation::Read => too_old("read()", &use_node),
        Some(_) => format!("{source}; the kernel's log (`dmesg`) may say more"),
        None => match (operation, source.kind()) {
            (Operation::Info, io::ErrorKind::Unsupported) => too_old("queries", &use_node),
            (Operation::Read, io::ErrorKind::UnexpectedEof) => {
                format!("end of file, so it is not a my_rng device; {use_node}")
            }
            (Operation::Read, io::ErrorKind::InvalidData) => {
                format!("it did not return whole numbers, so it is not a my_rng device; {use_node}")
            }
            (Operation::Fill, io::ErrorKind::InvalidInput) => format!(
                "the length is too large; fill at most {} bytes at a time",
                abi::BULK_MAX_BYTES
            ),
            _ => format!("{source}; {use_node}"),
        },
    }
}

fn too_old(feature: &str, use_node: &str) -> String {
    format!(
        "the driver does not support {feature} because it is older than this program; load the my_rng.ko \
         of the same release, or {use_node} if this is another"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(operation: Operation, errno: i32) -> String {
        let source = io::Error::from_raw_os_error(errno);
        Error::new(operation, Path::new("/dev/node"), source).to_string()
    }

    #[test]
    fn every_message_is_one_line_with_the_node_and_a_fix() {
        for errno in 1..134 {
            for operation in [
                Operation::Open,
                Operation::Seed,
                Operation::Read,
                Operation::Map,
                Operation::Fill,
                Operation::Info,
            ] {
                let message = message(operation, errno);
                assert!(
                    message.starts_with(&format!("cannot {operation} /dev/node: ")),
                    "{message}"
                );
                assert!(!message.contains('\n'), "{message}");
                assert!(message.contains("; "), "no advice: {message}");
            }
        }
    }

    #[test]
    fn messages_say_how_to_fix_the_error() {
        for (operation, errno, fix) in [
            (Operation::Open, libc::EACCES, "sudo"),
            (Operation::Open, libc::EPERM, "udev"),
            (Operation::Open, libc::ENODEV, "modprobe my_rng"),
            (Operation::Read, libc::ENODEV, "the device is gone"),
            (Operation::Seed, libc::ENODEV, "the device is gone"),
            (Operation::Read, libc::ENOTTY, "/dev/my_rng_driver"),
            (Operation::Open, libc::EISDIR, "/dev/my_rng_driver"),
            (Operation::Read, libc::EIO, "the host has no entropy"),
            (Operation::Seed, libc::EIO, "dmesg"),
            (
                Operation::Map,
                libc::ENODEV,
                "start QEMU without `bulk=off`",
            ),
            (Operation::Map, libc::ENODEV, "or use read()"),
            (Operation::Map, libc::ENOMEM, "dmesg"),
            (Operation::Fill, libc::ENODEV, "the device is gone"),
            (Operation::Fill, libc::EIO, "bus master"),
            (
                Operation::Fill,
                libc::ENOTTY,
                "my_rng.ko of the same release",
            ),
            (
                Operation::Read,
                libc::EINVAL,
                "my_rng.ko of the same release",
            ),
            (Operation::Info, libc::EMFILE, "dmesg"),
            (Operation::Info, libc::ENOENT, "mount -t proc"),
        ] {
            let message = message(operation, errno);
            assert!(message.contains(fix), "{message} lacks {fix}");
        }
    }

    #[test]
    fn a_missing_node_is_diagnosed() {
        let empty = tempfile::tempdir().expect("temporary folder");
        let missing = io::Error::from_raw_os_error(libc::ENOENT);
        let advice = advice(
            Operation::Open,
            Path::new("/dev/node"),
            &missing,
            empty.path(),
        );
        assert!(advice.contains("insmod my_rng.ko"), "{advice}");
        assert!(advice.contains("lspci -d 1234:cafe"), "{advice}");
        assert!(advice.contains("-device my_rng"), "{advice}");
    }

    #[test]
    fn the_system_error_is_the_source() {
        let error = Error::new(
            Operation::Read,
            Path::new("/dev/node"),
            io::Error::from_raw_os_error(libc::ENODEV),
        );
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert!(error::Error::source(&error).is_some());
    }

    #[test]
    fn unsupported_is_not_the_same_as_failed() {
        let error = |operation, errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::new(operation, Path::new("/dev/node"), source)
        };
        assert!(error(Operation::Read, libc::EINVAL).is_unsupported());
        assert!(!error(Operation::Read, libc::ENODEV).is_unsupported());
        assert!(!error(Operation::Read, libc::ENOTTY).is_unsupported());
        assert!(!error(Operation::Open, libc::EINVAL).is_unsupported());
        assert!(error(Operation::Map, libc::ENODEV).is_unsupported());
        assert!(!error(Operation::Map, libc::ENOMEM).is_unsupported());
        assert!(error(Operation::Fill, libc::ENOTTY).is_unsupported());
        assert!(error(Operation::Fill, libc::EIO).is_unsupported());
        // The device is gone: a read fails too.
        assert!(!error(Operation::Fill, libc::ENODEV).is_unsupported());
    }

    #[test]
    fn io_error_keeps_kind_and_message() {
        let source = io::Error::from_raw_os_error(libc::EINTR);
        let error = Error::new(Operation::Read, Path::new("/dev/node"), source);
        let message = error.to_string();
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert_eq!(error.to_string(), message);
    }
}
