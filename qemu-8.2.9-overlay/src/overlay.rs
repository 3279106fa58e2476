// SPDX-License-Identifier: GPL-2.0-or-later

//! Applies the overlay to a tree, and removes it.
//!
//! The record is written before the files and removed after them, so an interrupted run can be completed or undone.

mod changes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, anyhow, bail};

use changes::{Change, carry_out};

use crate::files::{self, File};
use crate::insertion;
use crate::patch::Patch;
use crate::record::{self, QEMU_FOLDERS, Record};
use crate::repository::Repository;
use crate::tree::{Tree, read};

/// How much of an overlay a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    On,
    Off,
    Partly,
}

/// How files are added to a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As links into the repository.
    Links,
    /// As copies, with everything that the build needs from the repository.
    Copies,
}

/// Adds a repository's devices to a tree. Returns whether anything was changed. Makes all checks before the first
/// change.
pub fn apply(tree: &Tree, repository: &Repository, manner: Manner) -> Result<bool> {
    let files = match manner {
        Manner::Links => files::links(repository)?,
        Manner::Copies => files::copies(repository)?,
    };
    let record = Record::new(repository, &files);
    let old = Record::read(tree)?;
    let is_other = |old: &&Record| (&old.package, &old.krate) != (&record.package, &record.krate);
    if let Some(other) = old.as_ref().filter(is_other) {
        bail!(
            "{0} has the devices of {1} on it, and takes those of one repository: take them off with \
             `qemu-overlay remove {0}` and try again",
            tree.root().display(),
            other.package
        );
    }
    let stays = |path: &str| {
        let old = old.as_ref().and_then(|old| old.files.get(path));
        old.is_some()
            && old == record.files.get(path)
            && fs::symlink_metadata(tree.path(path)).is_ok()
    };
    let mut changes = Vec::new();
    if let Some(old) = &old {
        changes = files_off(tree, old, stays)?;
    }
    let leaving: BTreeSet<_> = changes
        .iter()
        .map(|change| change.at().to_owned())
        .collect();
    if old.as_ref() != Some(&record) {
        let (at, text) = (tree.path(record::PATH), record.text());
        changes.push(match old {
            Some(_) => Change::write(at, text),
            None => Change::create(at, File::text(text)),
        });
    }
    for (path, file) in &files {
        if !stays(path) {
            check_free(tree, Path::new(path), &leaving)?;
            changes.push(Change::create(tree.path(path), file.clone()));
        }
    }
    for insertion in &insertion::all(&record.krate) {
        let at = tree.path(insertion.file);
        let text = read(&at)?;
        if insertion.taken_off(&at, &text)?.is_none() {
            let text = insertion.laid_on(&at, &text)?;
            changes.push(Change::write(at, text));
        }
    }
    let changed = carry_out(&changes)?;
    if changed {
        // A configured build looks for new files only if a file that it knows has changed.
        let known = fs::File::open(tree.path("meson.build"))?;
        known.set_modified(SystemTime::now())?;
    }
    Ok(changed)
}

/// Removes the overlay. Returns whether anything was changed. Makes all checks before the first change.
pub fn remove(tree: &Tree) -> Result<bool> {
    let Some(record) = Record::read(tree)? else {
        check_unmarked(tree)?;
        return Ok(false);
    };
    let mut changes = Vec::new();
    // Remove the lines first, so that the tree never refers to a missing file.
    for insertion in &insertion::all(&record.krate) {
        let at = tree.path(insertion.file);
        if let Some(text) = insertion.taken_off(&at, &read(&at)?)? {
            changes.push(Change::write(at, text));
        }
    }
    changes.extend(files_off(tree, &record, |_| false)?);
    changes.push(Change::Unlink(tree.path(record::PATH)));
    carry_out(&changes)
}

/// How much of an overlay the tree has.
pub fn state(tree: &Tree) -> Result<State> {
    let Some(record) = Record::read(tree)? else {
        check_unmarked(tree)?;
        return Ok(State::Off);
    };
    let mut all = record.files.keys().all(|path| tree.path(path).exists());
    for insertion in &insertion::all(&record.krate) {
        let at = tree.path(insertion.file);
        all &= insertion.taken_off(&at, &read(&at)?)?.is_some();
    }
    Ok(if all { State::On } else { State::Partly })
}

