// SPDX-License-Identifier: GPL-2.0-or-later

//! The library's error: what was tried on which node, why it failed, and what to do next.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::diagnosis::{self, Diagnosis};

/// What was being done to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening its node.
    Open,
    /// Seeding it.
    Seed,
    /// Taking numbers from it.
    Read,
    /// Mapping the memory that it fills.
    Map,
    /// Having it fill that memory.
    Fill,
    /// Asking what it is.
    Info,
    /// Making a generator for `rand` of it.
    Rng,
    /// Looking for nodes; the path is the folder.
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

/// An operation on a device failed. The message is one sentence that ends in what to do next; the
/// system's own error is the [`source`](error::Error::source).
#[derive(Debug)]
pub struct Error {
    operation: Operation,
    path: PathBuf,
    advice: String,
    source: io::Error,
}

impl Error {
    pub(crate) fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        // Looked up now: when the message is asked for, the machine may have changed.
        let advice = advice(operation, path, &source, Path::new("/sys"));
        Self::with_advice(operation, path, advice, source)
    }

    /// For what no error number tells: `advice` is what is wrong and what to do about it.
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

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The node it was being done to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error number.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether the driver is one that cannot do this at all: older than this library, or another's. The
    /// two ioctls of the classic contract ([`Device::seed`](crate::Device::seed) and
    /// [`Device::next_u32`](crate::Device::next_u32)) are there with every driver.
    ///
    /// Of [`Device::fill`](crate::Device::fill), also whether the device has no engine, or cannot use it now:
    /// reading does without.
    pub fn is_unsupported(&self) -> bool {
        match self.operation {
            // What a file without a read() answers.
            Operation::Read => self.raw_os_error() == Some(libc::EINVAL),
            // What a node without a mmap() answers, and ours where there is no engine.
            Operation::Map => self.raw_os_error() == Some(libc::ENODEV),
            Operation::Fill => matches!(self.raw_os_error(), Some(libc::ENOTTY | libc::EIO)),
            Operation::Info => self.source.kind() == io::ErrorKind::Unsupported,
            _ => false,
        }
    }
}

/// So that it passes through the traits of [`std::io`].
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
    let driver_s_node = format!(
        "name the driver's node (/dev/{} is the first device's)",
        abi::NODE_NAME
    );
    match source.raw_os_error() {
        // Of a node that is open, it is told there.
        Some(libc::ENOENT) if operation == Operation::Info => {
            "there is no /proc, in which the driver tells of it; mount it (`mount -t proc proc /proc`)"
                .to_owned()
        }
        Some(libc::ENOENT) => Diagnosis::read(sysfs).advice(),
        Some(libc::EACCES | libc::EPERM) => {
            "permission denied; run as root (`sudo`), or install the \
             driver's udev rule (60-my_rng.rules) and join its group (`usermod -aG my_rng USER`)"
                .to_owned()
        }
        // An open node whose device has left; a node whose driver has.
        Some(libc::ENODEV | libc::ENXIO) => match operation {
            Operation::Map => "it has no bulk engine (or is gone), or its driver is older than this program \
                               and knows of none; start QEMU without `bulk=off` and load the my_rng.ko of \
                               the same release, or use read()"
                .to_owned(),
            Operation::Open => "no driver stands behind this node; load it as root with \
                                `modprobe my_rng` or `insmod my_rng.ko`"
                .to_owned(),
            _ => "the device is gone (unbound from its driver, or unplugged); bring it back and \
                  open the node again"
                .to_owned(),
        },
        Some(libc::EIO) if operation == Operation::Fill => {
            "the host has no entropy now, or the device may not write to memory (`lspci -v` then lists no `bus \
             master`); try again later, or use read()"
                .to_owned()
        }
        Some(libc::EIO) if operation == Operation::Read => {
            "the host has no entropy now; try again later, or give the device another generator than `host`"
                .to_owned()
        }
        Some(libc::ENOTTY) if operation == Operation::Fill => format!(
            "its driver fills no memory, for it is older than this program; load the my_rng.ko of the same \
             release, or use read(), or {driver_s_node} if this is none"
        ),
        Some(libc::ENOTTY) => format!("it is no my_rng device; {driver_s_node}"),
        Some(libc::EISDIR | libc::ENOTDIR) => {
            format!("{path} is no device node; {driver_s_node}")
        }
        Some(libc::EINVAL) if operation == Operation::Read => format!(
            "its driver has no read(), for it is older than this program; load the my_rng.ko of the \
             same release, or {driver_s_node} if this is none"
        ),
        Some(_) => format!("{source}; the kernel's log (`dmesg`) may say more"),
        None => match (operation, source.kind()) {
            (Operation::Info, io::ErrorKind::Unsupported) => format!(
                "its driver says nothing of it, for it is older than this program; load the my_rng.ko of \
                 the same release, or {driver_s_node} if this is none"
            ),
            (Operation::Read, io::ErrorKind::UnexpectedEof) => {
                format!("it came to an end, so it is no my_rng device; {driver_s_node}")
            }
            (Operation::Read, io::ErrorKind::InvalidData) => {
                format!("it gave no whole numbers, so it is no my_rng device; {driver_s_node}")
            }
            (Operation::Fill, io::ErrorKind::InvalidInput) => format!(
                "that is more than its memory has; fill no more than {} bytes at a time",
                abi::BULK_MAX_BYTES
            ),
            _ => format!("{source}; {driver_s_node}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(operation: Operation, errno: i32) -> String {
        let source = io::Error::from_raw_os_error(errno);
        Error::new(operation, Path::new("/dev/node"), source).to_string()
    }

    #[test]
    fn every_message_is_one_line_that_names_the_node() {
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
    fn messages_say_how_to_fix_it() {
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
    fn what_an_older_driver_cannot_do_is_told_from_what_fails() {
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
        // Reading does not bring it back.
        assert!(!error(Operation::Fill, libc::ENODEV).is_unsupported());
    }

    #[test]
    fn as_an_error_of_io_it_keeps_its_kind_and_its_words() {
        let source = io::Error::from_raw_os_error(libc::EINTR);
        let error = Error::new(Operation::Read, Path::new("/dev/node"), source);
        let message = error.to_string();
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert_eq!(error.to_string(), message);
    }
}
