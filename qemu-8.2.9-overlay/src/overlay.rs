// SPDX-License-Identifier: GPL-2.0-or-later

//! What is laid on a tree, and how it comes off again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::iter;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::copies::{self, File};
use crate::patch::Patch;
use crate::tree::{Tree, read};

/// New files and folders, by their path in the tree, which is also their path in the overlay.
const LINKS: [&str; 5] = [
    "hw/misc/my-rng.c",
    "hw/misc/my-rng.h",
    "hw/misc/my-rng",
    "tests/qtest/my-rng-test.c",
    "configs/devices/x86_64-softmmu/my-counter.mak",
];

/// Lines for a file that QEMU has: from a comment with `MARKS`' first to an empty line after one with
/// the second.
struct Insertion {
    file: &'static str,
    anchor: Anchor,
    lines: &'static str,
}

/// What lines are inserted at. A line that is named must be in the file once.
enum Anchor {
    Top,
    Before(&'static str),
    After(&'static str),
}

const INSERTIONS: [Insertion; 7] = [
    Insertion {
        file: "hw/misc/Kconfig",
        anchor: Anchor::Top,
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
        anchor: Anchor::Top,
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
subdir('my-rng')
system_ss.add(when: 'CONFIG_MY_RNG', if_true: [files('my-rng.c'), my_rng])
# my_rng: end

",
    },
    Insertion {
        file: "hw/misc/trace-events",
        anchor: Anchor::Top,
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
my_rng_read(const char *path, uint64_t offset, unsigned size, uint64_t value) \"%s offset 0x%\" PRIx64 \" size %u value 0x%\" PRIx64
my_rng_write(const char *path, uint64_t offset, unsigned size, uint64_t value) \"%s offset 0x%\" PRIx64 \" size %u value 0x%\" PRIx64
my_rng_seed(const char *path, uint32_t seed) \"%s seed 0x%\" PRIx32
my_rng_transfer(const char *path, uint64_t descriptor, uint32_t status, uint32_t bytes) \"%s descriptor 0x%\" PRIx64 \" status %\" PRIu32 \" bytes %\" PRIu32
my_rng_reset(const char *path) \"%s\"
my_rng_guest_error(const char *path, const char *what) \"%s %s\"
# my_rng: end

",
    },
    Insertion {
        file: "hw/Kconfig",
        anchor: Anchor::Top,
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
source misc/my-rng/devices/Kconfig
# my_rng: end

",
    },
    Insertion {
        file: "meson.build",
        // Which makes code of all events that it is told of by then.
        anchor: Anchor::Before("subdir('trace')"),
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
subdir('hw/misc/my-rng/devices')
# my_rng: end

",
    },
    Insertion {
        file: "tests/qtest/meson.build",
        // What this makes of the one list is the other.
        anchor: Anchor::Before("qtests_x86_64 = qtests_i386"),
        lines: "\
# my_rng: begin (laid on by qemu-overlay)
if config_all_devices.has_key('CONFIG_MY_RNG')
  qtests_i386 += ['my-rng-test']
endif
# my_rng: end

",
    },
    Insertion {
        file: "tests/qtest/fuzz/generic_fuzz_configs.h",
        anchor: Anchor::After("const generic_fuzz_config predefined_configs[] = {"),
        lines: "    /* my_rng: begin (laid on by qemu-overlay) */
    {
        .name = \"my-rng\",
        .args = \"-machine q35 -nodefaults -device my_rng\",
        .objects = \"my_rng*\",
    },
    /* my_rng: end */

",
    },
];

/// The marks around inserted lines, by which those of another version of the overlay are found, too.
const MARKS: [&str; 2] = ["my_rng: begin", "my_rng: end"];

/// How much of the overlay a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    On,
    Off,
    Partly,
}

/// How files are laid on a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As links into this repository.
    Links,
    /// As copies, with all that the build needs of this repository.
    Copies,
}

/// The overlay, in this repository.
pub struct Overlay {
    root: PathBuf,
}

