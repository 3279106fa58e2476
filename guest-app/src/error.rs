// SPDX-License-Identifier: GPL-2.0-or-later

//! The library's error: what failed on which device, why, and how to fix it.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::diagnosis::{self, Diagnosis};

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the device.
    Open,
    /// Seeding it.
    Seed,
    /// Taking numbers from it.
    Read,
    /// Mapping the memory that it fills.
    Map,
    /// Filling that memory.
    Fill,
    /// Querying it.
    Info,
    /// Creating a [`DeviceRng`](crate::DeviceRng).
    Rng,
    /// Listing the devices; the path is the directory.
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

/// The kind of an [`Error`], for a program that reacts to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such device, or no driver for it.
    NotFound,
    /// The caller may not open the device, or not for this operation.
    PermissionDenied,
    /// A driver or another program keeps the device for itself (see [`Device`](crate::Device#without-a-driver)).
    Busy,
    /// The device is gone. Open it again when it is back.
    Gone,
    /// The host has no entropy now ([`Generator::Host`](crate::Generator::Host)). Try again later.
    NoEntropy,
    /// The driver or the device cannot do this, or not now.
    ///
    /// Every driver can do [`Device::seed`](crate::Device::seed) and [`Device::next_u32`](crate::Device::next_u32).
    /// Where [`Device::fill_mapped`](crate::Device::fill_mapped) fails so, a read may work.
    Unsupported,
    /// The file is not a `my_rng` device.
    WrongDevice,
    /// The arguments of the call are wrong.
    InvalidInput,
    /// A signal interrupted the call.
    Interrupted,
    /// Anything else: see [`Error::raw_os_error`].
    Other,
}

/// An operation on a device failed. The message is one sentence that ends with how to fix it. The system's error
/// is the [`source`](error::Error::source).
#[derive(Debug)]
pub struct Error {
    operation: Operation,
    path: PathBuf,
    kind: ErrorKind,
    advice: String,
    source: io::Error,
}

impl Error {
    pub(crate) fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        // Diagnose now: the machine may have changed when the message is printed.
        let (kind, advice) = explain(operation, path, &source, Path::new("/sys"));
        Self {
            operation,
            path: path.to_owned(),
            kind,
            advice,
            source,
        }
    }

    /// Creates an error whose cause is not in `source`: `advice` says what is wrong and how to fix it.
    pub(crate) fn with_advice(
        operation: Operation,
        path: &Path,
        kind: ErrorKind,
        advice: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            kind,
            advice: advice.into(),
            source: source.into(),
        }
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The name by which the device was opened, usually the path of its node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error number, if the error comes from the system.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
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

/// Returns the kind of the error, what is wrong, and how to fix it.
fn explain(
    operation: Operation,
    path: &Path,
    source: &io::Error,
    sysfs: &Path,
) -> (ErrorKind, String) {
    if operation == Operation::List {
        return (
            ErrorKind::Other,
            format!("{source}; is this a Linux with a /dev?"),
        );
    }
    if let Some(advice) = diagnosis::of_stale_node(path, sysfs) {
        return (ErrorKind::NotFound, advice);
    }
    let use_node = format!(
        "use the driver's node (/dev/{} for the first device)",
        abi::NODE_NAME
    );
    let (kind, advice) = match (operation, source.raw_os_error()) {
        // The node is open, so the missing file is its fdinfo.
        (Operation::Info, Some(libc::ENOENT)) => (
            ErrorKind::Other,
            "this needs /proc; mount it (`mount -t proc proc /proc`)",
        ),
        (_, Some(libc::ENOENT)) => {
            return (ErrorKind::NotFound, Diagnosis::read(sysfs).advice());
        }
        (_, Some(libc::EACCES | libc::EPERM)) => (
            ErrorKind::PermissionDenied,
            "permission denied; use `sudo`, or join the group of the driver's udev rule \
             (`sudo usermod -aG my_rng USER`)",
        ),
        (Operation::Seed, Some(libc::EBADF)) => (
            ErrorKind::PermissionDenied,
            "it is open for reading only; open it for writing too",
        ),
        (Operation::Map, Some(libc::ENODEV)) => (
            ErrorKind::Unsupported,
            "there is no bulk engine, or no driver that can use it; use a read instead",
        ),
        (Operation::Fill, Some(libc::ENOTTY)) => (
            ErrorKind::Unsupported,
            "the driver has no bulk engine; use a read instead",
        ),
        (Operation::Fill, Some(libc::EIO)) => (
            ErrorKind::Unsupported,
            "the host has no entropy now, or the device is no bus master; use a read instead",
        ),
        (Operation::Open, Some(libc::ENODEV | libc::ENXIO)) => (
            ErrorKind::NotFound,
            "no driver uses this node; load the driver (`sudo modprobe my_rng`)",
        ),
        (_, Some(libc::ENODEV | libc::ENXIO)) => (
            ErrorKind::Gone,
            "the device is gone; bring it back and open it again",
        ),
        (Operation::Read, Some(libc::EIO)) => (
            ErrorKind::NoEntropy,
            "the host has no entropy now; try again later",
        ),
        (Operation::Read, Some(libc::EINVAL)) => (
            ErrorKind::Unsupported,
            "the driver has no read(); load the my_rng.ko of this release",
        ),
        (_, Some(libc::ENOTTY | libc::EISDIR | libc::ENOTDIR)) => {
            return not_ours(&use_node);
        }
        (_, Some(errno)) => {
            let kind = match errno {
                libc::EINTR => ErrorKind::Interrupted,
                libc::EBUSY => ErrorKind::Busy,
                _ => ErrorKind::Other,
            };
            return (
                kind,
                format!("{source}; the kernel's log (`dmesg`) may say more"),
            );
        }
        (Operation::Info, None) => (
            ErrorKind::Unsupported,
            "its driver does not describe it; use the my_rng.ko of this release, and its node",
        ),
        (Operation::Fill, None) => {
            return (
                ErrorKind::InvalidInput,
                format!(
                    "the length is too large; fill at most {} bytes at a time",
                    abi::BULK_MAX_BYTES
                ),
            );
        }
        (_, None) => return not_ours(&use_node),
    };
    (kind, advice.to_owned())
}

