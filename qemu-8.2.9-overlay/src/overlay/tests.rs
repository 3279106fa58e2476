// SPDX-License-Identifier: GPL-2.0-or-later

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::SystemTime;

use tempfile::TempDir;

use super::{Manner, State, apply, patch, remove, state};
use crate::files::{self, ROOT};
use crate::insertion::{self, Anchor};
use crate::record;
use crate::repository::Repository;
use crate::tree::Tree;

const SHIM: &str = "hw/misc/my-rng.c";

/// This repository.
fn ours() -> &'static Repository {
    static OURS: LazyLock<Repository> = LazyLock::new(|| {
        Repository::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust-dev")).unwrap()
    });
    &OURS
}

/// A repository with one device, whose name is `device`, in a crate of the name `package`.
fn other(dir: &Path, package: &str, device: &str) -> Repository {
    let overlay = dir.join("overlay");
    let dashed = device.replace('_', "-");
    fs::create_dir_all(overlay.join(format!("hw/misc/{dashed}"))).unwrap();
    for (file, text) in [
        (format!("overlay/hw/misc/{dashed}.c"), "/* the shim */\n"),
        (format!("overlay/hw/misc/{dashed}/trace-events"), ""),
        ("Cargo.toml".to_owned(), "[package]\n"),
        ("Cargo.lock".to_owned(), "version = 4\n"),
        ("lib.rs".to_owned(), ""),
    ] {
        fs::write(dir.join(file), text).unwrap();
    }
    Repository {
        root: dir.to_owned(),
        krate: PathBuf::new(),
        package: package.to_owned(),
        overlay,
        kit: ours().kit.clone(),
        devices: vec![device.to_owned()],
        sources: [dir.to_owned()].into(),
    }
}

/// A tree with all files that the overlay needs.
fn bare_tree(version: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("VERSION", version),
        ("include/qemu/osdep.h", "/* osdep */\n"),
        ("meson.build", "subdir('qapi')\nsubdir('trace')\n"),
        ("hw/misc/Kconfig", "config APPLESMC\n    bool\n"),
        ("hw/misc/meson.build", "system_ss.add(files('x.c'))"),
        (
            "tests/qtest/meson.build",
            "qtests_i386 = ['x-test']\n\nqtests_x86_64 = qtests_i386\n\nqtests_arm = []\n",
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

/// Every file of a tree: its mode, and its text or link target.
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
fn apply_and_remove_restore_every_byte() {
    let dir = bare_tree("8.2.9\n");
    let tree = Tree::open(dir.path()).unwrap();
    let pristine = snapshot(dir.path());
    assert_eq!(state(&tree).unwrap(), State::Off);

    assert!(apply(&tree, ours(), Manner::Links).unwrap());
    assert_eq!(state(&tree).unwrap(), State::On);
    for insertion in insertion::all("rust-dev") {
        let text = fs::read_to_string(tree.path(insertion.file)).unwrap();
        let (before, after) = text.split_once(&insertion.lines).unwrap();
        match insertion.anchor {
            Anchor::Top => assert_eq!(before, "", "{text}"),
            Anchor::Before(line) => assert!(after.starts_with(line), "{text}"),
        }
    }
    for link in files::links(ours()).unwrap().keys() {
        assert!(tree.path(link).exists(), "{link} leads nowhere");
    }

    let applied = snapshot(dir.path());
    assert!(
        !apply(&tree, ours(), Manner::Links).unwrap(),
        "a second apply changed something"
    );
    assert_eq!(snapshot(dir.path()), applied);

    assert!(remove(&tree).unwrap());
    assert_eq!(snapshot(dir.path()), pristine);
    assert!(!remove(&tree).unwrap(), "a second remove changed something");
}

#[test]
fn anchor_must_exist_exactly_once() {
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
        let error = apply(&tree, ours(), Manner::Links).unwrap_err().to_string();
        assert!(error.contains(&format!("the line `{line}` of ")), "{error}");
        assert!(
            error.contains(&format!("{file}, which is there {times} times")),
            "{error}"
        );
        // There is nothing to remove, so the anchors are not needed.
        assert!(!remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), before);
    }
}

