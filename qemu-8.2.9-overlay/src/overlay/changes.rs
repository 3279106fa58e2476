// SPDX-License-Identifier: GPL-2.0-or-later

//! Changes to a tree that have been found possible.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::NamedTempFile;

use crate::files::File;

/// A change to a tree.
pub enum Change {
    /// Makes a file that is not there, and the folders that it is in.
    Create { at: PathBuf, file: File },
    /// Removes a file or a link.
    Unlink(PathBuf),
    /// Removes a folder, but only if nothing is in it.
    RemoveFolder(PathBuf),
    /// Writes a file anew.
    Write { at: PathBuf, text: Vec<u8> },
}

impl Change {
    pub fn create(at: PathBuf, file: File) -> Self {
        Self::Create { at, file }
    }

    pub fn write(at: PathBuf, text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Self::Write { at, text }
    }

    /// What it changes.
    pub fn at(&self) -> &Path {
        match self {
            Self::Create { at, .. } | Self::Write { at, .. } => at,
            Self::Unlink(at) | Self::RemoveFolder(at) => at,
        }
    }
}

/// Carries out changes in their order. Returns whether there were any.
pub fn carry_out(changes: &[Change]) -> Result<bool> {
    // All that may fail for want of room or of a right comes first, beside the files it is to replace.
    let mut staged = Vec::new();
    for change in changes {
        if let Change::Write { at, text } = change {
            let file = stage(at, text)
                .with_context(|| format!("{} could not be written anew", at.display()))?;
            staged.push(file);
        }
    }
    let mut staged = staged.into_iter();
    for (done, change) in changes.iter().enumerate() {
        let outcome = match change {
            Change::Create { at, file } => create(at, file),
            Change::Unlink(at) => fs::remove_file(at),
            Change::RemoveFolder(at) => match fs::remove_dir(at) {
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
                outcome => outcome,
            },
            Change::Write { .. } => staged.next().map_or(Ok(()), |(file, target)| {
                file.persist(target).map(drop).map_err(|error| error.error)
            }),
        };
        if let Err(error) = outcome {
            let half = if done > 0 {
                "; the tree is changed in part: once the cause is removed, the same command goes on, or \
                 `remove` takes all off"
            } else {
                ""
            };
            bail!(
                "{} could not be changed ({error}){half}",
                change.at().display()
            );
        }
    }
    Ok(!changes.is_empty())
}

/// Makes a file, and the folders that it is in: whole, or not at all.
fn create(at: &Path, file: &File) -> io::Result<()> {
    let dir = at.parent().unwrap_or(at);
    fs::create_dir_all(dir)?;
    let (text, executable) = match file {
        File::Link(to) => return symlink(to, at),
        File::Copy { text, executable } => (text, executable),
    };
    let mode = if *executable { 0o777 } else { 0o666 };
    let mut made = tempfile::Builder::new()
        .prefix(".qemu-overlay-")
        // The umask takes from it what the user does not give to others.
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    made.write_all(text)?;
    made.persist_noclobber(at)?;
    Ok(())
}

/// Writes what is to replace a file, with the file's mode and owner, beside it; behind a link, beside
/// what the link leads to. Gives it and the path it is for.
fn stage(at: &Path, text: &[u8]) -> Result<(NamedTempFile, PathBuf)> {
    let target = at.canonicalize()?;
    let dir = target
        .parent()
        .ok_or_else(|| anyhow!("it is in no folder"))?;
    let metadata = fs::metadata(&target)?;
    let mut file = tempfile::Builder::new()
        .prefix(".qemu-overlay-")
        .tempfile_in(dir)?;
    file.write_all(text)?;
    file.as_file().set_permissions(metadata.permissions())?;
    let made = file.as_file().metadata()?;
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    Ok((file, target))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Change, carry_out};
    use crate::files::File;

    /// A file that cannot be replaced is found out before anything is changed.
    #[test]
    fn what_cannot_be_replaced_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let link = Change::create(dir.path().join("link"), File::Link("/nowhere".into()));
        let write = Change::write(dir.path().join("no such file"), "");
        assert!(carry_out(&[link, write]).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
