// SPDX-License-Identifier: GPL-2.0-or-later

//! The files to add to a tree: links, or copies for a tree that must work without the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use toml_edit::{Array, DocumentMut, Item, Table};

use crate::repository::Repository;
use crate::tree::read;

/// The kit's directory in the tree.
const KIT: &str = "hw/misc/qemu-pci";

/// The root of the device repository in the tree. In a copy, the crates have the same paths below it.
pub const ROOT: &str = "hw/misc/qemu-pci-devices";

/// A file to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// A link to this path.
    Link(PathBuf),
    /// A copy.
    Copy { text: Vec<u8>, executable: bool },
}

/// Files by their path in the tree.
pub type Files = BTreeMap<String, File>;

impl File {
    /// A copy of this text.
    pub fn text(text: String) -> Self {
        Self::Copy {
            text: text.into_bytes(),
            executable: false,
        }
    }
}

/// Returns the files as links. Whole directories are linked.
pub fn links(repository: &Repository) -> Result<Files> {
    let mut links = vec![
        (KIT.to_owned(), repository.kit.join(KIT)),
        (ROOT.to_owned(), repository.root.clone()),
    ];
    links.extend(of_devices(repository)?);
    let link = |(path, to)| (path, File::Link(to));
    Ok(links.into_iter().map(link).collect())
}

/// Returns the files as copies.
pub fn copies(repository: &Repository) -> Result<Files> {
    let mut files = Files::new();
    collect(&repository.kit.join(KIT), KIT, &mut files)?;
    for (path, from) in of_devices(repository)? {
        collect(&from, &path, &mut files)?;
    }
    let in_tree = |path: &Path| {
        let path = Path::new(ROOT).join(path);
        // Joining an empty path adds a slash, which `components` removes.
        path.components().collect::<PathBuf>().display().to_string()
    };
    for folder in &repository.sources {
        let path = folder.strip_prefix(&repository.root).ok().ok_or_else(|| {
            anyhow!(
                "{} is outside of {}, so it cannot be copied with it: depend on its git repository",
                folder.display(),
                repository.root.display()
            )
        })?;
        collect(folder, &in_tree(path), &mut files)?;
    }
    let manifest = repository.root.join("Cargo.toml");
    let text = workspace(&document(&manifest)?, &repository.krate);
    files.insert(in_tree("Cargo.toml".as_ref()), File::text(text));
    let lock = document(&repository.root.join("Cargo.lock"));
    let lock = lock.context("make the lock file with `cargo generate-lockfile`")?;
    let text = reduced_lock(lock, &repository.package);
    files.insert(in_tree("Cargo.lock".as_ref()), File::text(text));
    Ok(files)
}

/// Returns the devices' files for the tree, and their paths.
fn of_devices(repository: &Repository) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for device in &repository.devices {
        let dashed = device.replace('_', "-");
        let test = format!("tests/qtest/{dashed}-test.c");
        let shim = format!("hw/misc/{dashed}.c");
        let folder = format!("hw/misc/{dashed}");
        for needed in [&shim, &format!("{folder}/trace-events")] {
            let at = repository.overlay.join(needed);
            if !at.is_file() {
                bail!(
                    "the device {device} has no {}: write one as `qemu-overlay new` does, or take the device out of {}",
                    at.display(),
                    crate::repository::LIST
                );
            }
        }
        for path in [shim, folder, test] {
            let from = repository.overlay.join(&path);
            if from.exists() {
                files.push((path, from));
            }
        }
    }
    Ok(files)
}

/// Whether this is the name of a leftover of an editor, patch or cargo.
fn is_leftover(name: &str) -> bool {
    name == "target"
        || name.starts_with('.')
        || ["~", ".orig", ".rej"].iter().any(|end| name.ends_with(end))
}

/// Adds the file at `from`, or all files in that folder, under the path `to` in the tree.
fn collect(from: &Path, to: &str, files: &mut Files) -> Result<()> {
    let metadata =
        fs::metadata(from).with_context(|| format!("{} could not be read", from.display()))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            let name = name
                .to_str()
                .filter(|name| !name.contains(char::is_control));
            let name = name.ok_or_else(|| {
                anyhow!("{} has a file with an odd name: rename it", from.display())
            })?;
            if !is_leftover(name) {
                collect(&from.join(name), &format!("{to}/{name}"), files)?;
            }
        }
    } else {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let text = read(from)?;
        files.insert(to.to_owned(), File::Copy { text, executable });
    }
    Ok(())
}

