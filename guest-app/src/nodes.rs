// SPDX-License-Identifier: GPL-2.0-or-later

//! Finding the driver's nodes.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::pci::Function;
use crate::{Error, Operation};

/// Lists what [`Device::open`](crate::Device::open) opens: the driver's nodes, sorted by number, then the devices
/// [without a driver](crate::Device#without-a-driver), sorted by address. If it is empty, the error of
/// [`open`](crate::open) says why.
pub fn list() -> Result<Vec<PathBuf>, Error> {
    let mut names = list_in(Path::new("/dev"))?;
    names.extend(without_driver(Path::new("/sys")));
    Ok(names)
}

fn without_driver(sysfs: &Path) -> impl Iterator<Item = PathBuf> {
    // Without sysfs, nothing can be opened.
    let devices = Function::list(sysfs).unwrap_or_default().into_iter();
    devices
        .filter(|device| device.driver().is_none())
        .map(|device| device.name())
}

fn list_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let error = |source| Error::new(Operation::List, folder, source);
    let mut nodes = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let number = entry.file_name().to_str().and_then(number);
        // A node that is removed meanwhile is skipped.
        let is_node = |path: &Path| {
            fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
        };
        if let Some(number) = number {
            if is_node(&entry.path()) {
                nodes.push((number, entry.path()));
            }
        }
    }
    nodes.sort();
    Ok(nodes.into_iter().map(|(_, path)| path).collect())
}

/// Returns the number of the driver's node with this file name: 0 for the first, whose name has no number, then 1
/// and up. Returns `None` if it is not a name of the driver's.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(abi::NODE_NAME)?;
    if digits.is_empty() {
        return Some(0);
    }
    let number: u32 = digits.parse().ok()?;
    // Refuse a plus sign, leading zeros and 0, which the driver never uses.
    (number > 0 && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names() {
        for (name, expected) in [
            ("my_rng_driver", Some(0)),
            ("my_rng_driver1", Some(1)),
            ("my_rng_driver63", Some(63)),
            ("my_rng_driver0", None),
            ("my_rng_driver01", None),
            ("my_rng_driver+1", None),
            ("my_rng_driver1a", None),
            ("my_rng_drive", None),
            ("my_rng", None),
            ("xmy_rng_driver", None),
            ("null", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    #[test]
    fn character_devices_are_listed_in_order() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        for node in [
            "my_rng_driver10",
            "my_rng_driver",
            "my_rng_driver2",
            "other",
        ] {
            symlink("/dev/null", path(node)).expect("a character device");
        }
        fs::write(path("my_rng_driver1"), "").expect("a file");
        symlink("/nonexistent", path("my_rng_driver3")).expect("a link to nothing");
        assert_eq!(
            list_in(folder.path()).expect("a folder"),
            ["my_rng_driver", "my_rng_driver2", "my_rng_driver10"].map(path)
        );
    }

    #[test]
    fn devices_without_a_driver_are_listed_in_order() {
        let sysfs = tempfile::tempdir().expect("temporary folder");
        for (address, id) in [
            ("0000:00:06.0", "0xcafe"),
            ("0000:00:05.0", "0xcafe"),
            ("0000:00:04.0", "0xcafe"),
            ("0000:00:03.0", "0x1111"),
        ] {
            let device = sysfs.path().join("bus/pci/devices").join(address);
            fs::create_dir_all(&device).expect("a folder");
            fs::write(device.join("vendor"), "0x1234\n").expect("a file");
            fs::write(device.join("device"), id).expect("a file");
        }
        let bound = sysfs.path().join("bus/pci/devices/0000:00:05.0/driver");
        symlink("../../drivers/my_rng", bound).expect("a link");
        let names: Vec<_> = without_driver(sysfs.path()).collect();
        assert_eq!(
            names,
            ["pci:0000:00:04.0", "pci:0000:00:06.0"].map(PathBuf::from)
        );
        assert_eq!(without_driver(Path::new("/nonexistent")).count(), 0);
    }

    #[test]
    fn unreadable_directory_is_an_error() {
        let error = list_in(Path::new("/nonexistent")).expect_err("no folder");
        assert!(
            error
                .to_string()
                .starts_with("cannot look for nodes in /nonexistent: "),
            "{error}"
        );
    }
}
