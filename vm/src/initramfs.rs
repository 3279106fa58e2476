// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's file system: a cpio archive (`newc`) that the kernel unpacks into memory.
//!
//! The base archive is built once (`vm-initramfs`); what one run adds to it (the job and the files
//! of `--file`) is a second archive behind the first, which Linux unpacks over it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use cpio::newc::{Builder, ModeFileType, Reader, trailer};
use rustix::fs::FileType;

use crate::Error;
use crate::job::{JOB_PATH, Job, MODULE_PATH, MODULES};

/// Folders whose mode is not the usual 0755.
const SPECIAL_MODES: [(&str, u32); 2] = [("root", 0o700), ("tmp", 0o1777)];

/// Init mounts something over the first three, which would hide a file, and has its job in the last.
const RESERVED: [&str; 4] = ["dev", "proc", "sys", INIT_FOLDER];

/// The folder of [`JOB_PATH`].
const INIT_FOLDER: &str = "vm";

/// What libkmod wants beside the modules, or lspci complains: indexes, here of nothing. The format is
/// libkmod's: magic number, version 2.1 and the root's place, each big-endian.
const KMOD_INDEXES: [&str; 5] = ["alias", "builtin.alias", "builtin", "dep", "symbols"];
const EMPTY_KMOD_INDEX: [u8; 12] = [0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0, 0, 0, 0];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";
const GROUP: &str = "root:x:0:\n";

/// Where distributions keep the names of PCI devices.
const PCI_IDS: [&str; 3] = [
    "/usr/share/misc/pci.ids",
    "/usr/share/hwdata/pci.ids",
    "/usr/share/pci.ids",
];

/// A host file that the guest is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFile {
    /// Its path on the host.
    pub host: PathBuf,
    /// Its absolute path in the guest.
    pub guest: PathBuf,
}

/// One file of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory(u32),
    /// A copy of a file of the host's.
    Copy {
        from: PathBuf,
        mode: u32,
    },
    Text {
        bytes: Vec<u8>,
        mode: u32,
    },
    Symlink(String),
    CharDevice {
        mode: u32,
        major: u32,
        minor: u32,
    },
}

