// SPDX-License-Identifier: GPL-2.0-or-later

//! A QEMU source tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The series that the overlay was tested with. Each line has a series, its release, and the versions tested.
const SERIES: &str = include_str!("../series");

/// Files that identify a QEMU tree.
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
    /// Opens the tree at `root`, of any series.
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

    /// Refuses a tree of a series that the overlay was not tested with.
    pub fn require_known_series(&self) -> Result<()> {
        if series().any(|series| is_of(&self.version, series)) {
            return Ok(());
        }
        let known: Vec<String> = series().map(|series| format!("{series}.x")).collect();
        bail!(
            "{} is QEMU {}, but the overlay was tested with {} only; take one of those, or use --force \
             (make: FORCE=1) to try it anyway",
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

    /// Prints a message about the tree.
    pub fn report(&self, what: &str) {
        println!("QEMU {} in {}: {what}", self.version, self.root.display());
    }

    /// The tree's version, such as 8.2.9.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The contents of a file.
pub fn read(at: &Path) -> Result<Vec<u8>> {
    fs::read(at).with_context(|| format!("{} could not be read", at.display()))
}

fn series() -> impl Iterator<Item = &'static str> {
    SERIES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
}

/// Whether `version` (8.2.9) belongs to `series` (8.2). QEMU uses micro versions from 50 up for the development of the
/// next series: 8.2.50 and 8.2.90 lead to 9.0.
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
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{SERIES, is_of, series};

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

    #[test]
    fn the_list_is_whole() {
        let mut listed = BTreeSet::new();
        for line in SERIES.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<_> = line.split_whitespace().collect();
            let [series, release, tried @ ..] = &columns[..] else {
                panic!("`{line}` has no release");
            };
            assert!(is_of(release, series), "`{line}`: another series' release");
            assert!(!tried.is_empty(), "`{line}` was tried with nothing");
            for version in tried {
                assert!(is_of(version, series), "`{line}`: {version} is another's");
            }
            assert!(listed.insert(*series), "{series} is listed twice");
        }
        assert_eq!(listed, series().collect());
        assert!(!listed.is_empty());
    }

    /// The series that a word names, if it is a version: 8.2, 8.2.x, 8.2.9.
    fn version(word: &str) -> Option<String> {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let parts: Vec<_> = word.split('.').collect();
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match parts[..] {
            [major, minor] if number(major) && number(minor) => Some(word.to_owned()),
            [major, minor, micro]
                if number(major) && number(minor) && (micro == "x" || number(micro)) =>
            {
                Some(format!("{major}.{minor}"))
            }
            _ => None,
        }
    }

    /// The series of the versions that a text names after the word QEMU.
    fn after_qemu(text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut words = text.split_whitespace();
        while words.by_ref().any(|word| word == "QEMU") {
            found.extend(
                words
                    .clone()
                    .filter(|word| !["and", "or"].contains(word))
                    .map_while(version),
            );
        }
        found
    }

    #[test]
    fn versions_are_found_in_a_text() {
        let text = "a QEMU 8.2.x and 10.0.x, x86_64; Linux 7.3; with\nQEMU 9.1.2, or QEMU. 3.4";
        let found = ["10.0", "8.2", "9.1"].map(String::from);
        assert_eq!(after_qemu(text), BTreeSet::from(found));
    }

    #[test]
    fn the_documents_name_the_series_of_the_list() {
        let listed: BTreeSet<String> = series().map(String::from).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in ["README.md", "docs/my-rng.rst"] {
            let text = fs::read_to_string(root.join(file)).expect(file);
            for series in after_qemu(&text) {
                assert!(listed.contains(&series), "{file}: {series} is not listed");
            }
            if file != "README.md" {
                continue;
            }
            for row in ["The device is for QEMU ", "| `QEMU_SRC`"] {
                let line = text.lines().find(|line| line.starts_with(row));
                let words = line.expect(row).split_whitespace();
                assert_eq!(words.filter_map(version).collect::<BTreeSet<_>>(), listed);
            }
        }
    }
}