fn document(at: &Path) -> Result<DocumentMut> {
    let text = String::from_utf8(read(at)?)?;
    text.parse()
        .with_context(|| format!("{} is not as cargo writes it", at.display()))
}

/// A workspace's manifest, with this crate as its only member. Cargo adds the crates that it needs.
fn workspace(manifest: &DocumentMut, krate: &Path) -> String {
    let mut manifest = manifest.clone();
    if let Some(workspace) = manifest
        .get_mut("workspace")
        .and_then(Item::as_table_like_mut)
    {
        for key in ["members", "default-members", "exclude"] {
            workspace.remove(key);
        }
        if krate != Path::new("") {
            let members = Array::from_iter([krate.display().to_string()]);
            workspace.insert("members", members.into());
        }
    }
    manifest.to_string()
}

/// Returns a lock file with only this package and its dependencies. With others, `cargo --locked` would fail because it
/// wants to update the file.
fn reduced_lock(mut lock: DocumentMut, package: &str) -> String {
    let Some(packages) = lock
        .get_mut("package")
        .and_then(Item::as_array_of_tables_mut)
    else {
        return lock.to_string();
    };
    let value = |package: &Table, key| {
        let value = package.get(key).and_then(Item::as_str);
        value.unwrap_or_default().to_owned()
    };
    // A dependency is a name; if the name is ambiguous, a name and a version, or these and a source.
    let names = |package: &Table| {
        let (name, version) = (value(package, "name"), value(package, "version"));
        let full = format!("{name} {version}");
        let exact = format!("{full} ({})", value(package, "source"));
        [name, full, exact]
    };
    let (mut needed, mut wanted) = (BTreeSet::new(), vec![package.to_owned()]);
    while let Some(name) = wanted.pop() {
        for package in packages
            .iter()
            .filter(|package| names(package).contains(&name))
        {
            let [_, _, exact] = names(package);
            if needed.insert(exact) {
                let dependencies = package.get("dependencies").and_then(Item::as_array);
                let dependencies = dependencies.into_iter().flatten();
                wanted.extend(dependencies.filter_map(|it| it.as_str().map(String::from)));
            }
        }
    }
    packages.retain(|package| {
        let [_, _, exact] = names(package);
        needed.contains(&exact)
    });
    lock.to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Files, collect, reduced_lock, workspace};

    #[test]
    fn leftovers_are_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "lib.rs",
            "lib.rs~",
            "lib.rs.orig",
            "lib.rs.rej",
            ".lib.rs.swp",
        ] {
            fs::write(folder.path().join(name), "text").unwrap();
        }
        fs::create_dir(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("target/built"), "text").unwrap();
        let mut files = Files::new();
        collect(folder.path(), "src", &mut files).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["src/lib.rs"]);
    }

    #[test]
    fn a_workspace_is_reduced_to_the_crate() {
        let manifest = "\
[workspace]
resolver = \"3\"
members = [
    \"a\",
    \"b\",
]
# What is tested.
default-members = [\"a\"]

[profile.release]
panic = \"abort\"
";
        let reduced = workspace(&manifest.parse().unwrap(), Path::new("a"));
        let expected = "\
[workspace]
resolver = \"3\"
members = [\"a\"]

[profile.release]
panic = \"abort\"
";
        assert_eq!(reduced, expected);
        let package = "[package]\nname = \"a\"\n";
        assert_eq!(workspace(&package.parse().unwrap(), Path::new("")), package);
    }

    #[test]
    fn a_lock_file_is_reduced_to_what_the_crate_needs() {
        let package = |name, version, dependencies| {
            format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [{dependencies}]\n"
            )
        };
        let head = "# @generated\nversion = 4\n";
        let (a, b1, b2) = (
            package("a", "1.0.0", "\n \"b 1.0.0\",\n \"c\",\n"),
            package("b", "1.0.0", ""),
            package("b", "2.0.0", ""),
        );
        // A cycle, which dev-dependencies can form.
        let c = package("c", "1.0.0", "\n \"a\",\n");
        let lock = [
            head,
            &a,
            &b1,
            &b2,
            &c,
            &package("d", "1.0.0", "\n \"a\",\n"),
        ]
        .concat();
        let reduced = reduced_lock(lock.parse().unwrap(), "a");
        assert_eq!(reduced, [head, &a, &b1, &c].concat());
    }
}