fn not_ours(use_node: &str) -> (ErrorKind, String) {
    (
        ErrorKind::WrongDevice,
        format!("it is not a my_rng device; {use_node}"),
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
            (Operation::Open, libc::EPERM, "usermod -aG my_rng"),
            (Operation::Seed, libc::EBADF, "open it for writing"),
            (Operation::Open, libc::ENODEV, "modprobe my_rng"),
            (Operation::Read, libc::ENODEV, "the device is gone"),
            (Operation::Seed, libc::ENODEV, "the device is gone"),
            (Operation::Read, libc::ENOTTY, "/dev/my_rng_driver"),
            (Operation::Open, libc::EISDIR, "/dev/my_rng_driver"),
            (Operation::Read, libc::EIO, "the host has no entropy"),
            (Operation::Seed, libc::EIO, "dmesg"),
            (Operation::Map, libc::ENODEV, "use a read instead"),
            (Operation::Map, libc::ENOMEM, "dmesg"),
            (Operation::Fill, libc::ENODEV, "the device is gone"),
            (Operation::Fill, libc::EIO, "bus master"),
            (Operation::Fill, libc::ENOTTY, "use a read instead"),
            (Operation::Read, libc::EINVAL, "my_rng.ko of this release"),
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
        let (kind, advice) = explain(
            Operation::Open,
            Path::new("/dev/node"),
            &missing,
            empty.path(),
        );
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(advice.contains("modprobe my_rng"), "{advice}");
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
    fn kinds() {
        for (operation, errno, kind) in [
            (Operation::Open, libc::ENOENT, ErrorKind::NotFound),
            (Operation::Open, libc::ENXIO, ErrorKind::NotFound),
            (Operation::Open, libc::EACCES, ErrorKind::PermissionDenied),
            (Operation::Seed, libc::EBADF, ErrorKind::PermissionDenied),
            (Operation::Open, libc::EBUSY, ErrorKind::Busy),
            (Operation::Open, libc::EINVAL, ErrorKind::Other),
            (Operation::Read, libc::ENODEV, ErrorKind::Gone),
            (Operation::Read, libc::EIO, ErrorKind::NoEntropy),
            (Operation::Read, libc::EINVAL, ErrorKind::Unsupported),
            (Operation::Read, libc::ENOTTY, ErrorKind::WrongDevice),
            (Operation::Read, libc::EINTR, ErrorKind::Interrupted),
            (Operation::Map, libc::ENODEV, ErrorKind::Unsupported),
            (Operation::Map, libc::ENOMEM, ErrorKind::Other),
            (Operation::Fill, libc::ENOTTY, ErrorKind::Unsupported),
            (Operation::Fill, libc::EIO, ErrorKind::Unsupported),
            // A read fails too.
            (Operation::Fill, libc::ENODEV, ErrorKind::Gone),
        ] {
            let source = io::Error::from_raw_os_error(errno);
            let error = Error::new(operation, Path::new("/dev/node"), source);
            assert_eq!(error.kind(), kind, "{operation:?} {errno}");
        }
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