/// A tree with the overlay applied, and its files before that.
fn applied(manner: Manner) -> (TempDir, Tree, Snapshot) {
    let dir = bare_tree("8.2.9\n");
    let tree = Tree::open(dir.path()).unwrap();
    let pristine = snapshot(dir.path());
    assert!(apply(&tree, ours(), manner).unwrap());
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
fn links_and_copies_replace_each_other() {
    for (first, second) in [
        (Manner::Links, Manner::Copies),
        (Manner::Copies, Manner::Links),
    ] {
        let (dir, tree, pristine) = applied(first);
        assert!(apply(&tree, ours(), second).unwrap());
        let (other, _, _) = applied(second);
        assert_eq!(relative(dir.path()), relative(other.path()));
        remove(&tree).unwrap();
        assert_eq!(snapshot(dir.path()), pristine);
    }
}

/// With both programs that people use to apply a patch.
#[test]
fn patch_and_apply_give_the_same_tree() {
    let (on, tree, _) = applied(Manner::Copies);
    let expected = patch(&tree, ours()).unwrap();
    for command in [["patch", "-p1"], ["git", "apply"]] {
        let dir = bare_tree("8.2.9\n");
        let pristine_tree = Tree::open(dir.path()).unwrap();
        let before = snapshot(dir.path());
        assert_eq!(patch(&pristine_tree, ours()).unwrap(), expected);
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
        child.stdin.take().unwrap().write_all(&expected).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(relative(dir.path()), relative(on.path()), "{command:?}");
        // After the patch was applied, the overlay can be removed.
        remove(&pristine_tree).unwrap();
        assert_eq!(snapshot(dir.path()).len(), before.len());
    }
}

#[test]
fn linked_files_stay_links() {
    let dir = bare_tree("8.2.9\n");
    let tree = Tree::open(dir.path()).unwrap();
    let kconfig = tree.path("hw/misc/Kconfig");
    fs::rename(&kconfig, dir.path().join("elsewhere")).unwrap();
    symlink("../../elsewhere", &kconfig).unwrap();
    let pristine = snapshot(dir.path());
    apply(&tree, ours(), Manner::Links).unwrap();
    assert!(fs::symlink_metadata(&kconfig).unwrap().is_symlink());
    assert_eq!(state(&tree).unwrap(), State::On);
    remove(&tree).unwrap();
    assert_eq!(snapshot(dir.path()), pristine);
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

/// An interrupted apply or remove can be completed: the record is written first and removed last.
#[test]
fn interrupted_run_can_be_completed_or_undone() {
    for manner in [Manner::Links, Manner::Copies] {
        let (on, tree, pristine) = applied(manner);
        let whole = relative(on.path());
        let files: Vec<_> = record::Record::read(&tree)
            .unwrap()
            .unwrap()
            .files
            .into_keys()
            .collect();
        for (index, file) in files.iter().enumerate() {
            fs::remove_file(tree.path(file)).unwrap();
            if index % 2 == 0 {
                let line = insertion::all("rust-dev");
                let meson = tree.path(line[1].file);
                let text = fs::read_to_string(&meson)
                    .unwrap()
                    .replace(&line[1].lines, "");
                fs::write(meson, text).unwrap();
            }
            assert_eq!(state(&tree).unwrap(), State::Partly);
            assert!(apply(&tree, ours(), manner).unwrap());
            assert_eq!(relative(on.path()), whole, "{file}");
        }
        for file in &files[..files.len() / 2] {
            fs::remove_file(tree.path(file)).unwrap();
        }
        assert!(remove(&tree).unwrap());
        assert_eq!(snapshot(on.path()), pristine);
    }
}

#[test]
fn foreign_files_are_not_touched() {
    for manner in [Manner::Links, Manner::Copies] {
        for (file, in_the_way) in [
            (SHIM, SHIM),
            ("hw/misc/my-rng/notes", "hw/misc/my-rng"),
            ("hw/misc/qemu-pci-devices", "hw/misc/qemu-pci-devices"),
        ] {
            let dir = bare_tree("8.2.9\n");
            let tree = Tree::open(dir.path()).unwrap();
            fs::create_dir_all(tree.path(file).parent().unwrap()).unwrap();
            fs::write(tree.path(file), "/* my homework */").unwrap();
            let before = snapshot(dir.path());
            let result = apply(&tree, ours(), manner);
            if (file, manner) == ("hw/misc/my-rng/notes", Manner::Copies) {
                // Copies are added beside it, and it stays.
                assert!(result.unwrap());
                assert!(remove(&tree).unwrap());
            } else {
                let error = result.unwrap_err().to_string();
                assert!(
                    error.contains(&format!("{in_the_way} exists and")),
                    "{error}"
                );
                assert!(!remove(&tree).unwrap());
            }
            assert_eq!(snapshot(dir.path()), before);
        }
    }
}

#[test]
fn edited_lines_are_refused() {
    for (file, from, to) in [
        ("hw/misc/Kconfig", "source ", "# source "),
        // Not at the top any more.
        (
            "hw/misc/Kconfig",
            "# qemu-pci: begin",
            "\n# qemu-pci: begin",
        ),
        // What is left of them when the first was taken out by hand.
        ("hw/misc/meson.build", "# qemu-pci: begin", "#"),
        ("meson.build", "'qemu-pci-devices/", "'/elsewhere/"),
        // Not next to their line any more.
        (
            "tests/qtest/meson.build",
            "qtests_x86_64",
            "qtests_x86 = []\nqtests_x86_64",
        ),
        (
            "tests/qtest/meson.build",
            "qtests_arm",
            "# qemu-pci: end\nqtests_arm",
        ),
    ] {
        let (dir, tree, _) = applied(Manner::Links);
        let path = tree.path(file);
        let original = fs::read_to_string(&path).unwrap();
        let edited = original.replacen(from, to, 1);
        assert_ne!(edited, original, "{file} has no {from}");
        fs::write(&path, &edited).unwrap();
        let before = snapshot(dir.path());
        for error in [apply(&tree, ours(), Manner::Links), remove(&tree)] {
            let error = error.unwrap_err().to_string();
            let expected = format!("{file} were moved or edited");
            assert!(error.contains(&expected), "{error}");
        }
        assert_eq!(snapshot(dir.path()), before);
    }
}

/// Also if the line is the last one, or has no newline.
#[test]
fn lines_are_inserted_at_any_position_of_the_anchor() {
    for (file, text) in [
        ("tests/qtest/meson.build", "qtests_x86_64 = qtests_i386"),
        ("meson.build", "subdir('trace')\n"),
        ("hw/misc/Kconfig", ""),
    ] {
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        fs::write(tree.path(file), text).unwrap();
        let pristine = snapshot(dir.path());
        apply(&tree, ours(), Manner::Links).unwrap();
        assert_eq!(state(&tree).unwrap(), State::On);
        remove(&tree).unwrap();
        assert_eq!(snapshot(dir.path()), pristine);
    }
}

#[test]
fn copies_are_complete_and_can_be_removed() {
    let (dir, tree, pristine) = applied(Manner::Copies);
    assert_eq!(state(&tree).unwrap(), State::On);
    let on = snapshot(dir.path());
    assert!(!apply(&tree, ours(), Manner::Copies).unwrap());
    assert_eq!(snapshot(dir.path()), on);
    // No path leads out of the tree.
    for (path, (mode, _)) in &on {
        assert_eq!(mode & 0o170_000, 0o100_000, "{}", path.display());
    }
    let script = &on[&tree.path("hw/misc/qemu-pci/cargo-staticlib.py")];
    assert_eq!(script.0 & 0o700, 0o700);
    for file in [
        "rust-dev/src/lib.rs",
        "rust-dev/qemu-pci/Cargo.toml",
        "abi/my_rng_abi.rs",
        "Cargo.lock",
    ] {
        assert!(on.contains_key(&tree.path(ROOT).join(file)), "{file}");
    }
    assert!(remove(&tree).unwrap());
    assert_eq!(snapshot(dir.path()), pristine);
    assert!(!tree.path(ROOT).exists());
    assert!(!remove(&tree).unwrap());
}

#[test]
fn changed_copy_is_neither_deleted_nor_replaced() {
    for file in [SHIM, "hw/misc/qemu-pci-devices/rust-dev/src/lib.rs"] {
        let (dir, tree, pristine) = applied(Manner::Copies);
        let mut text = fs::read(tree.path(file)).unwrap();
        text.extend_from_slice(b"/* my homework */\n");
        fs::write(tree.path(file), text).unwrap();
        let before = snapshot(dir.path());
        assert_eq!(state(&tree).unwrap(), State::On);
        for error in [
            remove(&tree),
            apply(&tree, ours(), Manner::Copies),
            apply(&tree, ours(), Manner::Links),
        ] {
            let error = error.unwrap_err().to_string();
            let expected = format!("{file} was changed after it was added");
            assert!(error.contains(&expected), "{error}");
        }
        assert_eq!(snapshot(dir.path()), before);
        // After it was moved away, it works.
        fs::remove_file(tree.path(file)).unwrap();
        assert_eq!(state(&tree).unwrap(), State::Partly);
        assert!(remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), pristine);
    }
}

#[test]
fn a_link_that_was_replaced_by_a_file_is_not_deleted() {
    let (dir, tree, _) = applied(Manner::Links);
    fs::remove_file(tree.path(SHIM)).unwrap();
    fs::write(tree.path(SHIM), "/* my homework */").unwrap();
    let before = snapshot(dir.path());
    for error in [remove(&tree), apply(&tree, ours(), Manner::Links)] {
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("my-rng.c was changed after it was added"),
            "{error}"
        );
    }
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_file_beside_the_copies_stays() {
    let (dir, tree, mut pristine) = applied(Manner::Copies);
    let notes = tree.path("hw/misc/qemu-pci-devices/rust-dev/notes");
    fs::write(&notes, "mine").unwrap();
    // A link would take the place of the folder that it is in.
    let before = snapshot(dir.path());
    let error = apply(&tree, ours(), Manner::Links).unwrap_err().to_string();
    assert!(error.contains("rust-dev/notes exists"), "{error}");
    assert_eq!(snapshot(dir.path()), before);
    assert!(remove(&tree).unwrap());
    let mine = fs::symlink_metadata(&notes).unwrap().permissions().mode();
    pristine.insert(notes, (mine, b"mine".to_vec()));
    assert_eq!(snapshot(dir.path()), pristine);
    // And is not written over.
    fs::write(
        tree.path("hw/misc/qemu-pci-devices/rust-dev/Cargo.toml"),
        "mine",
    )
    .unwrap();
    let before = snapshot(dir.path());
    assert!(apply(&tree, ours(), Manner::Copies).is_err());
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn record_with_foreign_paths_is_refused() {
    let (dir, tree, _) = applied(Manner::Copies);
    fs::write(tree.path("hw/misc/Kconfig"), "").unwrap();
    for path in [
        "/etc/passwd",
        "../precious",
        "",
        "hw/misc/../../VERSION",
        "hw/misc",
        "VERSION",
    ] {
        let text = format!("my-rng-dev\trust-dev\n{path}\tcbf29ce484222325\n");
        fs::write(tree.path(record::PATH), text).unwrap();
        let before = snapshot(dir.path());
        let error = remove(&tree).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{path}: {error}");
        assert_eq!(snapshot(dir.path()), before);
    }
}

/// Lines without a record are not removed.
#[test]
fn lines_without_a_record_are_refused() {
    let (dir, tree, _) = applied(Manner::Links);
    fs::remove_file(tree.path(record::PATH)).unwrap();
    let before = snapshot(dir.path());
    for error in [remove(&tree), state(&tree).map(|_| true)] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("delete them by hand"), "{error}");
    }
    assert!(apply(&tree, ours(), Manner::Links).is_err());
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn changes_of_the_repository_are_applied() {
    for manner in [Manner::Links, Manner::Copies] {
        let repository = tempfile::tempdir().unwrap();
        let was = other(repository.path(), "devices", "the_old");
        let dir = bare_tree("8.2.9\n");
        let tree = Tree::open(dir.path()).unwrap();
        let pristine = snapshot(dir.path());
        assert!(apply(&tree, &was, manner).unwrap());
        // A device goes, and another comes.
        let now = other(repository.path(), "devices", "the_new");
        assert!(apply(&tree, &now, manner).unwrap());
        assert!(!apply(&tree, &now, manner).unwrap());
        assert_eq!(state(&tree).unwrap(), State::On);
        assert!(!tree.path("hw/misc/the-old.c").exists());
        assert!(!tree.path("hw/misc/the-old").exists());
        assert!(tree.path("hw/misc/the-new/trace-events").exists());
        assert!(remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), pristine);
    }
}

