// SPDX-License-Identifier: GPL-2.0-or-later

//! Changes to a tree, after all checks.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::NamedTempFile;

use crate::files::File;

/// A change to a tree.
pub enum Change {
    /// Creates a new file and its parent directories.
    Create { at: PathBuf, file: File },
    /// Removes a file or a link.
    Unlink(PathBuf),
    /// Removes a directory if it is empty.
    RemoveFolder(PathBuf),
    /// Replaces the contents of a file.
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

/// Makes the changes in order. Returns whether there were any.
pub fn carry_out(changes: &[Change]) -> Result<bool> {
    // First write all new contents beside the files that they replace: this can fail for lack of space or permission.
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

/// Creates a file and its parent directories: completely or not at all.
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
        // The umask restricts the mode.
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    made.write_all(text)?;
    made.persist_noclobber(at)?;
    Ok(())
}

/// Writes the new contents of a file beside it (for a link, beside its target), with the file's mode and owner. Returns
/// the temporary file and the path to replace.
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

    /// A file that cannot be replaced is detected before the first change.
    #[test]
    fn unwritable_file_is_detected_before_any_change() {
        let dir = tempfile::tempdir().unwrap();
        let link = Change::create(dir.path().join("link"), File::Link("/nowhere".into()));
        let write = Change::write(dir.path().join("no such file"), "");
        assert!(carry_out(&[link, write]).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
