// SPDX-License-Identifier: GPL-2.0-or-later

//! The overlay's files as copies, together with the crate that they build, for a tree that has to work
//! where this repository is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use anyhow::{Context, Result, anyhow, bail};

use crate::tree::{Tree, read};

/// The folder that is the overlay's alone. In it the crate has the same neighbours as in the repository.
pub const FOLDER: &str = "hw/misc/my-rng";

/// The list of the copies: on each line a checksum and a path in the tree.
pub const LIST: &str = "hw/misc/my-rng/copies";

/// The crate that QEMU's build compiles, and its package's name.
pub const CRATE: (&str, &str) = ("rust-dev", "my-rng-dev");

/// What the crate includes of the repository.
const INCLUDED: &str = "abi";

/// A file to lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub text: Vec<u8>,
    pub executable: bool,
}

/// All files to lay, by their path in the tree: what is at the paths `links` of the overlay in the folder
/// `root`, and the crate.
pub fn files(root: &Path, links: &[&str]) -> Result<BTreeMap<String, File>> {
    let mut files = BTreeMap::new();
    for link in links {
        collect(&root.join(link), link, &mut files)?;
    }
    let repository = root
        .parent()
        .ok_or_else(|| anyhow!("{} is in no repository", root.display()))?;
    for folder in [CRATE.0, INCLUDED] {
        collect(
            &repository.join(folder),
            &format!("{FOLDER}/{folder}"),
            &mut files,
        )?;
    }
    for (name, reduced) in [
        ("Cargo.toml", workspace as fn(&str) -> String),
        ("Cargo.lock", lock),
    ] {
        let path = repository.join(name);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} could not be read", path.display()))?;
        let text = reduced(&text).into_bytes();
        let file = File {
            text,
            executable: false,
        };
        files.insert(format!("{FOLDER}/{name}"), file);
    }
    let mut list = String::new();
    for (path, file) in &files {
        // Writing to a string does not fail.
        let _ = writeln!(list, "{:016x} {path}", checksum(&file.text));
    }
    let list = File {
        text: list.into_bytes(),
        executable: false,
    };
    files.insert(LIST.to_owned(), list);
    Ok(files)
}

/// Whether editors, patch or cargo leave files of this name.
fn is_leftover(name: &str) -> bool {
    name == "target"
        || name.starts_with('.')
        || ["~", ".orig", ".rej"].iter().any(|end| name.ends_with(end))
}

/// Adds the file at `from`, or all files in that folder, under the path `to` in the tree.
fn collect(from: &Path, to: &str, files: &mut BTreeMap<String, File>) -> Result<()> {
    let metadata = fs::symlink_metadata(from)
        .with_context(|| format!("{} could not be read", from.display()))?;
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let text = read(from)?;
        files.insert(to.to_owned(), File { text, executable });
    } else if metadata.is_dir() {
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| anyhow!("{} has a file with an odd name", from.display()))?;
            if !is_leftover(name) {
                collect(&from.join(name), &format!("{to}/{name}"), files)?;
            }
        }
    }
    // The only link is the one to the crate.
    Ok(())
}

/// The workspace's manifest, with the crate as its only member.
fn workspace(manifest: &str) -> String {
    let (mut text, mut comment) = (String::new(), String::new());
    for line in manifest.split_inclusive('\n') {
        if line.starts_with('#') {
            comment.push_str(line);
            continue;
        }
        if line.starts_with("default-members = ") {
            comment.clear();
            continue;
        }
        text.push_str(&comment);
        comment.clear();
        if line.starts_with("members = ") {
            text.push_str(&format!("members = [\"{}\"]\n", CRATE.0));
        } else {
            text.push_str(line);
        }
    }
    text
}

/// The lock file, with no package but the crate and what that needs: with others, `cargo --locked` would
/// find it in want of an update.
fn lock(text: &str) -> String {
    const HEAD: &str = "[[package]]\n";
    let (start, packages) = text.split_once(HEAD).unwrap_or((text, ""));
    let packages: Vec<&str> = packages.split(HEAD).collect();
    let mut needed = BTreeSet::new();
    let mut wanted = vec![CRATE.1.to_owned()];
    while let Some(wanted_one) = wanted.pop() {
        for (index, package) in packages.iter().enumerate() {
            // A dependency is a name, or where there are several of that name, a name and a version.
            let name = value(package, "name");
            let full = format!("{name} {}", value(package, "version"));
            if (wanted_one == name || wanted_one == full) && needed.insert(index) {
                let dependencies = package
                    .lines()
                    .filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
                wanted.extend(dependencies.map(String::from));
            }
        }
    }
    let mut reduced = start.to_owned();
    for (index, package) in packages.iter().enumerate() {
        if needed.contains(&index) {
            reduced.push_str(HEAD);
            reduced.push_str(package);
        }
    }
    reduced.truncate(reduced.trim_end().len());
    reduced.push('\n');
    reduced
}

/// The value of `key = "value"` in a package of a lock file.
fn value<'a>(package: &'a str, key: &str) -> &'a str {
    package
        .lines()
        .find_map(|line| {
            line.strip_prefix(key)?
                .strip_prefix(" = \"")?
                .strip_suffix('"')
        })
        .unwrap_or_default()
}

/// A copy in a tree, as the list has it.
pub struct Laid {
    pub path: String,
    checksum: String,
}

/// The copies that a tree has; none if it has no list of them.
pub fn laid(tree: &Tree) -> Result<Vec<Laid>> {
    let list = tree.path(LIST);
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} could not be read", list.display()));
        }
    };
    text.lines()
        .map(|line| {
            let (checksum, path) = line.split_once(' ')?;
            let mut parts = Path::new(path).components();
            parts
                .all(|part| matches!(part, Component::Normal(_)))
                .then(|| Laid {
                    path: path.to_owned(),
                    checksum: checksum.to_owned(),
                })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            anyhow!(
                "{} is not as it was laid; unpack QEMU's source again",
                list.display()
            )
        })
}

impl Laid {
    /// Whether it still is there. An error if somebody has changed it.
    pub fn is_there(&self, tree: &Tree) -> Result<bool> {
        let at = tree.path(&self.path);
        match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Ok(metadata)
                if metadata.is_file()
                    && format!("{:016x}", checksum(&read(&at)?)) == self.checksum =>
            {
                Ok(true)
            }
            _ => bail!(
                "{} was changed since it was laid; move it out of the tree to keep it, and try again",
                at.display()
            ),
        }
    }
}

/// FNV-1a: enough to see an edit.
pub fn checksum(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::collect;

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
        let mut files = BTreeMap::new();
        collect(folder.path(), "src", &mut files).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["src/lib.rs"]);
    }
}
