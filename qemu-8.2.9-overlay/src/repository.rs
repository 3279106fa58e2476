// SPDX-License-Identifier: GPL-2.0-or-later

//! A repository of devices, as cargo knows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::tree::read;

/// The kit's crate.
pub const KIT: &str = "qemu-pci";

/// Where a device crate lists its devices.
pub const LIST: &str = "src/devices.rs";

/// A repository with a device crate.
#[derive(Debug)]
pub struct Repository {
    /// The folder of the crate's workspace.
    pub root: PathBuf,
    /// The path of the crate in it.
    pub krate: PathBuf,
    /// The package's name, which identifies the repository.
    pub package: String,
    /// The directory with the devices' files for QEMU's tree.
    pub overlay: PathBuf,
    /// The folder with those of the kit.
    pub kit: PathBuf,
    /// The names of the devices.
    pub devices: Vec<String>,
    /// The directories that the crate is built from: its own, those of its path dependencies, and what they include.
    pub sources: BTreeSet<PathBuf>,
}

impl Repository {
    /// The repository of the crate in the folder `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let manifest = dir.join("Cargo.toml");
        let folder = manifest.is_file().then(|| dir.canonicalize().ok());
        let folder = folder.flatten().ok_or_else(|| {
            anyhow!(
                "{0} has no Cargo.toml: set --devices to the directory of a crate of devices, or create one with \
                 `qemu-overlay new NAME --devices {0}`",
                dir.display()
            )
        })?;
        let metadata = metadata(&folder, false)?;
        let package = package_in(&metadata, &folder)
            .ok_or_else(|| anyhow!("{} is of no package", manifest.display()))?;
        let root = metadata.workspace_root.as_std_path();
        let krate = folder
            .strip_prefix(root)
            .with_context(|| format!("{} is outside of its workspace", folder.display()))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !krate.to_str().is_some_and(|path| path.chars().all(plain)) {
            bail!(
                "QEMU's build cannot name {}: give the folder a name of letters, digits, `-` and `_`",
                krate.display()
            );
        }
        let kit = kit(&folder, package)?;
        let overlay = overlay(package)?;
        let list = folder.join(LIST);
        let list = String::from_utf8(read(&list)?)
            .with_context(|| format!("{} is not UTF-8", list.display()))?;
        Ok(Self {
            root: root.to_owned(),
            krate: krate.to_owned(),
            package: package.name.to_string(),
            overlay,
            kit,
            devices: devices(&list).map(String::from).collect(),
            sources: sources(&metadata, package)?,
        })
    }
}

/// Returns cargo's metadata of the crate in a directory and its workspace; with `all`, also of their dependencies.
fn metadata(folder: &Path, all: bool) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    // In the crate, so that rustup sees the repository's rust-toolchain.toml.
    command.current_dir(folder);
    if !all {
        command.no_deps();
    }
    command
        .exec()
        .with_context(|| format!("cargo cannot read the crate in {}", folder.display()))
}

fn package_in<'a>(metadata: &'a Metadata, folder: &Path) -> Option<&'a Package> {
    let manifest = folder.join("Cargo.toml");
    metadata
        .packages
        .iter()
        .find(|it| it.manifest_path == manifest)
}

/// The devices that a crate lists, a line each.
pub fn devices(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
}

fn folder_of(package: &Package) -> PathBuf {
    let mut folder = package.manifest_path.clone().into_std_path_buf();
    folder.pop();
    folder
}

/// A path that a package's manifest has under `[package.metadata.qemu-pci]`.
fn path_of(package: &Package, value: &str) -> Result<PathBuf> {
    let path = folder_of(package).join(value);
    path.canonicalize().with_context(|| {
        format!(
            "{} is not there: correct the path under [package.metadata.qemu-pci] in {}",
            path.display(),
            package.manifest_path
        )
    })
}

/// The directory with a package's files for QEMU's tree.
fn overlay(package: &Package) -> Result<PathBuf> {
    let named = package.metadata.pointer("/qemu-pci/overlay");
    path_of(
        package,
        named.and_then(|it| it.as_str()).unwrap_or("overlay"),
    )
}

