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

/// A repository with a crate of devices.
#[derive(Debug)]
pub struct Repository {
    /// The folder of the crate's workspace.
    pub root: PathBuf,
    /// The path of the crate in it.
    pub krate: PathBuf,
    /// The package's name, by which one repository is told from another.
    pub package: String,
    /// The folder with the files of the devices for QEMU's tree.
    pub overlay: PathBuf,
    /// The folder with those of the kit.
    pub kit: PathBuf,
    /// The names of the devices.
    pub devices: Vec<String>,
    /// The folders that the crate is built from: its own, those of the crates that it names by a path, and what
    /// they include.
    pub sources: BTreeSet<PathBuf>,
}

impl Repository {
    /// The repository of the crate in the folder `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let manifest = dir.join("Cargo.toml");
        let folder = manifest.is_file().then(|| dir.canonicalize().ok());
        let folder = folder.flatten().ok_or_else(|| {
            anyhow!(
                "{0} has no Cargo.toml: name the folder of a crate of devices with --devices, or make one with \
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
        let list = folder.join(LIST);
        let list = String::from_utf8(read(&list)?)
            .with_context(|| format!("{} is not UTF-8", list.display()))?;
        Ok(Self {
            root: root.to_owned(),
            krate: krate.to_owned(),
            package: package.name.to_string(),
            overlay: overlay(package)?,
            kit: kit(&folder, package)?,
            devices: devices(&list).map(String::from).collect(),
            sources: sources(&metadata, package)?,
        })
    }
}

/// What cargo knows of the crate in a folder and its workspace; with `all`, of the crates that they need too.
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
            "{} names {value} under [package.metadata.qemu-pci], which is not there",
            package.manifest_path
        )
    })
}

/// The folder with what a package has for QEMU's tree.
fn overlay(package: &Package) -> Result<PathBuf> {
    let named = package
        .metadata
        .get("qemu-pci")
        .and_then(|it| it.get("overlay"));
    path_of(
        package,
        named.and_then(|it| it.as_str()).unwrap_or("overlay"),
    )
}

/// The folder with what the kit has for QEMU's tree: of just the kit that the device crate is built with.
fn kit(folder: &Path, package: &Package) -> Result<PathBuf> {
    let dependency = package.dependencies.iter().find(|it| it.name == KIT);
    let dependency = dependency.ok_or_else(|| {
        anyhow!(
            "{} does not depend on {KIT}: name a crate of devices with --devices",
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
        let included = package
            .metadata
            .get("qemu-pci")
            .and_then(|it| it.get("include"));
        for path in included.and_then(|it| it.as_array()).into_iter().flatten() {
            sources.insert(path_of(package, path.as_str().unwrap_or_default())?);
        }
    }
    Ok(sources)
}