/// meson looks for new files only if a file that it knows has changed.
#[test]
fn a_configured_build_notices_new_files() {
    let (dir, tree, _) = applied(Manner::Links);
    fs::remove_file(dir.path().join("tests/qtest/my-rng-test.c")).unwrap();
    let known = fs::File::open(tree.path("meson.build")).unwrap();
    for changed in [true, false] {
        known.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(apply(&tree, ours(), Manner::Links).unwrap(), changed);
        let modified = known.metadata().unwrap().modified().unwrap();
        assert_eq!(modified > SystemTime::UNIX_EPOCH, changed);
    }
}

/// After the move, the old links are broken.
#[test]
fn links_into_a_clone_that_was_moved_are_renewed() {
    let (repository, moved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = other(&repository.path().join("devices"), "devices", "one");
    let dir = bare_tree("8.2.9\n");
    let tree = Tree::open(dir.path()).unwrap();
    let pristine = snapshot(dir.path());
    apply(&tree, &before, Manner::Links).unwrap();
    fs::remove_dir_all(repository.path().join("devices")).unwrap();
    assert_eq!(state(&tree).unwrap(), State::Partly);
    let after = other(moved.path(), "devices", "one");
    assert!(apply(&tree, &after, Manner::Links).unwrap());
    assert_eq!(state(&tree).unwrap(), State::On);
    // Removing it needs no repository.
    drop(moved);
    assert!(remove(&tree).unwrap());
    assert_eq!(snapshot(dir.path()), pristine);
}

#[test]
fn a_second_repository_is_refused() {
    let repository = tempfile::tempdir().unwrap();
    let other = other(repository.path(), "other-devices", "one");
    for manner in [Manner::Links, Manner::Copies] {
        let (dir, tree, pristine) = applied(manner);
        let before = snapshot(dir.path());
        let error = apply(&tree, &other, Manner::Links).unwrap_err().to_string();
        let path = dir.path().display();
        assert_eq!(
            error,
            format!(
                "{path} has the devices of my-rng-dev on it, and takes those of one repository: take them off with \
                 `qemu-overlay remove {path}` and try again"
            )
        );
        assert_eq!(snapshot(dir.path()), before);
        // Which works.
        assert!(remove(&tree).unwrap());
        assert!(apply(&tree, &other, Manner::Links).unwrap());
        assert!(remove(&tree).unwrap());
        assert_eq!(snapshot(dir.path()), pristine);
    }
}

#[test]
fn a_device_without_its_files_is_refused() {
    let repository = tempfile::tempdir().unwrap();
    let other = other(repository.path(), "other-devices", "one");
    fs::remove_file(repository.path().join("overlay/hw/misc/one/trace-events")).unwrap();
    let dir = bare_tree("8.2.9\n");
    let tree = Tree::open(dir.path()).unwrap();
    let error = apply(&tree, &other, Manner::Links).unwrap_err().to_string();
    assert!(error.contains("the device one has no "), "{error}");
    assert!(error.contains("one/trace-events: write one"), "{error}");
}
