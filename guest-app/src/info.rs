// SPDX-License-Identifier: GPL-2.0-or-later

//! What the driver reports about a device in `/proc/self/fdinfo`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::pci::Function;
use crate::{Error, ErrorKind, Operation, abi};

/// The generator of a device's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Generator {
    /// The same as glibc's `rand()` after `srand(seed)`: 31 bits, bit 31 is always 0.
    Libc,
    /// ChaCha20 with the seed as key: 32 bits.
    ChaCha20,
    /// The host's entropy: 32 bits, takes no seed, never repeats.
    Host,
    /// ChaCha8 with the seed as key: 32 bits.
    ChaCha8,
    /// xoshiro256++ with a state derived from the seed, for simulation: 32 bits.
    Xoshiro256PlusPlus,
    /// A generator that this library does not know, or a device too old to report it.
    Unknown,
}

impl Generator {
    /// The name in the device's property `generator`, in the driver and in the app.
    pub fn name(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::ChaCha20 => "chacha20",
            Self::Host => "host",
            Self::ChaCha8 => "chacha8",
            Self::Xoshiro256PlusPlus => "xoshiro256pp",
            Self::Unknown => "unknown",
        }
    }

    /// How many bits of each number are random; the bits above are 0. `None` if unknown.
    pub fn bits(self) -> Option<u32> {
        match self {
            Self::Libc => Some(31),
            Self::ChaCha20 | Self::Host | Self::ChaCha8 | Self::Xoshiro256PlusPlus => Some(32),
            Self::Unknown => None,
        }
    }

    fn of_name(name: &str) -> Self {
        // A newer driver may know more generators.
        [
            Self::Libc,
            Self::ChaCha20,
            Self::Host,
            Self::ChaCha8,
            Self::Xoshiro256PlusPlus,
        ]
        .into_iter()
        .find(|generator| generator.name() == name)
        .unwrap_or(Self::Unknown)
    }

    /// By its id in the register `INFO`.
    pub(crate) fn of_id(id: u8) -> Self {
        match id {
            abi::GENERATOR_LIBC => Self::Libc,
            abi::GENERATOR_CHACHA20 => Self::ChaCha20,
            abi::GENERATOR_HOST => Self::Host,
            abi::GENERATOR_CHACHA8 => Self::ChaCha8,
            abi::GENERATOR_XOSHIRO256PP => Self::Xoshiro256PlusPlus,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A device as the driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The path of the node; without a driver, the name by which the device can be opened.
    pub node: PathBuf,
    /// The PCI address, such as `0000:00:04.0`.
    pub device: String,
    /// The driver bound to the device; `None` without a driver, and after unbind.
    pub driver: Option<String>,
    /// The generator of its numbers.
    pub generator: Generator,
    /// Whether the driver registered the device with the kernel's `hw_random`.
    pub hwrng: bool,
    /// Whether the device has the bulk engine, which writes numbers to memory by DMA, for
    /// [`Device::fill_mapped`](crate::Device::fill_mapped). `None` if the driver is too old to say. False without a
    /// driver.
    pub bulk: Option<bool>,
    /// How many numbers the driver has read from the device since it was bound. `None` without a driver.
    pub words: Option<u64>,
    /// How many times it was seeded through the driver since then. `None` without a driver.
    pub seeds: Option<u64>,
}

impl Info {
    /// Parses the lines that the driver adds to the fdinfo of an open file of `node`.
    pub(crate) fn parse(node: &Path, fdinfo: &str, sysfs: &Path) -> Result<Self, Error> {
        let lines = Lines { node, fdinfo };
        let device = lines.value("device")?;
        // It becomes a part of a path.
        if device.is_empty() || device.contains('/') {
            return Err(lines.malformed("device", device));
        }
        Ok(Self {
            node: node.to_owned(),
            device: device.to_owned(),
            driver: Function::at(sysfs, device).driver(),
            generator: Generator::of_name(lines.value("generator")?),
            hwrng: lines.yes_or_no("hwrng", lines.value("hwrng")?)?,
            bulk: match lines.find("bulk") {
                Some(text) => Some(lines.yes_or_no("bulk", text)?),
                None => None,
            },
            words: Some(lines.number("words")?),
            seeds: Some(lines.number("seeds")?),
        })
    }
}

/// The lines of an fdinfo: key, colon, tab, value.
struct Lines<'a> {
    node: &'a Path,
    fdinfo: &'a str,
}

