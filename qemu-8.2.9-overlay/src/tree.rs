// SPDX-License-Identifier: GPL-2.0-or-later

//! A QEMU source tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The series that the overlay is known to build on, one a line.
const SERIES: &str = include_str!("../series");

/// Files that every QEMU tree has and hardly any other.
const LANDMARKS: [&str; 4] = [
    "VERSION",
    "include/qemu/osdep.h",
    "hw/misc/Kconfig",
    "hw/misc/meson.build",
];

/// A QEMU source tree of a series that the overlay knows.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    version: String,
}

impl Tree {
    /// Opens the tree at `root`, whatever series it is of.
    pub fn open(root: &Path) -> Result<Self> {
        for landmark in LANDMARKS {
            if !root.join(landmark).is_file() {
                bail!(
                    "{} is not a QEMU source tree, for it has no {landmark}; name the folder that \
                     unpacking qemu-8.2.9.tar.xz makes",
                    root.display()
                );
            }
        }
        let path = root.join("VERSION");
        let version = fs::read_to_string(&path)
            .with_context(|| format!("{} could not be read", path.display()))?
            .trim()
            .to_owned();
        Ok(Self {
            root: root.to_owned(),
            version,
        })
    }

    /// Refuses a tree of a series that the overlay was not tried on.
    pub fn require_known_series(&self) -> Result<()> {
        if series().any(|series| is_of(&self.version, series)) {
            return Ok(());
        }
        let known: Vec<String> = series().map(|series| format!("{series}.x")).collect();
        bail!(
            "{} is QEMU {}, but the overlay was tried on {} only; take one of those, or set FORCE=1 \
             to lay it on all the same",
            self.root.display(),
            self.version,
            known.join(" and ")
        )
    }

    /// The path of a file in the tree.
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// The tree's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the tree calls itself, such as 8.2.9.
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn series() -> impl Iterator<Item = &'static str> {
    SERIES.lines().filter(|line| !line.is_empty())
}

/// Whether `version` (8.2.9) is of `series` (8.2). From the 50th on, micro versions are QEMU's way to
/// number what leads to the next series: 8.2.50 and 8.2.90 are on the way to 9.0.
fn is_of(version: &str, series: &str) -> bool {
    let Some(micro) = version
        .strip_prefix(series)
        .and_then(|rest| rest.strip_prefix('.'))
    else {
        return false;
    };
    micro.parse().is_ok_and(|micro: u32| micro < 50)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn versions_and_series() {
        assert!(is_of("8.2.9", "8.2"));
        assert!(is_of("10.0.13", "10.0"));
        assert!(!is_of("8.2", "8.2"));
        assert!(!is_of("8.2.50", "8.2"));
        assert!(!is_of("10.0.93", "10.0"));
        assert!(!is_of("8.20.1", "8.2"));
        assert!(!is_of("18.2.9", "8.2"));
        assert!(!is_of("8.1.5", "8.2"));
    }
}
