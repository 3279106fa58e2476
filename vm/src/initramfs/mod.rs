// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's files. The base archive is built once (`vm-initramfs`); the files of one run are in a
//! second archive behind it, which Linux unpacks over the first.

mod base;
mod libraries;
mod tree;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::Error;
use crate::job::{JOB_PATH, Job};
pub use base::{Inputs, build};
use tree::{Listing, Node, Tree, damaged, list, parents};

/// Init mounts something over the first three, which would hide a file, and has its job in the last.
const RESERVED: [&str; 4] = ["dev", "proc", "sys", "vm"];

/// A file of the host's for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFile {
    /// Its path on the host.
    pub host: PathBuf,
    /// Its absolute path in the guest.
    pub guest: PathBuf,
}

impl GuestFile {
    /// Parses `HOST:GUEST`. The guest's path is absolute, so the host's may contain colons.
    pub(crate) fn parse(value: OsString) -> Result<Self, String> {
        let bytes = value.as_bytes();
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        bytes
            .windows(2)
            .rposition(|window| window == b":/")
            .filter(|colon| *colon > 0)
            .and_then(|colon| {
                Some(Self {
                    host: path(bytes.get(..colon)?),
                    guest: path(bytes.get(colon + 1..)?),
                })
            })
            .ok_or_else(|| {
                "write HOST:GUEST with an absolute path for the guest, as in tool:/usr/bin/tool"
                    .to_owned()
            })
    }
}

/// Writes a new file: the archive `base`, the host's files, and the job for init.
pub fn with_files(
    base: &Path,
    files: &[GuestFile],
    job: Option<&Job>,
    output: &Path,
) -> Result<(), Error> {
    let base_has = if files.is_empty() {
        Listing::new()
    } else {
        list(base)?
    };
    let tree = tree_of_run(job, files, &base_has)?;

    let cannot_write = |error: io::Error| Error::file("write", output, &error);
    let mut file = File::create_new(output).map_err(cannot_write)?;
    let mut base_file = File::open(base).map_err(|error| Error::file("read", base, &error))?;
    let copied = io::copy(&mut base_file, &mut file).map_err(cannot_write)?;
    // The kernel looks for the next archive at a multiple of four.
    if copied % 4 != 0 {
        return Err(damaged(base));
    }
    let mut out = tree.write(BufWriter::new(file), output)?;
    out.flush().map_err(cannot_write)
}

