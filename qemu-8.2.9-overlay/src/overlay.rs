// SPDX-License-Identifier: GPL-2.0-or-later

//! What is laid on a tree, and how it comes off again.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::tree::Tree;

/// New files and folders, by their path in the tree, which is also their path in the overlay.
const LINKS: [&str; 3] = ["hw/misc/my-rng.c", "hw/misc/my-rng.h", "hw/misc/my-rng"];

/// Lines for the top of a file that QEMU has.
struct Insertion {
    file: &'static str,
    lines: &'static str,
}

const INSERTIONS: [Insertion; 2] = [
    Insertion {
        file: "hw/misc/Kconfig",
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
config MY_RNG
    bool
    default y if PCI_DEVICES
    depends on PCI
# my_rng: end

",
    },
    Insertion {
        file: "hw/misc/meson.build",
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
subdir('my-rng')
system_ss.add(when: 'CONFIG_MY_RNG', if_true: [files('my-rng.c'), my_rng])
# my_rng: end

",
    },
];

/// What inserted lines are told by, even those of another version of the overlay.
const MARK: &str = "# my_rng: begin";

/// How much of the overlay a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    On,
    Off,
    Partly,
}

/// The overlay, in this repository.
pub struct Overlay {
    root: PathBuf,
}

/// A change to the tree that has been found possible.
enum Change {
    Link { at: PathBuf, to: PathBuf },
    Unlink(PathBuf),
    Write { at: PathBuf, text: Vec<u8> },
}

/// What stands in the place of a link.
#[derive(PartialEq)]
enum Place {
    Free,
    Ours,
    /// A link into another clone of this repository.
    OfAnotherClone,
}

impl Overlay {
    /// The overlay in the folder `root`.
    pub fn new(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| {
            format!(
                "the repository was at {} and is no more; build qemu-overlay again where it is now",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    /// Lays the overlay on; whether anything had to change. Nothing is changed before all that can be
    /// checked is found right.
    pub fn apply(&self, tree: &Tree) -> Result<bool> {
        let mut changes = Vec::new();
        for file in LINKS {
            let (at, to) = (tree.path(file), self.root.join(file));
            match self.place(&at, file)? {
                Place::Ours => continue,
                Place::Free => {}
                Place::OfAnotherClone => changes.push(Change::Unlink(at.clone())),
            }
            changes.push(Change::Link { at, to });
        }
        for insertion in &INSERTIONS {
            let at = tree.path(insertion.file);
            let text = read(&at)?;
            if insertion.taken_off(&at, &text)?.is_none() {
                let text = [insertion.lines.as_bytes(), &text].concat();
                changes.push(Change::Write { at, text });
            }
        }
        carry_out(&changes)
    }

    /// Takes the overlay off; whether anything had to change. Nothing is changed before all that can
    /// be checked is found right.
    pub fn remove(&self, tree: &Tree) -> Result<bool> {
        let mut changes = Vec::new();
        // In the opposite order, so that a tree never names a file that it lacks.
        for insertion in &INSERTIONS {
            let at = tree.path(insertion.file);
            if let Some(text) = insertion.taken_off(&at, &read(&at)?)? {
                changes.push(Change::Write { at, text });
            }
        }
        for file in LINKS {
            let at = tree.path(file);
            if self.place(&at, file)? != Place::Free {
                changes.push(Change::Unlink(at));
            }
        }
        carry_out(&changes)
    }

    /// How much of the overlay the tree has.
    pub fn state(&self, tree: &Tree) -> Result<State> {
        let mut on = Vec::new();
        for file in LINKS {
            on.push(self.place(&tree.path(file), file)? == Place::Ours);
        }
        for insertion in &INSERTIONS {
            let at = tree.path(insertion.file);
            on.push(insertion.taken_off(&at, &read(&at)?)?.is_some());
        }
        Ok(match (on.contains(&true), on.contains(&false)) {
            (true, false) => State::On,
            (false, _) => State::Off,
            (true, true) => State::Partly,
        })
    }

    fn place(&self, at: &Path, file: &str) -> Result<Place> {
        match fs::read_link(at) {
            Ok(to) if to == self.root.join(file) => Ok(Place::Ours),
            Ok(to) if self.is_in_a_clone(&to, file) => Ok(Place::OfAnotherClone),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Place::Free),
            // InvalidInput: it exists and is no link.
            Ok(_) => Err(not_ours(at)),
            Err(error) if error.kind() == ErrorKind::InvalidInput => Err(not_ours(at)),
            Err(error) => Err(error).with_context(|| format!("{}", at.display())),
        }
    }

    fn is_in_a_clone(&self, to: &Path, file: &str) -> bool {
        self.root
            .file_name()
            .is_some_and(|name| to.ends_with(Path::new(name).join(file)))
    }
}

impl Insertion {
    /// The file's text without the lines, if it has them.
    fn taken_off(&self, at: &Path, text: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(rest) = text.strip_prefix(self.lines.as_bytes()) {
            return Ok(Some(rest.to_owned()));
        }
        if text
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(MARK.as_bytes()))
        {
            bail!(
                "the lines of my_rng in {} are not at its top, or not as they were laid; take them \
                 out by hand (from `{MARK}` to the empty line after its end) and try again",
                at.display()
            );
        }
        Ok(None)
    }
}

fn not_ours(at: &Path) -> anyhow::Error {
    anyhow!(
        "{} is there already and is not of this overlay; move it away and try again",
        at.display()
    )
}

fn read(at: &Path) -> Result<Vec<u8>> {
    fs::read(at).with_context(|| format!("{} could not be read", at.display()))
}

fn carry_out(changes: &[Change]) -> Result<bool> {
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
            Change::Link { at, to } => symlink(to, at).map_err(|error| (at, error)),
            Change::Unlink(at) => fs::remove_file(at).map_err(|error| (at, error)),
            Change::Write { at, .. } => match staged.next() {
                Some((file, target)) => file
                    .persist(target)
                    .map(drop)
                    .map_err(|error| (at, error.error)),
                None => Ok(()),
            },
        };
        if let Err((at, error)) = outcome {
            let half = if done > 0 {
                "; the tree is changed in part: once that is mended, the same command goes on, or \
                 `remove` takes all off"
            } else {
                ""
            };
            bail!("{} could not be changed ({error}){half}", at.display());
        }
    }
    Ok(!changes.is_empty())
}

