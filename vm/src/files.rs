// SPDX-License-Identifier: GPL-2.0-or-later

//! The run's own directory, and checks of the paths that a user gives.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;

use crate::Error;

/// A Unix socket's path must fit into this many bytes, its closing NUL included.
const SOCKET_PATH_MAX: usize = 108;

const FOLDER_PREFIX: &str = "my-rng-vm-";

/// The directory of one run, locked as long as the run needs it.
pub(crate) struct RunFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl RunFolder {
    pub fn new() -> Result<Self, Error> {
        let parent = Self::parent();
        remove_left_behind(&parent);
        Self::create(&parent).map_err(|error| Error::file("create a directory in", &parent, &error))
    }

    /// Where the directories of runs are. The paths of their sockets must not be too long.
    fn parent() -> PathBuf {
        let usual = env::temp_dir();
        if usual.as_os_str().len() > SOCKET_PATH_MAX - 40 {
            PathBuf::from("/tmp")
        } else {
            usual
        }
    }

    /// A path like that of a run, to show to a user.
    pub fn example() -> PathBuf {
        Self::parent().join(format!("{FOLDER_PREFIX}XXXXXX"))
    }

    fn create(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let _lock = lock;
        Ok(Self { folder, _lock })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the directories of launchers that were killed: they are ours and not locked. A new one may
/// not be locked yet.
fn remove_left_behind(parent: &Path) {
    const NEW: Duration = Duration::from_secs(60);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name
            .as_encoded_bytes()
            .starts_with(FOLDER_PREFIX.as_bytes());
        let (true, Ok(metadata)) = (ours, entry.metadata()) else {
            continue;
        };
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| time.elapsed().ok());
        let old = age.is_some_and(|age| age > NEW);
        if metadata.is_dir() && metadata.uid() == geteuid().as_raw() && old {
            let unlocked = File::open(entry.path()).is_ok_and(|folder| {
                flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
            });
            if unlocked {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

pub(crate) fn create(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Error::file("create", path, &error))
}

/// All of a file, which may have been unlinked; nothing if it cannot be read.
pub(crate) fn contents(file: &File) -> Vec<u8> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Checks that QEMU can read this file.
pub(crate) fn readable(path: &Path) -> Result<(), Error> {
    let cannot_read = |error: io::Error| Error::file("read", path, &error);
    // Before it is opened: opening a FIFO would wait for its other end.
    if !fs::metadata(path).map_err(cannot_read)?.is_file() {
        return Err(Error::Host(format!(
            "{} is not a regular file: name one",
            path.display()
        )));
    }
    File::open(path).map(drop).map_err(cannot_read)
}

/// Checks that the console can be kept at `path`: in a new file, in a regular one, or in a device such
/// as `/dev/null`.
pub(crate) fn fit_for_log(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.file_type().is_char_device() => {
            Err(Error::Host(format!(
                "{} exists and is not a regular file: choose another path",
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

/// Checks that QEMU can listen at `path`. It would replace any file there, so only a socket that
/// nobody uses may be there.
pub(crate) fn free_for_socket(path: &Path) -> Result<(), Error> {
    let problem = if path.as_os_str().len() >= SOCKET_PATH_MAX {
        format!("is too long for a socket: choose a path of less than {SOCKET_PATH_MAX} bytes")
    } else {
        match fs::symlink_metadata(path) {
            Err(_) => return Ok(()),
            Ok(metadata) if !metadata.file_type().is_socket() => {
                "exists and is not a socket: choose another path".to_owned()
            }
            Ok(_) if somebody_listens(path) => {
                "is the socket of another QEMU: choose another path".to_owned()
            }
            Ok(_) => return Ok(()),
        }
    };
    Err(Error::Host(format!("{} {problem}", path.display())))
}

fn somebody_listens(path: &Path) -> bool {
    let connected = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    // A listener whose queue is full answers EAGAIN.
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn directory_of_a_killed_launcher_is_removed_by_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let running = RunFolder::create(parent.path()).unwrap();
        let [left, new, other] = ["my-rng-vm-left", "my-rng-vm-new", "other"].map(|name| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("initrd"), "").unwrap();
            path
        });
        for path in [running.path(), &left, &other] {
            let times = fs::FileTimes::new().set_modified(long_ago);
            File::open(path).unwrap().set_times(times).unwrap();
        }
        remove_left_behind(parent.path());
        assert!(!left.exists());
        assert!(running.path().exists() && new.exists() && other.exists());
    }

    #[test]
    fn files_that_would_make_us_wait_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        for path in [fifo.as_path(), folder.path()] {
            for result in [readable(path), fit_for_log(path)] {
                assert!(
                    result
                        .unwrap_err()
                        .to_string()
                        .contains("not a regular file")
                );
            }
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [Path::new("/dev/null"), Path::new("/nowhere/log"), &file] {
            assert!(fit_for_log(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn only_a_socket_that_nobody_uses_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let refused = |why| {
            let error = free_for_socket(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let listener = UnixListener::bind(&path).unwrap();
        refused("another QEMU");
        drop(listener);
        free_for_socket(&path).unwrap();
        fs::remove_file(&path).unwrap();
        free_for_socket(&path).unwrap();
        fs::write(&path, "").unwrap();
        refused("not a socket");
        let long = folder.path().join("x".repeat(SOCKET_PATH_MAX));
        assert!(
            free_for_socket(&long)
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
    }
}
