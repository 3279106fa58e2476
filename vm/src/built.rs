// SPDX-License-Identifier: GPL-2.0-or-later

//! Where `make` put what it built. The file `build/ARCH/where` lists it, one `key=value` a line.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::arch::Arch;

/// What `build/ARCH/where` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    arch: Arch,
    directory: PathBuf,
    entries: BTreeMap<String, String>,
}

impl Built {
    /// What is built for the architecture that the environment variable `MY_RNG_ARCH` names, by default
    /// the host's.
    pub fn here() -> Result<Self, Error> {
        Self::of(Arch::from_env()?)
    }

    /// What is built for an architecture in `MY_RNG_BUILD` or, if that is not set, in `build/` of the
    /// repository.
    pub fn of(arch: Arch) -> Result<Self, Error> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let usual = || here.parent().unwrap_or(here).join("build");
        let directory = env::var_os("MY_RNG_BUILD")
            .filter(|value| !value.is_empty())
            .map_or_else(usual, PathBuf::from);
        Self::read(arch, &directory)
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The build directory, which all architectures share.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The list of an architecture.
    fn list(arch: Arch, directory: &Path) -> PathBuf {
        directory.join(arch.to_string()).join("where")
    }

    /// A build directory without the list gives an empty one: [`Built::file`] then fails, but only
    /// for files that the command line does not name.
    fn read(arch: Arch, directory: &Path) -> Result<Self, Error> {
        let path = Self::list(arch, directory);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            other => other.map_err(|error| Error::file("read", &path, &error)),
        }?;
        Ok(Self {
            arch,
            directory: directory.to_owned(),
            entries: text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        })
    }

    /// The file listed under `key`, which must exist.
    pub fn file(&self, key: &str) -> Result<PathBuf, Error> {
        let not_built = |what| Error::NotBuilt(what, self.arch.make());
        let value = self.entries.get(key).ok_or_else(|| {
            let list = Self::list(self.arch, &self.directory);
            not_built(format!("{} names no {key}=", list.display()))
        })?;
        let path = self.directory.join(value);
        if path.is_file() {
            Ok(path)
        } else {
            Err(not_built(format!(
                "{} ({key}) is not there",
                path.display()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_files_must_exist() {
        let directory = tempfile::tempdir().unwrap();
        for arch in Arch::ALL {
            let make = format!("run `{}` first", arch.make());
            let folder = directory.path().join(arch.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(directory.path().join("image"), "").unwrap();
            fs::write(
                folder.join("where"),
                "qemu=/nowhere/qemu\nkernel=image\nqemu_version=8.2.9\n",
            )
            .unwrap();
            let built = Built::read(arch, directory.path()).unwrap();
            let kernel = built.file("kernel").unwrap();
            assert_eq!(kernel, directory.path().join("image"));
            let missing = built.file("qemu").unwrap_err().to_string();
            assert!(missing.contains("/nowhere/qemu"), "{missing}");
            assert!(missing.ends_with(&make), "{missing}");
            let unnamed = built.file("initramfs").unwrap_err().to_string();
            assert!(unnamed.ends_with(&make), "{unnamed}");
        }
    }

    #[test]
    fn missing_list_is_an_error_when_a_file_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let build = directory.path().join("build");
        for arch in Arch::ALL {
            let built = Built::read(arch, &build).unwrap();
            let error = built.file("qemu").unwrap_err().to_string();
            let list = build.join(format!("{arch}/where"));
            let told = format!(
                "{} names no qemu=: run `{}` first",
                list.display(),
                arch.make()
            );
            assert_eq!(error, told);
        }
    }
}
