// SPDX-License-Identifier: GPL-2.0-or-later

//! What the end-to-end tests share.
//!
//! Most tests boot a guest of their own through `vm/run`, as a user would ([`Guest`]). The programs that they run
//! in it are compiled from `guest/` by `build.rs`. Tests that need QEMU itself (migration, sleep, QEMU's test
//! protocol) start it as a [`Machine`].
#![expect(clippy::indexing_slicing, reason = "a panic ends the test")]

pub mod answers;
pub mod arch;
mod console;
mod guest;
pub mod lspci;
mod machine;
pub mod pictures;
mod qmp;
mod qtest;
mod screen;
pub mod tap;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub use console::Console;
pub use guest::{Finished, Guest};
pub use machine::{DEADLINE, Machine, Process};
use my_rng_vm::built::Built;
pub use my_rng_vm::kernel::complaints;
pub use my_rng_vm::{abi, known_answers};
pub use qmp::Qmp;
pub use screen::Picture;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the root")
}

/// The text of a log, which may be absent, and may contain bytes that are not text.
pub fn log_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Writes an executable script.
pub fn write_program(path: &Path, script: &str) {
    fs::write(path, script).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

fn all_built() -> Built {
    Built::here().unwrap_or_else(|error| panic!("{error}"))
}

/// A file that `make` has built, by its key in `build/ARCH/where`.
pub fn built(key: &str) -> PathBuf {
    all_built()
        .file(key)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The directory that `make` builds in.
pub fn build_folder() -> PathBuf {
    all_built().directory().to_owned()
}

/// The QEMU that `make` has built, linked with the devices of `qemu/test-devices.c` when a test first asks.
pub fn test_qemu() -> &'static Path {
    static QEMU: OnceLock<PathBuf> = OnceLock::new();
    QEMU.get_or_init(|| linked_qemu("tests"))
}

/// The same, with the devices in Rust under AddressSanitizer.
pub fn asan_qemu() -> &'static Path {
    static QEMU: OnceLock<PathBuf> = OnceLock::new();
    QEMU.get_or_init(|| linked_qemu("asan"))
}

/// The same, with the devices in Rust under ThreadSanitizer.
pub fn tsan_qemu() -> &'static Path {
    static QEMU: OnceLock<PathBuf> = OnceLock::new();
    QEMU.get_or_init(|| linked_qemu("tsan"))
}

fn linked_qemu(devices: &str) -> PathBuf {
    // BUILD/qemu/prefix/bin/NAME. BUILD may be another directory than the kernel's.
    let qemu = built("qemu");
    let build = qemu.ancestors().nth(4).expect("a build directory");
    let made = Command::new(root().join("scripts/build-extra.sh"))
        .arg(devices)
        .env("MY_RNG_BUILD", build)
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
