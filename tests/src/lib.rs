// SPDX-License-Identifier: GPL-2.0-or-later

//! What the end-to-end tests share: a guest to run a command in.
//!
//! Most tests boot a guest of their own through `vm/run`, as a user would; what several tests look at
//! is booted once (`Lazy`). The programs they run in it are compiled from `guest/` by `build.rs`. What
//! needs QEMU itself in hand (migration, sleep, its test protocol) starts it as a `Machine`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
mod guest;
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
mod machine;
pub mod pictures;
mod screen;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub use guest::{Finished, Guest, complaints};
pub use machine::{Console, DEADLINE, Machine, Process, Qmp};
pub use screen::Picture;

/// The folder that holds the whole project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands in the project's folder")
}

/// What a log holds that may not be there, or not be text in all places.
pub fn log_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Writes a script that can be run.
pub fn write_program(path: &Path, script: &str) {
    fs::write(path, script).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// What `make` has built, as `build/where` names it.
pub fn built(key: &str) -> PathBuf {
    let list = build_folder().join("where");
    let text = fs::read_to_string(&list)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make` first", list.display()));
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{} names no {key}; run `make` again", list.display()))
}

/// The folder that `make` builds in.
pub fn build_folder() -> PathBuf {
    std::env::var_os("MY_RNG_BUILD")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| root().join("build"), PathBuf::from)
}

/// The QEMU that `make` has built, with the devices of `qemu/test-devices.c` in it. Linked when a test first asks.
pub fn test_qemu() -> &'static Path {
    static QEMU: OnceLock<PathBuf> = OnceLock::new();
    QEMU.get_or_init(|| linked_qemu("tests"))
}

/// The same, with the devices in Rust under AddressSanitizer.
pub fn asan_qemu() -> &'static Path {
    static QEMU: OnceLock<PathBuf> = OnceLock::new();
    QEMU.get_or_init(|| linked_qemu("asan"))
}

fn linked_qemu(devices: &str) -> PathBuf {
    // FOLDER/qemu/prefix/bin/NAME; it may be another folder than that of the kernel.
    let qemu = built("qemu");
    let folder = qemu.ancestors().nth(4).expect("a build folder");
    let made = Command::new(root().join("scripts/build-extra.sh"))
        .arg(devices)
        .env("MY_RNG_BUILD", folder)
        .stdin(Stdio::null())
        .output()
        .expect("scripts/build-extra.sh can be run");
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{errors}");
    let path = String::from_utf8(made.stdout).expect("a path");
    PathBuf::from(path.trim_end())
}

/// The compiled `guest/NAME.c`.
pub fn guest_program(name: &str) -> PathBuf {
    Path::new(env!("GUEST_PROGRAMS")).join(name)
}
