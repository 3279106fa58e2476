// SPDX-License-Identifier: GPL-2.0-or-later

//! The base archive, which `make` builds: init, the app, the module, busybox and lspci.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::tree::{Node, Tree};
use crate::Error;
use crate::job::{MODULE_PATH, MODULES};

/// Indexes of modules, here empty, without which lspci complains. The format is libkmod's: magic
/// number, version 2.1 and the root's place, each big-endian.
const KMOD_INDEXES: [&str; 5] = ["alias", "builtin.alias", "builtin", "dep", "symbols"];
const EMPTY_KMOD_INDEX: [u8; 12] = [0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0, 0, 0, 0];

/// Where distributions keep the names of PCI devices.
const PCI_IDS: [&str; 3] = [
    "/usr/share/misc/pci.ids",
    "/usr/share/hwdata/pci.ids",
    "/usr/share/pci.ids",
];

/// What the base archive is made of.
#[derive(Args, Clone, Debug)]
pub struct Inputs {
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
        let busybox = found(
            self.busybox.as_deref(),
            &["/bin/busybox", "/usr/bin/busybox"],
            "busybox-static",
        )?;
        let lspci = found(
            self.lspci.as_deref(),
            &["/usr/bin/lspci", "/usr/sbin/lspci", "/sbin/lspci"],
            "pciutils",
        )?;
        let pci_ids = found(self.pci_ids.as_deref(), &PCI_IDS, "pci.ids")?;

        let mut tree = Tree::default();
        for directory in ["dev", "proc", "root", "run", "sys", "tmp", "vm"] {
            tree.directory(directory);
        }
        tree.insert("dev/console", Node::Console);
        tree.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        tree.text("etc/group", "root:x:0:\n");
        add_program(&mut tree, "init", &self.init)?;
        add_program(&mut tree, "usr/bin/my-rng", &self.app)?;
        add_program(&mut tree, "usr/bin/lspci", &lspci)?;
        add_program(&mut tree, "bin/busybox", &busybox)?;
        tree.copy(MODULE_PATH, &self.module)?;
        for index in KMOD_INDEXES {
            tree.text(&format!("{MODULES}/modules.{index}.bin"), EMPTY_KMOD_INDEX);
        }
        tree.insert("usr/lib/modules", Node::Symlink(MODULES.to_owned()));
        // lspci looks for them where the host has them.
        let is_usual = |place: &&&str| Path::new(place) == pci_ids;
        let place = PCI_IDS.iter().find(is_usual).unwrap_or(&PCI_IDS[0]);
        tree.copy(place, &pci_ids)?;
        for applet in applets(&busybox)? {
            let name = applet.rsplit('/').next().unwrap_or_default();
            let ours = ["init", "linuxrc", "busybox", "lspci", "my-rng"].contains(&name);
            if !ours && tree.get(&applet).is_none() {
                tree.insert(&applet, Node::Symlink("/bin/busybox".to_owned()));
            }
        }
        Ok(tree)
    }
}

/// Adds a program of the host's, executable by all, and the shared libraries that it needs.
fn add_program(tree: &mut Tree, path: &str, from: &Path) -> Result<(), Error> {
    for library in shared_libraries(from)? {
        let place = library.to_string_lossy().into_owned();
        let (from, mode) = (library, 0o755);
        tree.insert(&place, Node::Copy { from, mode });
    }
    let (from, mode) = (from.to_owned(), 0o755);
    tree.insert(path, Node::Copy { from, mode });
    Ok(())
}

/// The given file, or the first of the usual places that exists.
fn found(given: Option<&Path>, places: &[&str], package: &str) -> Result<PathBuf, Error> {
    let usual = places.iter().map(PathBuf::from);
    let paths: Vec<_> = given.map_or_else(|| usual.collect(), |path| vec![path.to_owned()]);
    if let Some(path) = paths.iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let first = paths.first().cloned().unwrap_or_default();
    Err(Error::Host(format!(
        "{} is not there: install the package {package}, or name another file",
        first.display()
    )))
}