/// A change to the tree that has been found possible.
enum Change {
    Link {
        at: PathBuf,
        to: PathBuf,
    },
    /// A file that is not there.
    Create {
        at: PathBuf,
        file: File,
    },
    Unlink(PathBuf),
    /// A folder, but only if nothing is in it.
    RemoveFolder(PathBuf),
    /// A file of QEMU's.
    Write {
        at: PathBuf,
        text: Vec<u8>,
    },
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
    pub fn apply(&self, tree: &Tree, manner: Manner) -> Result<bool> {
        let mut changes = match manner {
            Manner::Links => self.link(tree)?,
            Manner::Copies => self.copy(tree)?,
        };
        for insertion in &INSERTIONS {
            let at = tree.path(insertion.file);
            let text = read(&at)?;
            if insertion.taken_off(&at, &text)?.is_none() {
                let text = insertion.laid_on(&at, &text)?;
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
        changes.extend(self.files_off(tree)?);
        carry_out(&changes)
    }

    /// What lays the files as links.
    fn link(&self, tree: &Tree) -> Result<Vec<Change>> {
        let mut changes = match copies::laid(tree)?[..] {
            [] => Vec::new(),
            _ => self.files_off(tree)?,
        };
        let free = !changes.is_empty();
        for file in LINKS {
            let (at, to) = (tree.path(file), self.root.join(file));
            if !free {
                match self.place(&at, file)? {
                    Place::Ours => continue,
                    Place::Free => {}
                    Place::OfAnotherClone => changes.push(Change::Unlink(at.clone())),
                }
            }
            changes.push(Change::Link { at, to });
        }
        Ok(changes)
    }

    /// What lays the files as copies.
    fn copy(&self, tree: &Tree) -> Result<Vec<Change>> {
        let files = copies::files(&self.root, &LINKS)?;
        if is_copied(tree, &files) {
            return Ok(Vec::new());
        }
        let mut changes = self.files_off(tree)?;
        // What is there and does not go is somebody's; behind a link that goes, nothing is.
        let laid = copies::laid(tree)?;
        for path in files.keys() {
            let at = tree.path(path);
            let goes = laid.iter().any(|copy| copy.path == *path) || path == copies::LIST;
            if !goes && !is_behind_a_link(tree, path) && fs::symlink_metadata(&at).is_ok() {
                return Err(not_ours(&at));
            }
        }
        // The list first: what is laid in part can be taken off.
        let (list, others): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|(path, _)| path == copies::LIST);
        changes.extend(list.into_iter().chain(others).map(|(path, file)| {
            let at = tree.path(&path);
            Change::Create { at, file }
        }));
        Ok(changes)
    }

    /// What takes off the files, links or copies.
    fn files_off(&self, tree: &Tree) -> Result<Vec<Change>> {
        let laid = copies::laid(tree)?;
        let (mut changes, mut folders) = (Vec::new(), Vec::new());
        for copy in &laid {
            let at = tree.path(&copy.path);
            if copy.is_there(tree)? {
                changes.push(Change::Unlink(at.clone()));
            }
            let ours = tree.path(copies::FOLDER);
            let above = at.ancestors().skip(1);
            folders.extend(
                above
                    .take_while(|it| it.starts_with(&ours))
                    .map(Path::to_owned),
            );
        }
        if !laid.is_empty() {
            changes.push(Change::Unlink(tree.path(copies::LIST)));
        }
        for file in LINKS {
            let at = tree.path(file);
            // What is, or has in it, a copy was looked at above.
            let copied = laid
                .iter()
                .any(|copy| Path::new(&copy.path).starts_with(file));
            if !copied && self.place(&at, file)? != Place::Free {
                changes.push(Change::Unlink(at));
            }
        }
        // The inner ones first.
        folders.sort();
        folders.dedup();
        changes.extend(folders.into_iter().rev().map(Change::RemoveFolder));
        Ok(changes)
    }

    /// A patch that makes of a pristine tree what `apply` makes of it with copies.
    pub fn patch(&self, tree: &Tree) -> Result<Vec<u8>> {
        let mut patch = Patch::new(&format!(
            "The my_rng device for QEMU {}. Apply this in QEMU's source root: patch -p1 <qemu.patch\n\
             Building takes Rust 1.85 or newer, libclang 17 or newer, and the crates that\n\
             {}/Cargo.lock names, which cargo gets from crates.io.\n",
            tree.version(),
            copies::FOLDER,
        ));
        for insertion in &INSERTIONS {
            let at = tree.path(insertion.file);
            let text = read(&at)?;
            let text = insertion.taken_off(&at, &text)?.unwrap_or(text);
            let (before, after) = insertion.place(&at, &text)?;
            patch.insert(insertion.file, before, insertion.lines.as_bytes(), after);
        }
        for (path, file) in &copies::files(&self.root, &LINKS)? {
            patch.create(path, file);
        }
        Ok(patch.into_bytes())
    }

    /// How much of the overlay the tree has.
    pub fn state(&self, tree: &Tree) -> Result<State> {
        let mut on = Vec::new();
        let laid = copies::laid(tree)?;
        for copy in &laid {
            on.push(tree.path(&copy.path).exists());
        }
        if laid.is_empty() {
            for file in LINKS {
                on.push(self.place(&tree.path(file), file)? == Place::Ours);
            }
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
    /// The file's text with the lines, which it does not have.
    fn laid_on(&self, at: &Path, text: &[u8]) -> Result<Vec<u8>> {
        let (before, after) = self.place(at, text)?;
        Ok([before, self.lines.as_bytes(), after].concat())
    }

    /// What is before the lines in the file's text, which does not have them, and what is after them.
    fn place<'a>(&self, at: &Path, text: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
        let fitting: Vec<_> = cuts(text)
            .filter(|(before, after)| self.anchor.is_between(before, after))
            .collect();
        match fitting[..] {
            [place] => Ok(place),
            _ => bail!(
                "the lines of my_rng belong {} of {}, which is there {} times and not once; take a \
                 QEMU of a series that the overlay was tried on",
                self.anchor,
                at.display(),
                fitting.len()
            ),
        }
    }

    /// The file's text without the lines, if it has them.
    fn taken_off(&self, at: &Path, text: &[u8]) -> Result<Option<Vec<u8>>> {
        let rest = cuts(text).find_map(|(before, from)| {
            let after = from.strip_prefix(self.lines.as_bytes())?;
            let all =
                self.anchor.is_between(before, after) && !is_marked(before) && !is_marked(after);
            all.then(|| [before, after].concat())
        });
        if rest.is_none() && is_marked(text) {
            let [begin, end] = MARKS;
            bail!(
                "the lines of my_rng in {} are not where they were laid, or not as they were; take \
                 them out by hand (from `{begin}` to the empty line after `{end}`) and try again",
                at.display()
            );
        }
        Ok(rest)
    }
}

impl Anchor {
    /// Whether this is between what is `before` and what is `after`.
    fn is_between(&self, before: &[u8], after: &[u8]) -> bool {
        match self {
            Self::Top => before.is_empty(),
            Self::Before(line) => after.split(is_newline).next() == Some(line.as_bytes()),
            Self::After(line) => before
                .strip_suffix(b"\n")
                .is_some_and(|before| before.rsplit(is_newline).next() == Some(line.as_bytes())),
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("at the top"),
            Self::Before(line) => write!(f, "before the line `{line}`"),
            Self::After(line) => write!(f, "after the line `{line}`"),
        }
    }
}

/// The text, cut in two before each of its lines, and at its end.
fn cuts(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = (0..).zip(text).filter(|(_, byte)| is_newline(byte));
    iter::once(0)
        .chain(ends.map(|(end, _)| end + 1))
        .map(|cut| text.split_at(cut))
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// Whether lines of an overlay begin or end in the text.
fn is_marked(text: &[u8]) -> bool {
    MARKS
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}

fn not_ours(at: &Path) -> anyhow::Error {
    anyhow!(
        "{} is there already and is not of this overlay; move it away and try again",
        at.display()
    )
}

/// Whether the tree has just these copies, each as it is here.
fn is_copied(tree: &Tree, files: &BTreeMap<String, File>) -> bool {
    !is_behind_a_link(tree, copies::LIST)
        && files
            .iter()
            .all(|(path, file)| fs::read(tree.path(path)).is_ok_and(|text| text == file.text))
}

/// Whether the file would be in the folder that a link of the overlay's leads to, or in the link's place.
fn is_behind_a_link(tree: &Tree, path: &str) -> bool {
    LINKS
        .iter()
        .any(|link| Path::new(path).starts_with(link) && tree.path(link).is_symlink())
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
            Change::Create { at, file } => create(at, file).map_err(|error| (at, error)),
            Change::Unlink(at) => fs::remove_file(at).map_err(|error| (at, error)),
            Change::RemoveFolder(at) => match fs::remove_dir(at) {
                Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err((at, error)),
                _ => Ok(()),
            },
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
                "; the tree is changed in part: once the cause is removed, the same command goes on, or \
                 `remove` takes all off"
            } else {
                ""
            };
            bail!("{} could not be changed ({error}){half}", at.display());
        }
    }
    Ok(!changes.is_empty())
}

