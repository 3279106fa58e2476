// SPDX-License-Identifier: GPL-2.0-or-later

//! Finding the driver's nodes.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::{Error, Operation};

/// Lists the driver's nodes, one per device, sorted by number. The list is empty without a device or without the
/// driver; the error of opening [`default_path`](crate::default_path) then says why.
pub fn list() -> Result<Vec<PathBuf>, Error> {
    list_in(Path::new("/dev"))
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