/// Writes what is to replace a file, with the file's mode and owner, beside it; behind a link, beside
/// what the link leads to. Gives it and the path it is for.
fn stage(at: &Path, text: &[u8]) -> Result<(tempfile::NamedTempFile, PathBuf)> {
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
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::{INSERTIONS, LINKS, Overlay, State};
    use crate::tree::Tree;

    fn overlay() -> Overlay {
        Overlay::new(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// A tree with all that the overlay asks about.
    fn bare_tree(version: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("VERSION", version),
            ("include/qemu/osdep.h", "/* osdep */\n"),
            ("hw/misc/Kconfig", "config APPLESMC\n    bool\n"),
            ("hw/misc/meson.build", "system_ss.add(files('x.c'))"),
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let odd = fs::Permissions::from_mode(0o640);
        fs::set_permissions(dir.path().join("hw/misc/Kconfig"), odd).unwrap();
        dir
    }

    /// Every file of a tree: its mode, and its text or where it leads.
    fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let mode = metadata.permissions().mode();
                if metadata.is_dir() {
                    folders.push(path);
                } else if metadata.is_symlink() {
                    let to = fs::read_link(&path).unwrap();
                    found.insert(path, (mode, to.into_os_string().into_encoded_bytes()));
                } else {
                    let text = fs::read(&path).unwrap();
                    found.insert(path, (mode, text));
                }
            }
        }
        found
    }

    #[test]
    fn on_and_off_restores_every_byte() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        let pristine = snapshot(dir.path());
        assert_eq!(overlay().state(&tree).unwrap(), State::Off);

        assert!(overlay().apply(&tree).unwrap());
        assert_eq!(overlay().state(&tree).unwrap(), State::On);
        for insertion in &INSERTIONS {
            let text = fs::read_to_string(tree.path(insertion.file)).unwrap();
            assert!(text.starts_with(insertion.lines), "{text}");
        }
        for link in LINKS {
            assert!(tree.path(link).exists(), "{link} leads nowhere");
        }

        let laid = snapshot(dir.path());
        assert!(
            !overlay().apply(&tree).unwrap(),
            "a second apply changed something"
        );
        assert_eq!(snapshot(dir.path()), laid);

        assert!(overlay().remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), pristine);
        assert!(
            !overlay().remove(&tree).unwrap(),
            "a second remove changed something"
        );
    }

    #[test]
    fn an_interrupted_apply_is_completed_or_taken_off() {
        for complete in [true, false] {
            let dir = bare_tree("10.0.13\n");
            let tree = Tree::open(dir.path()).unwrap();
            let pristine = snapshot(dir.path());
            symlink(overlay().root.join(LINKS[0]), tree.path(LINKS[0])).unwrap();
            assert_eq!(overlay().state(&tree).unwrap(), State::Partly);
            if complete {
                assert!(overlay().apply(&tree).unwrap());
                assert_eq!(overlay().state(&tree).unwrap(), State::On);
            } else {
                assert!(overlay().remove(&tree).unwrap());
                assert_eq!(snapshot(dir.path()), pristine);
            }
        }
    }

    #[test]
    fn somebody_elses_file_is_left_alone() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        fs::write(tree.path("hw/misc/my-rng.c"), "/* my homework */").unwrap();
        let before = snapshot(dir.path());
        let error = overlay().apply(&tree).unwrap_err().to_string();
        assert!(
            error.contains("hw/misc/my-rng.c is there already"),
            "{error}"
        );
        assert!(overlay().remove(&tree).is_err());
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn edited_lines_are_not_guessed_at() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        overlay().apply(&tree).unwrap();
        let kconfig = tree.path("hw/misc/Kconfig");
        let edited = fs::read_to_string(&kconfig)
            .unwrap()
            .replace("bool", "bool \"mine\"");
        fs::write(&kconfig, &edited).unwrap();
        let before = snapshot(dir.path());
        for error in [overlay().apply(&tree), overlay().remove(&tree)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("Kconfig are not at its top"), "{error}");
        }
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn links_into_another_clone_are_renewed() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        for link in LINKS {
            let elsewhere = Path::new("/gone/qemu-8.2.9-overlay").join(link);
            symlink(elsewhere, tree.path(link)).unwrap();
        }
        assert!(overlay().apply(&tree).unwrap());
        assert_eq!(overlay().state(&tree).unwrap(), State::On);
    }

    #[test]
    fn linked_files_stay_links() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        let kconfig = tree.path("hw/misc/Kconfig");
        fs::rename(&kconfig, dir.path().join("elsewhere")).unwrap();
        symlink("../../elsewhere", &kconfig).unwrap();
        let pristine = snapshot(dir.path());
        overlay().apply(&tree).unwrap();
        assert!(fs::symlink_metadata(&kconfig).unwrap().is_symlink());
        assert_eq!(overlay().state(&tree).unwrap(), State::On);
        overlay().remove(&tree).unwrap();
        assert_eq!(snapshot(dir.path()), pristine);
    }

    /// A file that cannot be replaced is found out before anything is changed.
    #[test]
    fn what_cannot_be_replaced_changes_nothing() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        let mut changes = vec![super::Change::Link {
            at: tree.path("hw/misc/my-rng.c"),
            to: "/nowhere".into(),
        }];
        changes.push(super::Change::Write {
            at: tree.path("hw/misc/no such file"),
            text: Vec::new(),
        });
        let before = snapshot(dir.path());
        assert!(super::carry_out(&changes).is_err());
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn other_trees_are_refused() {
        let empty = tempfile::tempdir().unwrap();
        let error = Tree::open(empty.path()).unwrap_err().to_string();
        assert!(error.contains("is not a QEMU source tree"), "{error}");

        let old = bare_tree("7.2.0\n");
        let tree = Tree::open(old.path()).unwrap();
        let error = tree.require_known_series().unwrap_err().to_string();
        assert!(error.contains("is QEMU 7.2.0"), "{error}");
        assert!(error.contains("8.2.x and 10.0.x"), "{error}");
        assert!(error.contains("FORCE=1"), "{error}");
    }
}
