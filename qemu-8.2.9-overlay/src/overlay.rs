// SPDX-License-Identifier: GPL-2.0-or-later

//! Lays the overlay on a tree, and takes it off again.
//!
//! The record of what was laid is written before the files and goes after them, so that what was interrupted can be
//! completed or taken off.

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

/// How files are laid on a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As links into the repository.
    Links,
    /// As copies, with all that the build needs of the repository.
    Copies,
}

/// Lays a repository's devices on a tree. Returns whether anything had to change. Nothing is changed before all that
/// can be checked is found right.
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
        // A build that was configured looks for new files only if a file that it knows is newer.
        let known = fs::File::open(tree.path("meson.build"))?;
        known.set_modified(SystemTime::now())?;
    }
    Ok(changed)
}

/// Takes the overlay off. Returns whether anything had to change. Nothing is changed before all that can be checked
/// is found right.
pub fn remove(tree: &Tree) -> Result<bool> {
    let Some(record) = Record::read(tree)? else {
        check_unmarked(tree)?;
        return Ok(false);
    };
    let mut changes = Vec::new();
    // The lines first, so that the tree never names a file that it lacks.
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

/// A patch that makes of a pristine tree what [`apply`] makes of it with copies.
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

/// What takes off the files of a record but those that stay, and the folders that were made for them.
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
    // The inner ones first.
    let folders = folders.iter().rev().map(|folder| tree.root().join(folder));
    changes.extend(
        folders
            .filter(|folder| folder.is_dir() && !folder.is_symlink())
            .map(Change::RemoveFolder),
    );
    Ok(changes)
}

/// The folders that a path in the tree is in, up to those of QEMU's.
fn folders_above(path: &Path) -> impl Iterator<Item = PathBuf> {
    let is_qemu_s = |folder: &&Path| QEMU_FOLDERS.iter().any(|it| *folder == Path::new(it));
    let above = path.ancestors().skip(1);
    above
        .take_while(move |folder| !is_qemu_s(folder))
        .map(Path::to_owned)
}

/// An error if something is in the place of a file, or of a folder that it is in, and is not leaving.
fn check_free(tree: &Tree, path: &Path, leaving: &BTreeSet<PathBuf>) -> Result<()> {
    let mut above: Vec<_> = folders_above(path).collect();
    above.reverse();
    for folder in above {
        let at = tree.root().join(folder);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) if !leaving.contains(&at) => return Err(not_ours(&at)),
            // With all that would be in it.
            _ => return Ok(()),
        }
    }
    check_leaves(&tree.root().join(path), leaving)
}

/// An error if there is something, or something in it, that is not leaving.
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
        "{} is there already and is not of this overlay; move it away and try again",
        at.display()
    )
}
