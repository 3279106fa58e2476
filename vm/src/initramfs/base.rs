// SPDX-License-Identifier: GPL-2.0-or-later

//! The base archive, which `make` builds: init, the app, the module, busybox and lspci.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::libraries::shared_libraries;
use super::tree::{Node, Tree};
use crate::Error;
use crate::job::{MODULE_PATH, MODULES};

/// Indexes of modules, here empty, without which lspci complains. The format is libkmod's: magic
/// number, version 2.1 and the root's place, each big-endian.
const KMOD_INDEXES: [&str; 5] = ["alias", "builtin.alias", "builtin", "dep", "symbols"];
const EMPTY_KMOD_INDEX: [u8; 12] = [0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0, 0, 0, 0];

/// Where distributions have busybox, lspci, and the names of PCI devices.
const BUSYBOX: [&str; 2] = ["bin/busybox", "usr/bin/busybox"];
const LSPCI: [&str; 3] = ["usr/bin/lspci", "usr/sbin/lspci", "sbin/lspci"];
const PCI_IDS: [&str; 3] = [
    "usr/share/misc/pci.ids",
    "usr/share/hwdata/pci.ids",
    "usr/share/pci.ids",
];

/// What the base archive is made of.
#[derive(Args, Clone, Debug)]
pub struct Inputs {
    /// Where busybox, lspci, the names of PCI devices, and shared libraries are installed; for a guest of
    /// another architecture, a directory with its packages
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// The guest's init (vm-init, linked statically)
    #[arg(long, value_name = "FILE")]
    pub init: PathBuf,
    /// The app (my-rng, linked statically)
    #[arg(long, value_name = "FILE")]
    pub app: PathBuf,
    /// The kernel module (my_rng.ko)
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,
    /// busybox [default: where the package busybox-static puts it]
    #[arg(long, value_name = "FILE")]
    pub busybox: Option<PathBuf>,
    /// lspci [default: where the package pciutils puts it]
    #[arg(long, value_name = "FILE")]
    pub lspci: Option<PathBuf>,
    /// The names of PCI devices [default: where the package pci.ids puts them]
    #[arg(long, value_name = "FILE")]
    pub pci_ids: Option<PathBuf>,
}

impl Inputs {
    fn tree(&self) -> Result<Tree, Error> {
        let busybox = self.found(&self.busybox, &BUSYBOX, "busybox-static")?;
        let lspci = self.found(&self.lspci, &LSPCI, "pciutils")?;
        let pci_ids = self.found(&self.pci_ids, &PCI_IDS, "pci.ids")?;

        let mut tree = Tree::default();
        for directory in [
            "bin", "dev", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "vm",
        ] {
            tree.directory(directory);
        }
        tree.insert("dev/console", Node::Console);
        tree.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        tree.text("etc/group", "root:x:0:\n");
        for (path, program) in [
            ("init", &self.init),
            ("usr/bin/my-rng", &self.app),
            ("usr/bin/lspci", &lspci),
            ("bin/busybox", &busybox),
        ] {
            let (from, mode) = (program.clone(), 0o755);
            tree.insert(path, Node::Copy { from, mode });
            for (path, from) in shared_libraries(program, &self.root)? {
                tree.insert(&path, Node::Copy { from, mode });
            }
        }
        tree.copy(MODULE_PATH, &self.module)?;
        for index in KMOD_INDEXES {
            tree.text(&format!("{MODULES}/modules.{index}.bin"), EMPTY_KMOD_INDEX);
        }
        tree.insert("usr/lib/modules", Node::Symlink(MODULES.to_owned()));
        // lspci looks for them where its distribution has them.
        let [place, others @ ..] = PCI_IDS;
        tree.copy(place, &pci_ids)?;
        for other in others {
            tree.insert(other, Node::Symlink(format!("/{place}")));
        }
        Ok(tree)
    }

    /// The given file, or the first of the usual places below the root that exists.
    fn found(
        &self,
        given: &Option<PathBuf>,
        places: &[&str],
        package: &str,
    ) -> Result<PathBuf, Error> {
        let usual = || places.iter().map(|place| self.root.join(place)).collect();
        let paths: Vec<_> = given.clone().map_or_else(usual, |path| vec![path]);
        if let Some(path) = paths.iter().find(|path| path.is_file()) {
            return Ok(path.clone());
        }
        let first = paths.first().cloned().unwrap_or_default();
        Err(Error::Host(format!(
            "{} is not there: install the package {package}, or name another file",
            first.display()
        )))
    }
}

/// Writes the base archive. `output` is replaced only when the new one is complete.
pub fn build(inputs: &Inputs, output: &Path) -> Result<(), Error> {
    let tree = inputs.tree()?;
    let folder = match output.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let error = |error: io::Error| Error::file("write", output, &error);
    let file = tempfile::Builder::new()
        .prefix(".initramfs-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(error)?;
    let mut out = tree.write(BufWriter::new(file.as_file()), output)?;
    out.flush().map_err(error)?;
    drop(out);
    file.persist(output)
        .map_err(|failure| error(failure.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initramfs::tests::read_back;

    /// An archive of files that every host has.
    fn inputs(folder: &Path) -> Inputs {
        let path = |name: &str| folder.join(name);
        fs::write(path("my_rng.ko"), b"module").unwrap();
        fs::write(path("pci.ids"), b"1234  QEMU\n").unwrap();
        Inputs {
            root: "/".into(),
            init: "/bin/true".into(),
            app: "/bin/true".into(),
            module: path("my_rng.ko"),
            busybox: Some("/bin/false".into()),
            lspci: Some("/bin/true".into()),
            pci_ids: Some(path("pci.ids")),
        }
    }

    #[test]
    fn base_archive_holds_the_programs_and_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let inputs = inputs(folder.path());
        build(&inputs, &path("one")).unwrap();
        build(&inputs, &path("two")).unwrap();
        let one = fs::read(path("one")).unwrap();
        assert_eq!(one, fs::read(path("two")).unwrap());
        let found = read_back(&one);
        let program = fs::read("/bin/true").unwrap();
        let busybox = fs::read("/bin/false").unwrap();
        for (name, mode, bytes) in [
            ("lib/modules/my_rng.ko", 0o100644, &b"module"[..]),
            ("usr/share/misc/pci.ids", 0o100644, b"1234  QEMU\n"),
            ("usr/share/pci.ids", 0o120777, b"/usr/share/misc/pci.ids"),
            ("init", 0o100755, &program),
            ("usr/bin/lspci", 0o100755, &program),
            ("bin/busybox", 0o100755, &busybox),
            ("dev/console", 0o020600, b""),
            ("sbin", 0o040755, b""),
            ("tmp", 0o041777, b""),
        ] {
            assert_eq!(found[name], (mode, bytes.to_vec()), "{name}");
        }
        assert!(found.keys().any(|name| name.ends_with("/libc.so.6")));
        // Only the two archives and their inputs are there.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn missing_files_name_their_package() {
        let folder = tempfile::tempdir().unwrap();
        let mut inputs = inputs(folder.path());
        inputs.busybox = Some("/nowhere/busybox".into());
        let error = inputs.tree().unwrap_err().to_string();
        let told = "/nowhere/busybox is not there: install the package busybox-static";
        assert!(error.starts_with(told), "{error}");
        inputs.busybox = None;
        inputs.root = folder.path().to_owned();
        let error = inputs.tree().unwrap_err().to_string();
        let told = format!("{}/bin/busybox is not there", folder.path().display());
        assert!(error.starts_with(&told), "{error}");
    }
}