/// The files of an archive, by their path in the guest without the leading slash.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    fn insert(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        for parent in parents(path) {
            self.directory(parent);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    fn directory(&mut self, path: &str) {
        let mode = SPECIAL_MODES
            .iter()
            .find(|(name, _)| *name == path)
            .map_or(0o755, |(_, mode)| *mode);
        self.nodes
            .entry(path.to_owned())
            .or_insert(Node::Directory(mode));
    }

    fn text(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.insert(path, Node::Text { bytes, mode: 0o644 });
    }

    /// A copy of the host's file, with the mode that it has there.
    fn copy(&mut self, path: &str, from: &Path) -> Result<(), Error> {
        let metadata = fs::metadata(from).map_err(|error| Error::file("read", from, &error))?;
        if !metadata.is_file() {
            return Err(Error::Host(format!(
                "{} is no regular file, and only those can be put into the guest",
                from.display()
            )));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let from = from.to_owned();
        self.insert(path, Node::Copy { from, mode });
        Ok(())
    }

    /// A copy of a program of the host's, executable by all, and of the shared libraries it needs.
    fn program(&mut self, path: &str, from: &Path) -> Result<(), Error> {
        for library in shared_libraries(from)? {
            let place = library
                .to_str()
                .ok_or_else(|| Error::Host(format!("the path {} is no text", library.display())))?;
            let from = library.clone();
            self.insert(place, Node::Copy { from, mode: 0o755 });
        }
        let from = from.to_owned();
        self.insert(path, Node::Copy { from, mode: 0o755 });
        Ok(())
    }

    /// What one run adds to `base`: the host's files, and the job for init.
    fn of_run(job: Option<&Job>, files: &[GuestFile], base: &Listing) -> Result<Self, Error> {
        let mut tree = Self::default();
        for GuestFile { host, guest } in files {
            let place = tree.place_for(guest, base).map_err(|why| {
                Error::Host(format!(
                    "cannot put a file at {} in the guest: {why}",
                    guest.display()
                ))
            })?;
            tree.copy(&place, host)?;
        }
        if let Some(job) = job {
            tree.text(JOB_PATH, job.encode().map_err(Error::Host)?);
        }
        Ok(tree)
    }

    /// The place of a file in this tree, or why the kernel would not put it there.
    fn place_for(&self, guest: &Path, base: &Listing) -> Result<String, String> {
        let place = guest
            .to_str()
            .filter(|text| text.starts_with('/') && !text.ends_with('/'))
            .and_then(|_| {
                let names = guest.components().skip(1);
                let names: Option<Vec<_>> = names.map(|name| normal(&name)).collect();
                Some(names?.join("/"))
            })
            .filter(|place| !place.is_empty())
            .ok_or("give an absolute path with the file's name and without '..'")?;
        let first = place.split('/').next().unwrap_or_default();
        if RESERVED.contains(&first) {
            return Err(format!("init needs /{first} for itself"));
        }
        let is_directory = |path: &str| match self.nodes.get(path) {
            Some(node) => Some(matches!(node, Node::Directory(_))),
            None => base.get(path).copied(),
        };
        if let Some(parent) = parents(&place).find(|parent| is_directory(parent) == Some(false)) {
            return Err(format!("/{parent} is not a directory there"));
        }
        if is_directory(&place) == Some(true) {
            return Err("it is a directory there; add the file's name".to_owned());
        }
        if self.nodes.contains_key(&place) {
            return Err("another file is put there".to_owned());
        }
        Ok(place)
    }

    /// Writes the tree as an archive: the same bytes for the same files, whoever builds it, and
    /// all owned by root. `place` is what an error calls it.
    ///
    /// The job comes last: the kernel stops at the first file that finds no room, so a job that is
    /// there means that all files are there and whole.
    fn write<W: Write>(&self, mut out: W, place: &Path) -> Result<W, Error> {
        let cannot_write = |error: io::Error| Error::file("write", place, &error);
        let (job, others): (Vec<_>, Vec<_>) = self
            .nodes
            .iter()
            .partition(|(path, _)| path.as_str() == JOB_PATH.trim_start_matches('/'));
        for (number, (path, node)) in (1..).zip(others.into_iter().chain(job)) {
            let entry = Builder::new(path).ino(number);
            let written = match node {
                Node::Directory(mode) => entry
                    .mode(*mode)
                    .set_mode_file_type(ModeFileType::Directory)
                    .write(out, 0)
                    .finish(),
                Node::CharDevice { mode, major, minor } => entry
                    .mode(*mode)
                    .set_mode_file_type(ModeFileType::Char)
                    .rdev_major(*major)
                    .rdev_minor(*minor)
                    .write(out, 0)
                    .finish(),
                Node::Symlink(target) => write_bytes(
                    entry.mode(0o777).set_mode_file_type(ModeFileType::Symlink),
                    out,
                    target.as_bytes(),
                ),
                Node::Text { bytes, mode } => write_bytes(
                    entry.mode(*mode).set_mode_file_type(ModeFileType::Regular),
                    out,
                    bytes,
                ),
                Node::Copy { from, mode } => {
                    let entry = entry.mode(*mode).set_mode_file_type(ModeFileType::Regular);
                    out = write_copy(entry, out, from, place)?;
                    continue;
                }
            };
            out = written.map_err(cannot_write)?;
        }
        trailer(out).map_err(cannot_write)
    }
}

fn write_bytes<W: Write>(entry: Builder, out: W, bytes: &[u8]) -> io::Result<W> {
    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut writer = entry.write(out, size);
    writer.write_all(bytes)?;
    writer.finish()
}

