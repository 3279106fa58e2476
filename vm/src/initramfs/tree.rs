// SPDX-License-Identifier: GPL-2.0-or-later

//! Files, and the cpio archive (`newc`) of them that the kernel unpacks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, Reader, trailer};
use rustix::fs::FileType;

use crate::Error;
use crate::job::JOB_PATH;

/// Directories whose mode is not 0755.
const SPECIAL_MODES: [(&str, u32); 2] = [("root", 0o700), ("tmp", 0o1777)];

/// One file of the guest. All are owned by root.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory,
    /// A copy of a file of the host's.
    Copy {
        from: PathBuf,
        mode: u32,
    },
    Text(Vec<u8>),
    Symlink(String),
    /// The console, which the kernel opens before init can mount anything.
    Console,
}

/// The files of an archive, by their path in the guest without the leading slash.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub fn insert(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        for parent in parents(path) {
            self.directory(parent);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    pub fn directory(&mut self, path: &str) {
        self.nodes.entry(path.to_owned()).or_insert(Node::Directory);
    }

    pub fn text(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.insert(path, Node::Text(bytes.into()));
    }

    /// Adds a copy of a file of the host's, with its mode.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<(), Error> {
        let metadata = fs::metadata(from).map_err(|error| Error::file("read", from, &error))?;
        if !metadata.is_file() {
            return Err(Error::Host(format!(
                "{} is not a regular file, and only those can be put into the guest",
                from.display()
            )));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let from = from.to_owned();
        self.insert(path, Node::Copy { from, mode });
        Ok(())
    }

    /// Writes the archive, the same bytes for the same files. `place` is its name in errors.
    ///
    /// The job comes last: the kernel stops at the first file for which there is no memory, so if the
    /// job is there, all files are complete.
    pub fn write<W: Write>(&self, mut out: W, place: &Path) -> Result<W, Error> {
        let cannot_write = |error: io::Error| Error::file("write", place, &error);
        let (job, others): (Vec<_>, Vec<_>) = self
            .nodes
            .iter()
            .partition(|(path, _)| path.as_str() == JOB_PATH.trim_start_matches('/'));
        for (number, (path, node)) in (1..).zip(others.into_iter().chain(job)) {
            let entry = Builder::new(path).ino(number);
            let entry = |mode, kind| entry.mode(mode).set_mode_file_type(kind);
            out = match node {
                Node::Directory => {
                    let special = SPECIAL_MODES.iter().find(|(name, _)| name == path);
                    let mode = special.map_or(0o755, |(_, mode)| *mode);
                    write_bytes(entry(mode, ModeFileType::Directory), out, &[])
                }
                Node::Console => {
                    let entry = entry(0o600, ModeFileType::Char);
                    write_bytes(entry.rdev_major(5).rdev_minor(1), out, &[])
                }
                Node::Symlink(target) => {
                    write_bytes(entry(0o777, ModeFileType::Symlink), out, target.as_bytes())
                }
                Node::Text(bytes) => write_bytes(entry(0o644, ModeFileType::Regular), out, bytes),
                Node::Copy { from, mode } => {
                    Ok(write_copy(entry(*mode, ModeFileType::Regular), out, from)?)
                }
            }
            .map_err(cannot_write)?;
        }
        trailer(out).map_err(cannot_write)
    }
}

fn write_bytes<W: Write>(entry: Builder, out: W, bytes: &[u8]) -> io::Result<W> {
    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut writer = entry.write(out, size);
    writer.write_all(bytes)?;
    writer.finish()
}

fn write_copy<W: Write>(entry: Builder, out: W, from: &Path) -> Result<W, Error> {
    let cannot_copy = |error: io::Error| Error::file("copy to the initramfs", from, &error);
    let file = File::open(from).map_err(cannot_copy)?;
    let length = file.metadata().map_err(cannot_copy)?.len();
    let size = u32::try_from(length).map_err(|_| {
        Error::Host(format!(
            "{} is larger than the 4 GiB that a file in an initramfs can have",
            from.display()
        ))
    })?;
    let mut writer = entry.write(out, size);
    // If the file shrinks meanwhile, what follows must not shift.
    let copied = io::copy(&mut file.take(length), &mut writer).map_err(cannot_copy)?;
    if copied != length {
        return Err(Error::Host(format!(
            "{} changed while it was copied to the initramfs: run the command again",
            from.display()
        )));
    }
    writer.finish().map_err(cannot_copy)
}

/// The directories that a path leads through, the outermost first.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(|(slash, _)| path.get(..slash))
}

/// Whether each file of an archive is a directory, by its path without the leading slash.
pub(super) type Listing = BTreeMap<String, bool>;

/// Reads the names in an archive.
pub(super) fn list(path: &Path) -> Result<Listing, Error> {
    let file = File::open(path).map_err(|error| Error::file("read", path, &error))?;
    let damaged = |_: io::Error| damaged(path);
    let mut rest = BufReader::new(file);
    let mut listing = Listing::new();
    while !rest.fill_buf().map_err(damaged)?.is_empty() {
        let reader = Reader::new(rest).map_err(damaged)?;
        let entry = reader.entry();
        if entry.is_trailer() {
            break;
        }
        let kind = FileType::from_raw_mode(entry.mode());
        listing.insert(entry.name().to_owned(), kind == FileType::Directory);
        rest = reader.finish().map_err(damaged)?;
    }
    Ok(listing)
}

pub(super) fn damaged(path: &Path) -> Error {
    Error::Host(format!(
        "{} is cut off, or not an initramfs: remove it, and build it again",
        path.display()
    ))
}