/// What one run adds to the base.
fn tree_of_run(job: Option<&Job>, files: &[GuestFile], base: &Listing) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    for GuestFile { host, guest } in files {
        let place = place_for(guest, &tree, base).map_err(|why| {
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

/// Where a file goes in the archive, or why the kernel would not put it there: it needs directories on
/// the way, and leaves a directory that is at the place itself.
fn place_for(guest: &Path, tree: &Tree, base: &Listing) -> Result<String, String> {
    let place = relative(guest)
        .ok_or("give an absolute path, in UTF-8, with the file's name and without '..'")?;
    let first = place.split('/').next().unwrap_or_default();
    if RESERVED.contains(&first) {
        return Err(format!("init needs /{first} for itself"));
    }
    let is_directory = |path: &str| match tree.get(path) {
        Some(node) => Some(matches!(node, Node::Directory)),
        None => base.get(path).copied(),
    };
    if let Some(parent) = parents(&place).find(|parent| is_directory(parent) == Some(false)) {
        return Err(format!("/{parent} is not a directory there"));
    }
    if is_directory(&place) == Some(true) {
        return Err("it is a directory there; add the file's name".to_owned());
    }
    if tree.get(&place).is_some() {
        return Err("another file is put there".to_owned());
    }
    Ok(place)
}

/// An absolute path of a file, without its leading slash.
fn relative(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if !text.starts_with('/') || text.ends_with('/') {
        return None;
    }
    let names = path.components().skip(1).map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let place = names.collect::<Option<Vec<_>>>()?.join("/");
    (!place.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{MODULES, Work};
    use cpio::newc::Reader;
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Read;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::PermissionsExt;

    /// Reads archives standing one behind the other, as the kernel does: modes and contents, in order.
    fn read_in_order(mut bytes: &[u8]) -> Vec<(String, (u32, Vec<u8>))> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let mut reader = Reader::new(bytes).unwrap();
            let entry = reader.entry().clone();
            assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            bytes = reader.finish().unwrap();
            if !entry.is_trailer() {
                found.push((entry.name().to_owned(), (entry.mode(), content)));
            }
        }
        found
    }

    pub(super) fn read_back(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        read_in_order(bytes).into_iter().collect()
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

    /// An archive in which files are of odd lengths, and two are symbolic links.
    fn base(folder: &Path) -> PathBuf {
        let mut tree = Tree::default();
        tree.text("etc/passwd", "root");
        tree.text("a", "odd length");
        tree.insert("usr/lib/modules", Node::Symlink(MODULES.to_owned()));
        tree.insert("bin/ls", Node::Symlink("/bin/busybox".to_owned()));
        let path = folder.join("base");
        fs::write(&path, tree.write(Vec::new(), &path).unwrap()).unwrap();
        path
    }

    #[test]
    fn files_of_a_run_are_a_second_archive_behind_the_base() {
        const SCRIPT: &[u8] = b"#!/bin/sh\nexit 7\n";
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("tool");
        fs::write(&tool, SCRIPT).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o4751)).unwrap();
        let base = base(folder.path());
        let base_bytes = fs::read(&base).unwrap();
        let files = [file(&tool, "/tmp/deep/er/tool"), file(&tool, "/zoo")];
        let output = folder.path().join("run");
        with_files(&base, &files, Some(&job()), &output).unwrap();
        let bytes = fs::read(&output).unwrap();
        let added = bytes.strip_prefix(&base_bytes[..]).unwrap();
        // Parents come before what is in them, and the job last.
        let found = read_in_order(added);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
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
        let found = read_back(&bytes);
        assert_eq!(found["a"].1, b"odd length");
        assert_eq!(found["tmp"].0, 0o041777);
        assert_eq!(found["tmp/deep"].0, 0o040755);
        assert_eq!(found["tmp/deep/er/tool"], (0o104751, SCRIPT.to_vec()));
        assert_eq!(Job::decode(&found["vm/job"].1), Ok(job()));

        let without = folder.path().join("without");
        with_files(&base, &[], None, &without).unwrap();
        assert!(!read_back(&fs::read(&without).unwrap()).contains_key("vm/job"));
    }

    #[test]
    fn base_that_is_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::write(&base, b"07070").unwrap();
        for files in [&[][..], &[file(&base, "/x")]] {
            let error = with_files(&base, files, None, &folder.path().join("run")).unwrap_err();
            assert!(error.to_string().ends_with("build it again"), "{error}");
        }
    }

    #[test]
    fn places_where_the_kernel_would_put_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let listing = list(&base).unwrap();
        let tree = |places: &[&str]| {
            let files: Vec<_> = places.iter().map(|place| file(&base, place)).collect();
            tree_of_run(Some(&job()), &files, &listing)
        };
        const ABSOLUTE: &str = "give an absolute path";
        const INITS: &str = "for itself";
        const DIRECTORY: &str = "it is a directory there";
        for (places, why) in [
            (&["relative"][..], ABSOLUTE),
            (&["/"], ABSOLUTE),
            (&["/."], ABSOLUTE),
            (&["/tmp/"], ABSOLUTE),
            (&["/tmp/../etc/passwd"], ABSOLUTE),
            (&["/dev/x"], INITS),
            (&["/proc/x"], INITS),
            (&["/sys/a/b"], INITS),
            (&["/vm"], INITS),
            (&["/vm/job"], INITS),
            (&["/vm/job/x"], INITS),
            (&["/etc"], DIRECTORY),
            (&["/usr/lib"], DIRECTORY),
            (
                &["/usr/lib/modules/x"],
                "/usr/lib/modules is not a directory",
            ),
            (&["/etc/passwd/x/y"], "/etc/passwd is not a directory"),
            (&["/x", "/x/y"], "/x is not a directory"),
            (&["/x/y", "/x"], DIRECTORY),
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
        assert!(tree(&["//p/./q"]).unwrap().get("p/q").is_some());
    }

    #[test]
    fn only_regular_files_of_the_host_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no");
        for (host, why) in [
            (folder.path(), "not a regular file"),
            (&missing, "No such file"),
        ] {
            let files = [file(host, "/x")];
            let error = tree_of_run(None, &files, &Listing::new())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn path_of_a_file_need_not_be_utf_8() {
        let file = GuestFile::parse(OsString::from_vec(b"caf\xe9:/x".to_vec())).unwrap();
        assert_eq!(file.host.as_os_str().as_bytes(), b"caf\xe9");
    }
}