/// The paths, without the leading slash, at which busybox wants to be installed.
fn applets(busybox: &Path) -> Result<Vec<String>, Error> {
    let output = Command::new(busybox)
        .arg("--list-full")
        .output()
        .map_err(|error| Error::file("execute", busybox, &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.trim().is_empty() {
        return Err(Error::Host(format!(
            "{} does not list its applets: install the package busybox-static",
            busybox.display()
        )));
    }
    Ok(text.lines().map(str::to_owned).collect())
}

/// The shared libraries that a program needs, with its dynamic loader; none for a static one.
fn shared_libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    if !program.is_file() {
        let text = format!("{} is not there", program.display());
        return Err(Error::NotBuilt(text));
    }
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| {
            Error::Host(format!(
                "cannot execute ldd (install the package libc-bin): {error}"
            ))
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !complaint.contains("not a dynamic executable") {
        return Err(Error::Host(format!(
            "ldd cannot tell which libraries {} needs: {}",
            program.display(),
            complaint.trim()
        )));
    }
    parse_ldd(&text).map_err(|library| {
        Error::Host(format!(
            "{} needs {library}, which is not installed",
            program.display()
        ))
    })
}

/// The files that `ldd` lists, or the name of a library that it did not find.
fn parse_ldd(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, target) = line.split_once(" => ").unwrap_or((line, line));
        if target == "not found" {
            return Err(name.to_owned());
        }
        let path = target.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            files.push(for_any_cpu(Path::new(path)));
        }
    }
    Ok(files)
}

/// Takes the general library instead of one that is only for CPUs like the host's.
fn for_any_cpu(path: &Path) -> PathBuf {
    let mut components = path.components();
    let mut general = PathBuf::new();
    while let Some(component) = components.next() {
        if component.as_os_str() == OsStr::new("glibc-hwcaps") {
            components.next();
        } else {
            general.push(component);
        }
    }
    if general.is_file() {
        general
    } else {
        path.to_owned()
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

    #[test]
    fn base_archive_holds_the_programs_and_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("my_rng.ko"), b"module").unwrap();
        fs::write(path("pci.ids"), b"1234  QEMU\n").unwrap();
        let busybox = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/busybox");
        let inputs = Inputs {
            init: busybox.clone(),
            app: busybox.clone(),
            module: path("my_rng.ko"),
            busybox: Some(busybox),
            lspci: Some("/bin/true".into()),
            pci_ids: Some(path("pci.ids")),
        };
        build(&inputs, &path("one")).unwrap();
        build(&inputs, &path("two")).unwrap();
        let one = fs::read(path("one")).unwrap();
        assert_eq!(one, fs::read(path("two")).unwrap());
        let found = read_back(&one);
        let program = fs::read("/bin/true").unwrap();
        for (name, mode, bytes) in [
            ("lib/modules/my_rng.ko", 0o100644, &b"module"[..]),
            ("usr/share/misc/pci.ids", 0o100644, b"1234  QEMU\n"),
            ("bin/sh", 0o120777, b"/bin/busybox"),
            ("usr/bin/env", 0o120777, b"/bin/busybox"),
            ("usr/bin/lspci", 0o100755, &program),
            ("dev/console", 0o020600, b""),
            ("tmp", 0o041777, b""),
        ] {
            assert_eq!(found[name], (mode, bytes.to_vec()), "{name}");
        }
        assert_eq!(found["init"].0, 0o100755);
        assert!(!found.contains_key("sbin/init"));
        assert!(found.keys().any(|name| name.ends_with("/libc.so.6")));
        // Only the two archives and their inputs are there.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn missing_files_name_their_package() {
        let missing = Path::new("/nowhere/busybox");
        let error = found(Some(missing), &[], "busybox-static").unwrap_err();
        assert!(error.to_string().contains("package busybox-static"));
        let error = found(None, &["/nowhere/lspci"], "pciutils").unwrap_err();
        assert!(error.to_string().contains("package pciutils"));
        let error = shared_libraries(Path::new("/nowhere/app")).unwrap_err();
        assert!(error.to_string().ends_with("run `make` first"));
        let error = applets(Path::new("/bin/false")).unwrap_err();
        assert!(error.to_string().contains("package busybox-static"));
    }

    #[test]
    fn ldd_is_understood() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let files = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(parse_ldd(text).unwrap(), files.map(PathBuf::from));
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
        let missing = parse_ldd("\tlibx.so.1 => not found\n").unwrap_err();
        assert_eq!(missing, "libx.so.1");
    }

    #[test]
    fn library_for_any_cpu_is_preferred() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("glibc-hwcaps/x86-64-v3/libx.so");
        assert_eq!(for_any_cpu(&library), library);
        fs::write(folder.path().join("libx.so"), "").unwrap();
        assert_eq!(for_any_cpu(&library), folder.path().join("libx.so"));
    }
}