/// The directory with the kit's files for QEMU's tree, from the same kit that the device crate is built with.
fn kit(folder: &Path, package: &Package) -> Result<PathBuf> {
    let dependency = package.dependencies.iter().find(|it| it.name == KIT);
    let dependency = dependency.ok_or_else(|| {
        anyhow!(
            "{} does not depend on {KIT}: set --devices to a crate of devices",
            package.manifest_path
        )
    })?;
    let metadata = match &dependency.path {
        Some(path) => metadata(path.as_std_path(), false)?,
        // From a git repository, which cargo may have to fetch.
        None => metadata(folder, true)?,
    };
    let kit = metadata.packages.iter().find(|it| it.name.as_str() == KIT);
    overlay(kit.ok_or_else(|| anyhow!("cargo finds no {KIT}; look at {}", package.manifest_path))?)
}

/// The folders that a package is built from.
fn sources(metadata: &Metadata, package: &Package) -> Result<BTreeSet<PathBuf>> {
    let mut sources = BTreeSet::new();
    let mut wanted = vec![folder_of(package)];
    while let Some(folder) = wanted.pop() {
        let package = package_in(metadata, &folder);
        if !sources.insert(folder) {
            continue;
        }
        let Some(package) = package else { continue };
        let paths = package
            .dependencies
            .iter()
            .filter_map(|it| it.path.as_ref());
        wanted.extend(paths.map(|path| path.as_std_path().to_owned()));
        let included = package.metadata.pointer("/qemu-pci/include");
        for path in included.and_then(|it| it.as_array()).into_iter().flatten() {
            sources.insert(path_of(package, path.as_str().unwrap_or_default())?);
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::Repository;
    use crate::files;

    const HERE: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn this_repository_is_found() {
        let root = Path::new(HERE).join("..").canonicalize().unwrap();
        let repository = Repository::open(&root.join("rust-dev/src/..")).unwrap();
        assert_eq!(repository.root, root);
        assert_eq!(repository.krate, Path::new("rust-dev"));
        assert_eq!(repository.package, "my-rng-dev");
        assert_eq!(repository.overlay, Path::new(HERE));
        assert_eq!(repository.kit, Path::new(HERE));
        assert_eq!(repository.devices.first().unwrap(), "my_rng");
        let sources = [
            "abi",
            "rust-dev",
            "rust-dev/qemu-pci",
            "rust-dev/qemu-pci/build",
        ];
        let sources = sources.map(|folder| root.join(folder));
        assert!(
            repository.sources.iter().eq(&sources),
            "{:?}",
            repository.sources
        );
    }

    fn error(dir: &Path) -> String {
        Repository::open(dir).unwrap_err().to_string()
    }

    #[test]
    fn other_crates_are_refused() {
        let other = "does not depend on qemu-pci: set --devices to a crate of devices";
        for (dir, why) in [
            (
                "nowhere",
                "nowhere has no Cargo.toml: set --devices to the directory of a crate of devices",
            ),
            (".", "Cargo.toml is of no package"),
            ("vm", other),
            ("rust-dev/qemu-pci", other),
        ] {
            let error = error(&Path::new(HERE).join("..").join(dir));
            assert!(error.contains(why), "{error}");
        }
    }

    /// A repository with one device, with the kit from this one.
    fn other() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let kit = Path::new(HERE).join("..").display().to_string();
        crate::new::make("one", dir.path(), &kit).unwrap();
        dir
    }

    #[test]
    fn a_crate_without_its_overlay_is_refused() {
        let dir = other();
        fs::remove_dir_all(dir.path().join("overlay")).unwrap();
        let error = error(dir.path());
        let expected = "overlay is not there: correct the path under [package.metadata.qemu-pci]";
        assert!(error.contains(expected), "{error}");
    }

    /// A copy would have to contain it beside the crate.
    #[test]
    fn a_kit_outside_of_the_repository_is_linked_but_not_copied() {
        let dir = other();
        let repository = Repository::open(dir.path()).unwrap();
        assert_eq!(repository.kit, Path::new(HERE));
        assert!(files::links(&repository).is_ok());
        let error = files::copies(&repository).unwrap_err().to_string();
        let expected = "so it cannot be copied with it: depend on its git repository";
        assert!(error.contains(expected), "{error}");
    }
}
