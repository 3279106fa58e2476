// SPDX-License-Identifier: GPL-2.0-or-later

//! Where `make` put what it built. The file `build/where` lists it, one `key=value` a line.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

/// What `build/where` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    directory: PathBuf,
    entries: BTreeMap<String, String>,
}

impl Built {
    /// What is built in `MY_RNG_BUILD` or, if that is not set, in `build/` of the repository.
    pub fn here() -> Result<Self, Error> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let usual = || here.parent().unwrap_or(here).join("build");
        let directory = env::var_os("MY_RNG_BUILD")
            .filter(|value| !value.is_empty())
            .map_or_else(usual, PathBuf::from);
        Self::read(&directory)
    }

    /// The build directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A build directory without the list gives an empty one: [`Built::file`] then fails, but only
    /// for files that the command line does not name.
    fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("where");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(directory, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::parse(directory, "")),
            Err(error) => Err(Error::file("read", &path, &error)),
        }
    }

    fn parse(directory: &Path, text: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            entries: text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        }
    }

    /// The file listed under `key`, which must exist.
    pub fn file(&self, key: &str) -> Result<PathBuf, Error> {
        let value = self.entries.get(key).ok_or_else(|| {
            Error::NotBuilt(format!(
                "{} names no {key}=",
                self.directory.join("where").display()
            ))
        })?;
        let path = self.directory.join(value);
        if path.is_file() {
            Ok(path)
        } else {
            Err(Error::NotBuilt(format!(
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
        fs::write(directory.path().join("bzImage"), "").unwrap();
        fs::write(
            directory.path().join("where"),
            "qemu=/nowhere/qemu\nkernel=bzImage\nqemu_version=8.2.9\n",
        )
        .unwrap();
        let built = Built::read(directory.path()).unwrap();
        assert_eq!(
            built.file("kernel").unwrap(),
            directory.path().join("bzImage")
        );
        let missing = built.file("qemu").unwrap_err().to_string();
        assert!(missing.contains("/nowhere/qemu"), "{missing}");
        assert!(missing.ends_with("run `make` first"), "{missing}");
        let unnamed = built.file("initramfs").unwrap_err().to_string();
        assert!(unnamed.ends_with("run `make` first"), "{unnamed}");
    }

    #[test]
    fn missing_list_is_an_error_when_a_file_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let built = Built::read(&directory.path().join("build")).unwrap();
        assert!(matches!(built.file("qemu"), Err(Error::NotBuilt(_))));
    }
}
