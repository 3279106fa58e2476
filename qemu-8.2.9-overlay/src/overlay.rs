// SPDX-License-Identifier: GPL-2.0-or-later

//! What is laid on a tree, and how it comes off again.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::iter;
use std::os::unix::fs::{MetadataExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::tree::Tree;

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

/// What inserted lines are told by, even those of another version of the overlay.
const MARKS: [&str; 2] = ["my_rng: begin", "my_rng: end"];

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
    /// The file's text with the lines, which it does not have.
    fn laid_on(&self, at: &Path, text: &[u8]) -> Result<Vec<u8>> {
        let fitting: Vec<_> = cuts(text)
            .filter(|(before, after)| self.anchor.is_between(before, after))
            .collect();
        match fitting[..] {
            [(before, after)] => Ok([before, self.lines.as_bytes(), after].concat()),
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

    use super::{Anchor, INSERTIONS, LINKS, Overlay, State};
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
            overlay().apply(&tree).unwrap();
            let path = tree.path(file);
            let laid = fs::read_to_string(&path).unwrap();
            let edited = laid.replacen(from, to, 1);
            assert_ne!(edited, laid, "{file} has no {from}");
            fs::write(&path, &edited).unwrap();
            let before = snapshot(dir.path());
            for error in [overlay().apply(&tree), overlay().remove(&tree)] {
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
            let error = overlay().apply(&tree).unwrap_err().to_string();
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
            overlay().apply(&tree).unwrap();
            assert_eq!(overlay().state(&tree).unwrap(), State::On);
            overlay().remove(&tree).unwrap();
            assert_eq!(snapshot(dir.path()), pristine);
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
        assert!(error.contains("--force"), "{error}");
    }
}