fn write_copy<W: Write>(entry: Builder, out: W, from: &Path, place: &Path) -> Result<W, Error> {
    let error = |error: io::Error| {
        Error::Host(format!(
            "cannot copy {} into {}: {error}",
            from.display(),
            place.display()
        ))
    };
    let file = File::open(from).map_err(error)?;
    let length = file.metadata().map_err(error)?.len();
    let size = u32::try_from(length).map_err(|_| {
        Error::Host(format!(
            "{} is larger than the 4 GiB that a file in an initramfs can have",
            from.display()
        ))
    })?;
    let mut writer = entry.write(out, size);
    // A file that shrinks meanwhile must not shift all that follows.
    let copied = io::copy(&mut file.take(length), &mut writer).map_err(error)?;
    if copied != length {
        return Err(Error::Host(format!(
            "{} changed while it was copied into the initramfs: run the command again",
            from.display()
        )));
    }
    writer.finish().map_err(error)
}

/// The folders that a path leads through, the outermost first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(|(slash, _)| path.get(..slash))
}

/// Whether each file of an archive is a directory, by its path without the leading slash.
type Listing = BTreeMap<String, bool>;

/// Reads the names in an archive.
fn list(path: &Path) -> Result<Listing, Error> {
    let file = File::open(path).map_err(|error| Error::file("read", path, &error))?;
    let damaged = |_: io::Error| no_initramfs(path);
    let mut rest = BufReader::new(file);
    let mut listing = Listing::new();
    while !rest.fill_buf().map_err(damaged)?.is_empty() {
        let reader = Reader::new(rest).map_err(damaged)?;
        let entry = reader.entry();
        if entry.is_trailer() {
            break;
        }
        let kind = FileType::from_raw_mode(entry.mode());
        listing.insert(entry.name().to_owned(), kind == FileType::Directory);
        rest = reader.finish().map_err(damaged)?;
    }
    Ok(listing)
}

fn no_initramfs(path: &Path) -> Error {
    Error::NotBuilt(format!("{} is cut off or no initramfs", path.display()))
}

/// A name in a path; `None` for `..`.
fn normal(component: &Component<'_>) -> Option<String> {
    match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    }
}

/// What the base archive is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The guest's init (`vm-init`, static).
    pub init: PathBuf,
    /// The app (`my-rng`, static).
    pub app: PathBuf,
    /// The kernel module.
    pub module: PathBuf,
    /// busybox; looked for where Debian's and Ubuntu's packages put it if not given.
    pub busybox: Option<PathBuf>,
    /// lspci, likewise.
    pub lspci: Option<PathBuf>,
    /// The names of PCI devices, likewise.
    pub pci_ids: Option<PathBuf>,
}

impl Inputs {
    /// The base archive's files.
    pub fn tree(&self) -> Result<Tree, Error> {
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
        for directory in ["dev", "proc", "root", "run", "sys", "tmp", INIT_FOLDER] {
            tree.directory(directory);
        }
        // The kernel opens the console for init before init can have mounted anything.
        tree.insert(
            "dev/console",
            Node::CharDevice {
                mode: 0o600,
                major: 5,
                minor: 1,
            },
        );
        tree.text("etc/passwd", PASSWD);
        tree.text("etc/group", GROUP);
        tree.program("init", &self.init)?;
        tree.program("usr/bin/my-rng", &self.app)?;
        tree.program("usr/bin/lspci", &lspci)?;
        tree.program("bin/busybox", &busybox)?;
        tree.copy(MODULE_PATH, &self.module)?;
        for index in KMOD_INDEXES {
            let place = format!("{MODULES}/modules.{index}.bin");
            tree.text(&place, EMPTY_KMOD_INDEX);
        }
        tree.insert("usr/lib/modules", Node::Symlink(MODULES.to_owned()));
        // Where lspci itself expects it is where the host has it.
        let pci_ids_place = PCI_IDS
            .iter()
            .find(|place| Path::new(place) == pci_ids)
            .unwrap_or(&PCI_IDS[0]);
        tree.copy(pci_ids_place, &pci_ids)?;
        for applet in applets(&busybox)? {
            let name = applet.rsplit('/').next().unwrap_or_default();
            let ours = ["init", "linuxrc", "busybox", "lspci", "my-rng"].contains(&name);
            if !ours && !tree.nodes.contains_key(&applet) {
                tree.insert(&applet, Node::Symlink("/bin/busybox".to_owned()));
            }
        }
        Ok(tree)
    }
}