/// Makes a file, and the folders that it is in: whole, or not at all.
fn create(at: &Path, file: &File) -> std::io::Result<()> {
    let dir = at.parent().unwrap_or(at);
    fs::create_dir_all(dir)?;
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut made = tempfile::Builder::new()
        .prefix(".qemu-overlay-")
        // The umask takes from it what the user does not give to others.
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    made.write_all(&file.text)?;
    made.persist_noclobber(at)?;
    Ok(())
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
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::{Anchor, INSERTIONS, LINKS, Manner, Overlay, State};
    use crate::copies;
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
            ("meson.build", "subdir('qapi')\nsubdir('trace')\n"),
            ("configs/devices/x86_64-softmmu/default.mak", ""),
            ("hw/Kconfig", "source misc/Kconfig\n"),
            ("hw/misc/Kconfig", "config APPLESMC\n    bool\n"),
            ("hw/misc/meson.build", "system_ss.add(files('x.c'))"),
            ("hw/misc/trace-events", "# x.c\nx(void) \"\"\n"),
            (
                "tests/qtest/meson.build",
                "qtests_i386 = ['x-test']\n\nqtests_x86_64 = qtests_i386\n\nqtests_arm = []\n",
            ),
            (
                "tests/qtest/fuzz/generic_fuzz_configs.h",
                "const generic_fuzz_config predefined_configs[] = {\n    {\n    }\n};\n",
            ),
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let odd = fs::Permissions::from_mode(0o640);
        fs::set_permissions(dir.path().join("hw/misc/Kconfig"), odd).unwrap();
        dir
    }

    type Snapshot = BTreeMap<PathBuf, (u32, Vec<u8>)>;

    /// Every file of a tree: its mode, and its text or where it leads.
    fn snapshot(root: &Path) -> Snapshot {
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

        assert!(overlay().apply(&tree, Manner::Links).unwrap());
        assert_eq!(overlay().state(&tree).unwrap(), State::On);
        for insertion in &INSERTIONS {
            let text = fs::read_to_string(tree.path(insertion.file)).unwrap();
            let (before, after) = text.split_once(insertion.lines).unwrap();
            match insertion.anchor {
                Anchor::Top => assert_eq!(before, "", "{text}"),
                Anchor::Before(line) => assert!(after.starts_with(line), "{text}"),
                Anchor::After(line) => assert!(before.ends_with(&format!("{line}\n")), "{text}"),
            }
        }
        for link in LINKS {
            assert!(tree.path(link).exists(), "{link} leads nowhere");
        }

        let laid = snapshot(dir.path());
        assert!(
            !overlay().apply(&tree, Manner::Links).unwrap(),
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
                assert!(overlay().apply(&tree, Manner::Links).unwrap());
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
        let error = overlay()
            .apply(&tree, Manner::Links)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("hw/misc/my-rng.c is there already"),
            "{error}"
        );
        assert!(overlay().remove(&tree).is_err());
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn edited_lines_are_not_guessed_at() {
        for (file, from, to) in [
            (
                "hw/misc/Kconfig",
                "bool\n    default",
                "bool \"mine\"\n    default",
            ),
            // Not at the top any more.
            (
                "hw/misc/trace-events",
                "# my_rng: begin",
                "\n# my_rng: begin",
            ),
            // What is left of them when the first was taken out by hand.
            ("hw/misc/meson.build", "# my_rng: begin", "#"),
            (
                "tests/qtest/meson.build",
                "['my-rng-test']",
                "['mine-test']",
            ),
            // Not next to their line any more.
            (
                "tests/qtest/meson.build",
                "qtests_x86_64",
                "qtests_x86 = []\nqtests_x86_64",
            ),
            (
                "tests/qtest/fuzz/generic_fuzz_configs.h",
                "{\n    /* my_rng: begin",
                "{\n    {\n    },\n    /* my_rng: begin",
            ),
            (
                "tests/qtest/fuzz/generic_fuzz_configs.h",
                "};",
                "/* my_rng: end */\n};",
            ),
        ] {
            let dir = bare_tree("8.2.9\n");
            let tree = Tree::open(dir.path()).unwrap();
            overlay().apply(&tree, Manner::Links).unwrap();
            let path = tree.path(file);
            let laid = fs::read_to_string(&path).unwrap();
            let edited = laid.replacen(from, to, 1);
            assert_ne!(edited, laid, "{file} has no {from}");
            fs::write(&path, &edited).unwrap();
            let before = snapshot(dir.path());
            for error in [
                overlay().apply(&tree, Manner::Links),
                overlay().remove(&tree),
            ] {
                let error = error.unwrap_err().to_string();
                assert!(
                    error.contains(&format!("{file} are not where they were laid")),
                    "{error}"
                );
            }
            assert_eq!(snapshot(dir.path()), before);
        }
    }

    #[test]
    fn lines_want_their_place_to_be_there_once() {
        let file = "tests/qtest/meson.build";
        let line = "qtests_x86_64 = qtests_i386";
        for (text, times) in [
            (format!("{line}\n\n{line}\n"), 2),
            (format!("{line} + ['x-test']\n"), 0),
            (String::new(), 0),
        ] {
            let dir = bare_tree("8.2.9\n");
            let tree = Tree::open(dir.path()).unwrap();
            fs::write(tree.path(file), text).unwrap();
            let before = snapshot(dir.path());
            let error = overlay()
                .apply(&tree, Manner::Links)
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("the line `{line}` of ")), "{error}");
            assert!(
                error.contains(&format!("{file}, which is there {times} times")),
                "{error}"
            );
            // There is nothing to take off, so nothing has to have a place.
            assert!(!overlay().remove(&tree).unwrap());
            assert_eq!(snapshot(dir.path()), before);
        }
    }

    /// Also one that nothing follows, or that is not ended.
    #[test]
    fn lines_find_their_place_wherever_it_is() {
        let after = "const generic_fuzz_config predefined_configs[] = {\n";
        for (file, text) in [
            ("tests/qtest/meson.build", "qtests_x86_64 = qtests_i386"),
            ("tests/qtest/fuzz/generic_fuzz_configs.h", after),
            ("hw/misc/Kconfig", ""),
        ] {
            let dir = bare_tree("8.2.9\n");
            let tree = Tree::open(dir.path()).unwrap();
            fs::write(tree.path(file), text).unwrap();
            let pristine = snapshot(dir.path());
            overlay().apply(&tree, Manner::Links).unwrap();
            assert_eq!(overlay().state(&tree).unwrap(), State::On);
            overlay().remove(&tree).unwrap();
            assert_eq!(snapshot(dir.path()), pristine);
        }
    }

    /// A tree with the overlay on it in the given manner, and the tree as it was before.
    fn laid(manner: Manner) -> (TempDir, Tree, Snapshot) {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        let pristine = snapshot(dir.path());
        assert!(overlay().apply(&tree, manner).unwrap());
        (dir, tree, pristine)
    }

    /// Every file of a tree by its path in that: its kind, whether it can be executed, and its contents.
    fn relative(root: &Path) -> Snapshot {
        let all = snapshot(root).into_iter();
        all.map(|(path, (mode, text))| {
            let path = path.strip_prefix(root).unwrap().to_owned();
            (path, (mode & 0o170_100, text))
        })
        .collect()
    }

    #[test]
    fn copies_are_whole_and_come_off() {
        let (dir, tree, pristine) = laid(Manner::Copies);
        assert_eq!(overlay().state(&tree).unwrap(), State::On);
        let on = snapshot(dir.path());
        assert!(!overlay().apply(&tree, Manner::Copies).unwrap());
        assert_eq!(snapshot(dir.path()), on);
        // Nothing leads out of the tree.
        for (path, (mode, _)) in &on {
            assert_eq!(mode & 0o170_000, 0o100_000, "{}", path.display());
        }
        let script = &on[&tree.path("hw/misc/my-rng/cargo-staticlib.py")];
        assert_eq!(script.0 & 0o700, 0o700);
        for file in ["rust-dev/src/lib.rs", "abi/my_rng_abi.rs", "Cargo.lock"] {
            assert!(on.contains_key(&tree.path(copies::FOLDER).join(file)));
        }
        assert!(overlay().remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), pristine);
        assert!(!tree.path(copies::FOLDER).exists());
        assert!(!overlay().remove(&tree).unwrap());
    }

    #[test]
    fn links_and_copies_take_each_others_place() {
        for (first, second) in [
            (Manner::Links, Manner::Copies),
            (Manner::Copies, Manner::Links),
        ] {
            let (dir, tree, pristine) = laid(first);
            assert!(overlay().apply(&tree, second).unwrap());
            let (other, _, _) = laid(second);
            assert_eq!(relative(dir.path()), relative(other.path()));
            overlay().remove(&tree).unwrap();
            assert_eq!(snapshot(dir.path()), pristine);
        }
    }

    #[test]
    fn a_copy_that_was_changed_is_neither_deleted_nor_replaced() {
        for file in ["hw/misc/my-rng.c", "hw/misc/my-rng/rust-dev/src/device.rs"] {
            let (dir, tree, pristine) = laid(Manner::Copies);
            let mut text = fs::read(tree.path(file)).unwrap();
            text.extend_from_slice(b"/* my homework */\n");
            fs::write(tree.path(file), text).unwrap();
            let before = snapshot(dir.path());
            assert_eq!(overlay().state(&tree).unwrap(), State::On);
            for error in [
                overlay().remove(&tree),
                overlay().apply(&tree, Manner::Copies),
                overlay().apply(&tree, Manner::Links),
            ] {
                let error = error.unwrap_err().to_string();
                let expected = format!("{file} was changed since it was laid");
                assert!(error.contains(&expected), "{error}");
            }
            assert_eq!(snapshot(dir.path()), before);
            // Moved away, it is in nobody's way.
            fs::remove_file(tree.path(file)).unwrap();
            assert_eq!(overlay().state(&tree).unwrap(), State::Partly);
            assert!(overlay().remove(&tree).unwrap());
            assert_eq!(snapshot(dir.path()), pristine);
        }
    }

    #[test]
    fn a_file_beside_the_copies_stays() {
        let (dir, tree, mut pristine) = laid(Manner::Copies);
        let notes = tree.path("hw/misc/my-rng/rust-dev/notes");
        fs::write(&notes, "mine").unwrap();
        assert!(overlay().remove(&tree).unwrap());
        let mine = fs::symlink_metadata(&notes).unwrap().permissions().mode();
        pristine.insert(notes, (mine, b"mine".to_vec()));
        assert_eq!(snapshot(dir.path()), pristine);
        // And is not written over.
        fs::write(tree.path("hw/misc/my-rng/rust-dev/Cargo.toml"), "mine").unwrap();
        let before = snapshot(dir.path());
        assert!(overlay().apply(&tree, Manner::Copies).is_err());
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn a_list_that_leads_out_of_the_tree_is_refused() {
        let (dir, tree, _) = laid(Manner::Copies);
        let beside = tempfile::tempdir().unwrap();
        fs::write(beside.path().join("precious"), "").unwrap();
        for path in ["/etc/passwd", "../precious", ""] {
            fs::write(
                tree.path(copies::LIST),
                format!("cbf29ce484222325 {path}\n"),
            )
            .unwrap();
            let before = snapshot(dir.path());
            assert!(overlay().remove(&tree).is_err(), "{path}");
            assert_eq!(snapshot(dir.path()), before);
        }
    }

    #[test]
    fn copies_of_an_older_state_are_renewed() {
        let (dir, tree, pristine) = laid(Manner::Copies);
        let on = snapshot(dir.path());
        // As if a file had been another, and another had been there.
        let old = "/* an older state */\n";
        for file in ["hw/misc/my-rng.c", "hw/misc/my-rng/gone.c"] {
            fs::write(tree.path(file), old).unwrap();
        }
        let list = fs::read_to_string(tree.path(copies::LIST)).unwrap();
        let mut lines: Vec<_> = list
            .lines()
            .filter(|line| !line.ends_with(" hw/misc/my-rng.c"))
            .map(String::from)
            .collect();
        let sum = copies::checksum(old.as_bytes());
        for file in ["hw/misc/my-rng.c", "hw/misc/my-rng/gone.c"] {
            lines.push(format!("{sum:016x} {file}"));
        }
        fs::write(tree.path(copies::LIST), lines.join("\n")).unwrap();
        assert!(overlay().apply(&tree, Manner::Copies).unwrap());
        assert_eq!(snapshot(dir.path()), on);
        overlay().remove(&tree).unwrap();
        assert_eq!(snapshot(dir.path()), pristine);
    }

    /// By the two programs with which people apply one.
    #[test]
    fn the_patch_makes_what_apply_makes() {
        let (on, tree, _) = laid(Manner::Copies);
        let patch = overlay().patch(&tree).unwrap();
        for command in [["patch", "-p1"], ["git", "apply"]] {
            let dir = bare_tree("8.2.9\n");
            let pristine_tree = Tree::open(dir.path()).unwrap();
            let before = snapshot(dir.path());
            assert_eq!(overlay().patch(&pristine_tree).unwrap(), patch);
            assert_eq!(snapshot(dir.path()), before);
            let mut child = Command::new(command[0])
                .arg(command[1])
                .current_dir(dir.path())
                // Keep git from finding a repository around the folder.
                .env("GIT_CEILING_DIRECTORIES", dir.path().parent().unwrap())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&patch).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert_eq!(relative(dir.path()), relative(on.path()), "{command:?}");
            // Where it was applied, the overlay can be taken off.
            overlay().remove(&pristine_tree).unwrap();
            assert_eq!(snapshot(dir.path()).len(), before.len());
        }
    }

    /// Each file's lines are told by comments in its own language.
    #[test]
    fn inserted_lines_are_marked() {
        for insertion in &INSERTIONS {
            let (open, close) = match insertion.file.ends_with(".h") {
                true => ("/* ", " */"),
                false => ("# ", ""),
            };
            let lines: Vec<_> = insertion.lines.lines().map(str::trim_start).collect();
            assert_eq!(
                lines[0],
                format!("{open}my_rng: begin (laid on by qemu-overlay){close}")
            );
            assert_eq!(
                lines[lines.len() - 2..],
                [&format!("{open}my_rng: end{close}"), ""]
            );
        }
    }

    #[test]
    fn links_into_another_clone_are_renewed() {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        for link in LINKS {
            let elsewhere = Path::new("/gone/qemu-8.2.9-overlay").join(link);
            symlink(elsewhere, tree.path(link)).unwrap();
        }
        assert!(overlay().apply(&tree, Manner::Links).unwrap());
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
        overlay().apply(&tree, Manner::Links).unwrap();
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
        assert!(error.contains("--force"), "{error}");
    }
}