/// Returns a patch that changes a pristine tree like [`apply`] with copies.
pub fn patch(tree: &Tree, repository: &Repository) -> Result<Vec<u8>> {
    let mut patch = Patch::new(&format!(
        "The devices of {} for QEMU {}. Apply this in QEMU's source root: patch -p1 <qemu.patch\n\
         Building takes Rust 1.85 or newer, libclang 17 or newer, and the crates that\n\
         {}/Cargo.lock names, which cargo gets from crates.io.\n",
        repository.package,
        tree.version(),
        files::ROOT,
    ));
    let files = files::copies(repository)?;
    let record = Record::new(repository, &files);
    for insertion in &insertion::all(&record.krate) {
        let at = tree.path(insertion.file);
        let text = read(&at)?;
        let text = insertion.taken_off(&at, &text)?.unwrap_or(text);
        let (before, after) = insertion.place(&at, &text)?;
        patch.insert(insertion.file, before, insertion.lines.as_bytes(), after);
    }
    patch.create(record::PATH, record.text().as_bytes(), false);
    for (path, file) in &files {
        if let File::Copy { text, executable } = file {
            patch.create(path, text, *executable);
        }
    }
    Ok(patch.into_bytes())
}

/// A tree without a record has no lines of the overlay.
fn check_unmarked(tree: &Tree) -> Result<()> {
    for insertion in &insertion::all("") {
        let at = tree.path(insertion.file);
        insertion::check_unmarked(&at, &read(&at)?)?;
    }
    Ok(())
}

/// Returns the changes that remove the files of a record, except those that stay, and their directories.
fn files_off(tree: &Tree, record: &Record, stays: impl Fn(&str) -> bool) -> Result<Vec<Change>> {
    let (mut changes, mut folders) = (Vec::new(), BTreeSet::new());
    for path in record.files.keys() {
        let there = record.is_there(tree, path)?;
        if stays(path) {
            continue;
        }
        if there {
            changes.push(Change::Unlink(tree.path(path)));
        }
        folders.extend(folders_above(Path::new(path)));
    }
    // Inner directories first.
    let folders = folders.iter().rev().map(|folder| tree.root().join(folder));
    changes.extend(
        folders
            .filter(|folder| folder.is_dir() && !folder.is_symlink())
            .map(Change::RemoveFolder),
    );
    Ok(changes)
}

/// Returns the parent directories of a path in the tree, except QEMU's own.
fn folders_above(path: &Path) -> impl Iterator<Item = PathBuf> {
    let is_qemu_s = |folder: &&Path| QEMU_FOLDERS.iter().any(|it| *folder == Path::new(it));
    let above = path.ancestors().skip(1);
    above
        .take_while(move |folder| !is_qemu_s(folder))
        .map(Path::to_owned)
}

/// Fails if another file is at the path of a new file or of one of its directories, and will not be removed.
fn check_free(tree: &Tree, path: &Path, leaving: &BTreeSet<PathBuf>) -> Result<()> {
    let mut above: Vec<_> = folders_above(path).collect();
    above.reverse();
    for folder in above {
        let at = tree.root().join(folder);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) if !leaving.contains(&at) => return Err(not_ours(&at)),
            // With its contents.
            _ => return Ok(()),
        }
    }
    check_leaves(&tree.root().join(path), leaving)
}

/// Fails if there is a file at this path or below it that will not be removed.
fn check_leaves(at: &Path, leaving: &BTreeSet<PathBuf>) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(at) else {
        return Ok(());
    };
    if !leaving.contains(at) {
        return Err(not_ours(at));
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(at)? {
            check_leaves(&entry?.path(), leaving)?;
        }
    }
    Ok(())
}

fn not_ours(at: &Path) -> anyhow::Error {
    anyhow!(
        "{} exists and does not belong to this overlay; move it away and try again",
        at.display()
    )
}