/// The given file, or the first of the usual places that has it.
fn found(given: Option<&Path>, places: &[&str], package: &str) -> Result<PathBuf, Error> {
    if let Some(path) = given {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(Error::Host(format!(
                "{} is not there: install the package {package}, or name another file",
                path.display()
            )))
        };
    }
    places
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::Host(format!(
                "{} is not there: install the package {package}",
                places.first().unwrap_or(&package)
            ))
        })
}

/// The paths, without leading slash, that busybox wants to be installed at.
fn applets(busybox: &Path) -> Result<Vec<String>, Error> {
    let list = |option: &str| -> Result<Option<Vec<String>>, Error> {
        let output = Command::new(busybox)
            .arg(option)
            .output()
            .map_err(|error| Error::file("execute", busybox, &error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let usable = output.status.success() && !text.trim().is_empty();
        Ok(usable.then(|| text.lines().map(str::to_owned).collect()))
    };
    if let Some(paths) = list("--list-full")? {
        return Ok(paths);
    }
    let names = list("--list")?.ok_or_else(|| {
        Error::Host(format!(
            "{} does not list its applets: install the package busybox-static",
            busybox.display()
        ))
    })?;
    Ok(names.iter().map(|name| format!("bin/{name}")).collect())
}

/// The shared libraries that a program needs, its dynamic loader among them; none for a static one.
fn shared_libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    if !program.is_file() {
        return Err(Error::NotBuilt(format!(
            "{} is not there",
            program.display()
        )));
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

/// The files that `ldd` lists, or the name of the library that it did not find.
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

/// A library built for the host's CPU may not be looked for, let alone run, on the guest's: takes
/// the general one beside it.
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

/// Writes the base archive to `output`, which changes only when all of it is there.
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

/// Writes the base archive with the host's files added, and the job for init, to a new file.
pub fn with_files(
    base: &Path,
    files: &[GuestFile],
    job: Option<&Job>,
    output: &Path,
) -> Result<(), Error> {
    let content = if files.is_empty() {
        Listing::new()
    } else {
        list(base)?
    };
    let tree = Tree::of_run(job, files, &content)?;
    write_run(base, &tree, output)
}

/// Writes the archive of one run: the base and `tree` behind it.
fn write_run(base: &Path, tree: &Tree, output: &Path) -> Result<(), Error> {
    let mut file =
        File::create_new(output).map_err(|error| Error::file("create", output, &error))?;
    let mut base_file = File::open(base).map_err(|error| Error::file("read", base, &error))?;
    let copied = io::copy(&mut base_file, &mut file)
        .map_err(|error| Error::file("write", output, &error))?;
    // The kernel looks for the next archive at a multiple of four.
    if copied % 4 != 0 {
        return Err(no_initramfs(base));
    }
    let mut out = tree.write(BufWriter::new(file), output)?;
    out.flush()
        .map_err(|error| Error::file("write", output, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Work;

    struct Found {
        mode: u32,
        bytes: Vec<u8>,
    }

    /// Reads archives standing one behind the other, as the kernel does.
    fn read_back(bytes: &[u8]) -> BTreeMap<String, Found> {
        let mut found = BTreeMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut reader = Reader::new(rest).unwrap();
            let entry = reader.entry().clone();
            assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            rest = reader.finish().unwrap();
            if !entry.is_trailer() {
                let mode = entry.mode();
                found.insert(entry.name().to_owned(), Found { mode, bytes });
            }
        }
        found
    }

    /// The names in an archive, in its order.
    fn names_in(bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut reader = Reader::new(bytes).unwrap();
        while !reader.entry().is_trailer() {
            names.push(reader.entry().name().to_owned());
            reader = Reader::new(reader.finish().unwrap()).unwrap();
        }
        names
    }

    fn job() -> Job {
        Job {
            load_module: true,
            work: Work::Run(vec!["true".into()]),
        }
    }

    fn file(host: &Path, guest: &str) -> GuestFile {
        GuestFile {
            host: host.to_owned(),
            guest: guest.into(),
        }
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("tool");
        fs::write(&tool, b"#!/bin/sh\nexit 7\n").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o4751)).unwrap();
        let files = [file(&tool, "/tmp/deep/er/tool"), file(&tool, "/zoo")];
        let tree = Tree::of_run(Some(&job()), &files, &Listing::new()).unwrap();
        let bytes = tree.write(Vec::new(), Path::new("a test")).unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let found = read_back(&bytes);
        assert_eq!(found["tmp"].mode, 0o041777);
        assert_eq!(found["tmp/deep"].mode, 0o040755);
        assert_eq!(found["tmp/deep/er/tool"].mode, 0o104751);
        assert_eq!(found["tmp/deep/er/tool"].bytes, b"#!/bin/sh\nexit 7\n");
        assert_eq!(Job::decode(&found["vm/job"].bytes), Ok(job()));
        // Parents come before what is in them, and the job behind all.
        let names = names_in(&bytes);
        assert_eq!(
            names,
            [
                "tmp",
                "tmp/deep",
                "tmp/deep/er",
                "tmp/deep/er/tool",
                "vm",
                "zoo",
                "vm/job"
            ]
        );
    }

    #[test]
    fn the_base_archive_holds_the_programs_and_is_the_same_every_time() {
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
            lspci: Some(PathBuf::from("/bin/true")),
            pci_ids: Some(path("pci.ids")),
        };
        build(&inputs, &path("one")).unwrap();
        build(&inputs, &path("two")).unwrap();
        let one = fs::read(path("one")).unwrap();
        assert_eq!(one, fs::read(path("two")).unwrap());
        let found = read_back(&one);
        assert_eq!(found["init"].mode, 0o100755);
        assert_eq!(found["dev/console"].mode, 0o020600);
        assert_eq!(found["lib/modules/my_rng.ko"].bytes, b"module");
        assert_eq!(found["usr/share/misc/pci.ids"].bytes, b"1234  QEMU\n");
        assert_eq!(found["bin/sh"].mode, 0o120777);
        assert_eq!(found["bin/sh"].bytes, b"/bin/busybox");
        assert_eq!(found["usr/bin/env"].bytes, b"/bin/busybox");
        assert!(!found.contains_key("sbin/init"));
        assert_eq!(found["usr/bin/lspci"].bytes, fs::read("/bin/true").unwrap());
        assert!(found.keys().any(|name| name.ends_with("/libc.so.6")));
        assert_eq!(found["tmp"].mode, 0o041777);
        // Nothing but the two archives and their inputs is left behind.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_run_is_a_second_archive_behind_the_base() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        let mut tree = Tree::default();
        tree.text("a", "1");
        tree.text("b", "odd length");
        fs::write(&base, tree.write(Vec::new(), Path::new("a test")).unwrap()).unwrap();
        let output = folder.path().join("run");
        with_files(&base, &[], Some(&job()), &output).unwrap();
        let found = read_back(&fs::read(&output).unwrap());
        assert_eq!(found["a"].bytes, b"1");
        assert_eq!(found["b"].bytes, b"odd length");
        assert!(found.contains_key("vm/job"));
    }

    #[test]
    fn a_base_that_is_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::write(&base, b"07070").unwrap();
        for files in [&[][..], &[file(&base, "/x")]] {
            let error = with_files(&base, files, None, &folder.path().join("run")).unwrap_err();
            assert!(matches!(error, Error::NotBuilt(_)));
        }
    }

    #[test]
    fn missing_files_name_their_package() {
        let missing = PathBuf::from("/nowhere/busybox");
        let error = found(Some(&missing), &[], "busybox-static").unwrap_err();
        assert!(error.to_string().contains("package busybox-static"));
        let error = found(None, &["/nowhere/lspci"], "pciutils").unwrap_err();
        assert!(error.to_string().contains("package pciutils"));
        let error = shared_libraries(Path::new("/nowhere/app")).unwrap_err();
        assert!(error.to_string().ends_with("run `make` first"));
    }

    #[test]
    fn places_where_the_kernel_would_put_no_file_are_refused() {
        let mut base = Tree::default();
        base.text("etc/passwd", PASSWD);
        base.insert("usr/lib/modules", Node::Symlink(MODULES.to_owned()));
        base.insert("bin/ls", Node::Symlink("/bin/busybox".to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("base");
        fs::write(&archive, base.write(Vec::new(), &archive).unwrap()).unwrap();
        let base = list(&archive).unwrap();
        let tree = |places: &[&str]| {
            let files: Vec<_> = places.iter().map(|place| file(&archive, place)).collect();
            Tree::of_run(Some(&job()), &files, &base)
        };
        const ABSOLUTE: &str = "give an absolute path";
        const INITS: &str = "for itself";
        for (places, why) in [
            (&["relative"][..], ABSOLUTE),
            (&["/"], ABSOLUTE),
            (&["/tmp/"], ABSOLUTE),
            (&["/tmp/../etc/passwd"], ABSOLUTE),
            (&["/dev/x"], INITS),
            (&["/proc/x"], INITS),
            (&["/sys/a/b"], INITS),
            (&["/vm"], INITS),
            (&["/vm/job"], INITS),
            (&["/vm/job/x"], INITS),
            (&["/etc"], "it is a directory there"),
            (&["/usr/lib"], "it is a directory there"),
            (
                &["/usr/lib/modules/x"],
                "/usr/lib/modules is not a directory",
            ),
            (&["/etc/passwd/x/y"], "/etc/passwd is not a directory"),
            (&["/x", "/x/y"], "/x is not a directory"),
            (&["/x/y", "/x"], "it is a directory there"),
            (&["/x", "//x"], "another file is put there"),
        ] {
            let error = tree(places).unwrap_err().to_string();
            assert!(error.contains(why), "{places:?}: {error}");
        }
        let fine = [
            "/etc/passwd",
            "/bin/ls",
            "/usr/lib/modules",
            "/usr/x",
            "/x/y",
            "/devices",
        ];
        assert!(tree(&fine).is_ok());
        assert!(tree(&["//a/./b"]).unwrap().nodes.contains_key("a/b"));
    }

    #[test]
    fn only_regular_files_of_the_host_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no");
        for (host, why) in [
            (folder.path(), "no regular file"),
            (&missing, "No such file"),
        ] {
            let files = [file(host, "/x")];
            let error = Tree::of_run(None, &files, &Listing::new())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn ldd_is_understood() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            parse_ldd(text).unwrap(),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
        assert_eq!(
            parse_ldd("\tlibx.so.1 => not found\n").unwrap_err(),
            "libx.so.1"
        );
    }

    #[test]
    fn a_library_for_the_hosts_cpu_gives_way_to_the_general_one() {
        let folder = tempfile::tempdir().unwrap();
        let special = folder.path().join("glibc-hwcaps/x86-64-v3");
        fs::create_dir_all(&special).unwrap();
        let library = special.join("libx.so");
        assert_eq!(for_any_cpu(&library), library);
        fs::write(folder.path().join("libx.so"), "").unwrap();
        assert_eq!(for_any_cpu(&library), folder.path().join("libx.so"));
    }
}