impl<'a> Lines<'a> {
    fn find(&self, key: &str) -> Option<&'a str> {
        self.fdinfo
            .lines()
            .find_map(|line| {
                line.strip_prefix("my_rng-")?
                    .strip_prefix(key)?
                    .strip_prefix(':')
            })
            .map(str::trim)
    }

    /// Returns the value of a line that the first driver with fdinfo already had: without it, the driver is older.
    fn value(&self, key: &str) -> Result<&'a str, Error> {
        self.find(key).ok_or_else(|| {
            Error::new(
                Operation::Info,
                self.node,
                io::ErrorKind::Unsupported.into(),
            )
        })
    }

    fn yes_or_no(&self, key: &str, text: &str) -> Result<bool, Error> {
        match text {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(self.malformed(key, other)),
        }
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T, Error> {
        let text = self.value(key)?;
        // `parse` accepts a plus sign.
        if text.starts_with('+') {
            return Err(self.malformed(key, text));
        }
        text.parse().map_err(|_| self.malformed(key, text))
    }

    fn malformed(&self, key: &str, text: &str) -> Error {
        Error::with_advice(
            Operation::Info,
            self.node,
            ErrorKind::Other,
            format!(
                "the driver reports `my_rng-{key}: {}`, which this program does not understand; \
                 use driver and program of the same release",
                text.escape_default()
            ),
            io::ErrorKind::InvalidData,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const FDINFO: &str = "pos:\t0\nflags:\t02100002\nmnt_id:\t27\nino:\t114\n\
        my_rng-device:\t0000:00:04.0\n\
        my_rng-generator:\tlibc\n\
        my_rng-hwrng:\tno\n\
        my_rng-bulk:\tyes\n\
        my_rng-words:\t123\n\
        my_rng-seeds:\t4\n";

    fn parse(fdinfo: &str) -> Result<Info, Error> {
        Info::parse(Path::new("/dev/node"), fdinfo, Path::new("/nonexistent"))
    }

    #[test]
    fn all_lines_are_parsed() {
        assert_eq!(
            parse(FDINFO).expect("a good fdinfo"),
            Info {
                node: "/dev/node".into(),
                device: "0000:00:04.0".to_owned(),
                driver: None,
                generator: Generator::Libc,
                hwrng: false,
                bulk: Some(true),
                words: Some(123),
                seeds: Some(4),
            }
        );
        let other = FDINFO
            .replace("libc", "host")
            .replace("hwrng:\tno", "hwrng:\tyes")
            .replace("bulk:\tyes", "bulk:\tno")
            .replace("123", "18446744073709551615");
        let info = parse(&other).expect("a good fdinfo");
        assert_eq!(
            (info.generator, info.hwrng, info.bulk, info.words),
            (Generator::Host, true, Some(false), Some(u64::MAX))
        );
    }

    #[test]
    fn generators_by_name() {
        for (name, generator, bits) in [
            ("libc", Generator::Libc, Some(31)),
            ("chacha20", Generator::ChaCha20, Some(32)),
            ("chacha8", Generator::ChaCha8, Some(32)),
            ("xoshiro256pp", Generator::Xoshiro256PlusPlus, Some(32)),
            ("host", Generator::Host, Some(32)),
            ("unknown", Generator::Unknown, None),
            ("one of the future", Generator::Unknown, None),
        ] {
            let info = parse(&FDINFO.replace("libc", name)).expect("a good fdinfo");
            assert_eq!(info.generator, generator, "{name}");
            assert_eq!(generator.bits(), bits, "{name}");
        }
        assert_eq!(Generator::ChaCha20.to_string(), "chacha20");
    }

    #[test]
    fn unknown_lines_and_the_order_are_ignored() {
        let mut lines: Vec<_> = FDINFO.lines().rev().collect();
        lines.insert(2, "my_rng-words-of-others:\t7");
        lines.insert(0, "my_rng-color:\tgreen");
        assert_eq!(
            parse(&lines.join("\n")).expect("a good fdinfo").words,
            Some(123)
        );
    }

    #[test]
    fn missing_line_means_an_older_driver() {
        for key in ["device", "generator", "hwrng", "words", "seeds"] {
            let without: String = FDINFO
                .lines()
                .filter(|line| !line.starts_with(&format!("my_rng-{key}:")))
                .map(|line| format!("{line}\n"))
                .collect();
            assert_ne!(without, FDINFO);
            let error = parse(&without).expect_err(key);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{key}");
            assert!(error.to_string().contains("my_rng.ko"), "{error}");
        }
        let error = parse("").expect_err("nothing");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn driver_without_the_bulk_line_is_accepted() {
        let older = FDINFO.replace("my_rng-bulk:\tyes\n", "");
        assert_ne!(older, FDINFO);
        assert_eq!(parse(&older).expect("a good fdinfo").bulk, None);
    }

    #[test]
    fn malformed_lines_are_shown_in_the_error() {
        for (key, text) in [
            ("device", ""),
            ("device", "../../../etc"),
            ("hwrng", "perhaps"),
            ("hwrng", ""),
            ("bulk", "perhaps"),
            ("bulk", ""),
            ("words", ""),
            ("words", "-1"),
            ("words", "+1"),
            ("words", "0x10"),
            ("words", "18446744073709551616"),
            ("seeds", "many"),
            ("seeds", "\u{1b}[2J"),
        ] {
            let malformed: String = FDINFO
                .lines()
                .map(|line| match line.strip_prefix(&format!("my_rng-{key}:")) {
                    Some(_) => format!("my_rng-{key}:\t{text}\n"),
                    None => format!("{line}\n"),
                })
                .collect();
            let error = parse(&malformed).expect_err(text);
            let shown = format!("`my_rng-{key}: {}`", text.escape_default());
            assert!(error.to_string().contains(&shown), "{error}");
            assert_eq!(error.kind(), ErrorKind::Other);
        }
    }

    #[test]
    fn bound_driver_is_read_from_sysfs() {
        let root = tempfile::tempdir().expect("temporary folder");
        let device = root.path().join("bus/pci/devices/0000:00:04.0");
        fs::create_dir_all(&device).expect("device");
        let parse = || Info::parse(Path::new("/dev/node"), FDINFO, root.path());
        assert_eq!(parse().expect("unbound").driver, None);
        symlink("../../../bus/pci/drivers/my_rng", device.join("driver")).expect("binding");
        assert_eq!(parse().expect("bound").driver.as_deref(), Some("my_rng"));
    }
}
