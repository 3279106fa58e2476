// SPDX-License-Identifier: GPL-2.0-or-later

//! The list of files that were added to a tree. With it they can be removed even if the repository has changed or is
//! gone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use anyhow::{Context, Result, anyhow, bail};

use crate::files::{File, Files};
use crate::repository::Repository;
use crate::tree::{Tree, read};

/// The list's path in the tree.
pub const PATH: &str = "hw/misc/qemu-pci.laid";

/// QEMU's directories that files are added to.
pub const QEMU_FOLDERS: [&str; 2] = ["hw/misc", "tests/qtest"];

/// The files that were added to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The package of the device crate.
    pub package: String,
    /// The path of the crate in its repository.
    pub krate: String,
    /// For each path in the tree: the absolute target of its link, or the checksum of a copy.
    pub files: BTreeMap<String, String>,
}

impl Record {
    /// The record for `files` of `repository`.
    pub fn new(repository: &Repository, files: &Files) -> Self {
        let content = |file: &File| match file {
            File::Link(to) => to.display().to_string(),
            File::Copy { text, .. } => checksum(text),
        };
        Self {
            package: repository.package.clone(),
            krate: repository.krate.display().to_string(),
            files: files
                .iter()
                .map(|(path, file)| (path.clone(), content(file)))
                .collect(),
        }
    }

    /// Reads the record of a tree, if it has one.
    pub fn read(tree: &Tree) -> Result<Option<Self>> {
        let at = tree.path(PATH);
        let text = match fs::read_to_string(&at) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} could not be read", at.display()));
            }
        };
        let record = Self::parse(&text);
        let record = record
            .ok_or_else(|| anyhow!("{} is damaged; unpack QEMU's source again", at.display()))?;
        Ok(Some(record))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Files that qemu-overlay has added to this tree. It needs this list to remove them.\n{}\t{}\n",
            self.package, self.krate
        );
        for (path, content) in &self.files {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{path}\t{content}");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut lines = lines.map(|line| line.split_once('\t'));
        let (package, krate) = lines.next()??;
        let mut files = BTreeMap::new();
        for line in lines {
            let (path, content) = line?;
            // Refuse paths outside the tree, and QEMU's own directories.
            let path = Path::new(path);
            let mut parts = path.components();
            let ours = QEMU_FOLDERS
                .iter()
                .any(|it| path.starts_with(it) && path != Path::new(it));
            if !ours || !parts.all(|part| matches!(part, Component::Normal(_))) {
                return None;
            }
            files.insert(path.to_str()?.to_owned(), content.to_owned());
        }
        Some(Self {
            package: package.to_owned(),
            krate: krate.to_owned(),
            files,
        })
    }

    /// Returns whether a file of the record still exists. Fails if it was changed.
    pub fn is_there(&self, tree: &Tree, path: &str) -> Result<bool> {
        let at = tree.path(path);
        let now = match fs::symlink_metadata(&at) {
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                return Ok(false);
            }
            Ok(metadata) if metadata.is_symlink() => fs::read_link(&at)?.display().to_string(),
            Ok(metadata) if metadata.is_file() => checksum(&read(&at)?),
            _ => String::new(),
        };
        if self.files.get(path) != Some(&now) {
            bail!(
                "{} was changed after it was added; move it out of the tree to keep it, and try again",
                at.display()
            );
        }
        Ok(true)
    }
}

/// FNV-1a: enough to see an edit.
fn checksum(text: &[u8]) -> String {
    let sum = text.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{sum:016x}")
}
