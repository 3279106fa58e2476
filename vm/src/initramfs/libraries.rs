// SPDX-License-Identifier: GPL-2.0-or-later

//! The shared libraries of a program, found without executing anything, so that the program may be for
//! another machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use elf::abi::{DT_NEEDED, PT_INTERP};
use elf::endian::AnyEndian;
use elf::{ElfBytes, ParseError};

use crate::Error;

/// Where dynamic loaders look for libraries. Debian has further folders in these, such as
/// `lib/aarch64-linux-gnu`.
const FOLDERS: [&str; 4] = ["lib", "usr/lib", "lib64", "usr/lib64"];

/// What a program or library says about others.
struct Object {
    /// The kind of machine that it is for.
    machine: u16,
    /// Its dynamic loader, if it is a program that has one.
    loader: Option<String>,
    /// The names of libraries.
    needed: Vec<String>,
}

impl Object {
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes)?;
        let common = file.find_common_data()?;
        let mut loader = None;
        for segment in file.segments().into_iter().flatten() {
            if segment.p_type == PT_INTERP {
                let path = String::from_utf8_lossy(file.segment_data(&segment)?);
                loader = Some(path.trim_end_matches('\0').to_owned());
            }
        }
        let mut needed = Vec::new();
        if let (Some(entries), Some(names)) = (common.dynamic, common.dynsyms_strs) {
            for entry in entries.iter().filter(|entry| entry.d_tag == DT_NEEDED) {
                let name = usize::try_from(entry.d_val()).unwrap_or(usize::MAX);
                needed.push(names.get(name)?.to_owned());
            }
        }
        Ok(Self {
            machine: file.ehdr.e_machine,
            loader,
            needed,
        })
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|error| Error::file("read", path, &error))?;
        Self::parse(&bytes).map_err(|error| {
            Error::Host(format!(
                "{} is not a program or library: {error}",
                path.display()
            ))
        })
    }
}

/// The shared libraries that a program needs, with its dynamic loader: for each its path in the guest,
/// without the leading slash, and its file below `root`. None for a static program.
pub(super) fn shared_libraries(
    program: &Path,
    root: &Path,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let Object {
        machine,
        loader,
        needed,
    } = Object::read(program)?;
    let missing = |name: &str| {
        Error::Host(format!(
            "{} needs {name}, which is not installed in {}",
            program.display(),
            root.display()
        ))
    };
    let folders = folders(root);
    let mut found = BTreeMap::new();
    if let Some(loader) = loader {
        let path = loader.trim_start_matches('/');
        let file = root.join(path);
        if !file.is_file() {
            return Err(missing(&loader));
        }
        found.insert(path.to_owned(), file);
    }
    let mut wanted = needed;
    while let Some(name) = wanted.pop() {
        let is_found = |path: &String| path.rsplit('/').next() == Some(name.as_str());
        if found.keys().any(is_found) {
            continue;
        }
        // A loader, too, skips libraries for other machines.
        let (path, file, library) = folders
            .iter()
            .map(|folder| format!("{folder}/{name}"))
            .filter_map(|path| {
                let file = root.join(&path);
                let library = Object::read(&file).ok()?;
                Some((path, file, library))
            })
            .find(|(.., library)| library.machine == machine)
            .ok_or_else(|| missing(&name))?;
        found.insert(path, file);
        wanted.extend(library.needed);
    }
    Ok(found)
}

/// The folders that have libraries, without the leading slash.
fn folders(root: &Path) -> Vec<String> {
    let mut folders = Vec::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with("-linux-gnu"))
            .collect();
        names.sort();
        folders.extend(names.iter().map(|name| format!("{folder}/{name}")));
        folders.push(folder.to_owned());
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn root_with(files: &BTreeMap<String, PathBuf>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, file) in files {
            let place = root.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(file, place).unwrap();
        }
        root
    }

    #[test]
    fn libraries_and_loader_are_found_on_the_host_and_below_another_root() {
        let program = Path::new("/bin/true");
        let here = shared_libraries(program, Path::new("/")).unwrap();
        let loader = Object::read(program).unwrap().loader.unwrap();
        assert!(
            here.contains_key(loader.trim_start_matches('/')),
            "{here:?}"
        );
        assert!(
            here.keys().any(|path| path.ends_with("/libc.so.6")),
            "{here:?}"
        );

        let root = root_with(&here);
        let there = shared_libraries(program, root.path()).unwrap();
        assert!(there.keys().eq(here.keys()), "{there:?}");
        assert!(there.values().all(|file| file.starts_with(root.path())));
    }

    #[test]
    fn missing_library_or_one_for_another_machine_is_named() {
        let program = Path::new("/bin/true");
        let here = shared_libraries(program, Path::new("/")).unwrap();
        let root = root_with(&here);
        let there = shared_libraries(program, root.path()).unwrap();
        let libc = there.iter().find(|(path, _)| path.ends_with("/libc.so.6"));
        let libc = libc.unwrap().1;
        let mut bytes = fs::read(libc).unwrap();
        // The machine, in the ELF header.
        bytes[18] ^= 0xff;
        fs::write(libc, bytes).unwrap();
        let refused = || {
            shared_libraries(program, root.path())
                .unwrap_err()
                .to_string()
        };
        let told = format!(
            "needs libc.so.6, which is not installed in {}",
            root.path().display()
        );
        assert!(refused().ends_with(&told), "{}", refused());
        fs::remove_file(libc).unwrap();
        assert!(refused().ends_with(&told), "{}", refused());
        let empty = tempfile::tempdir().unwrap();
        let error = shared_libraries(program, empty.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("needs /lib"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
        let error = shared_libraries(&script, Path::new("/"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not a program"), "{error}");
    }
}
