// SPDX-License-Identifier: GPL-2.0-or-later

//! `qemu-overlay new` creates a repository with the kit as a git dependency, and cargo builds and tests it.

#![allow(clippy::unwrap_used)]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command prints.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

fn git(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let mut git = Command::new("git");
    // Whatever repository the test is run from, and whatever the user has configured.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(folder);
    git.args([
        "-c",
        "user.name=nobody",
        "-c",
        "user.email=nobody@localhost",
    ]);
    output(git.args(arguments))
}

/// A git repository with the kit of this checkout.
fn kit(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![PathBuf::from("rust-dev"), "qemu-8.2.9-overlay/hw".into()];
    let mut files = vec![PathBuf::from("Cargo.toml")];
    while let Some(path) = folders.pop() {
        fs::create_dir_all(folder.join(&path)).unwrap();
        for entry in fs::read_dir(root.join(&path)).unwrap() {
            let entry = entry.unwrap();
            let path = path.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    for file in files {
        fs::copy(root.join(&file), folder.join(&file)).unwrap();
    }
    git(folder, ["init", "--quiet"]);
    git(folder, ["add", "--all"]);
    git(folder, ["commit", "--quiet", "--message", "The kit"]);
}

#[test]
fn a_new_repository_is_built_and_tested_with_the_kit_from_git() {
    let folder = tempfile::tempdir().unwrap();
    let (url, devices) = (folder.path().join("kit"), folder.path().join("devices"));
    fs::create_dir(&url).unwrap();
    kit(&url);
    let url = format!("file://{}", url.display());
    let overlay = |arguments: &[&str], path: &Path| {
        let mut overlay = Command::new(env!("CARGO_BIN_EXE_qemu-overlay"));
        overlay.args(arguments).arg(path);
        overlay.env("CARGO_HOME", cargo_home(folder.path()));
        output(&mut overlay)
    };
    for name in ["one", "the_other"] {
        overlay(&["new", name, "--kit", &url, "--devices"], &devices);
        // The versions of this checkout, which are already downloaded: no registry is needed.
        fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"),
            devices.join("Cargo.lock"),
        )
        .unwrap();
    }

    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(&devices);
        cargo.env("CARGO_HOME", cargo_home(folder.path()));
        cargo.env("CARGO_TARGET_DIR", folder.path().join("target"));
        output(&mut cargo)
    };
    // Takes the kit from its repository.
    cargo(&["check", "--all-targets"]);
    let said = cargo(&["test", "--offline", "--locked"]);
    for test in [
        "one::tests::each_read_counts ... ok",
        "the_other::tests::trace_events_file_is_up_to_date ... ok",
    ] {
        assert!(said.contains(test), "{said}");
    }

    // The files for QEMU's tree come from the same kit that cargo builds with.
    let tree = folder.path().join("qemu");
    for (file, text) in [
        ("VERSION", "8.2.9\n"),
        ("include/qemu/osdep.h", ""),
        ("meson.build", "subdir('trace')\n"),
        ("hw/misc/Kconfig", ""),
        ("hw/misc/meson.build", ""),
        ("tests/qtest/meson.build", "qtests_x86_64 = qtests_i386\n"),
    ] {
        let path = tree.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let devices = devices.display().to_string();
    overlay(&["apply", "--devices", &devices], &tree);
    let kit = tree.join("hw/misc/qemu-pci");
    let checkouts = folder
        .path()
        .join("cargo/git/checkouts")
        .canonicalize()
        .unwrap();
    assert!(kit.join("qemu-pci.h").exists());
    assert!(kit.canonicalize().unwrap().starts_with(&checkouts));
    assert!(tree.join("hw/misc/the-other/trace-events").exists());
    overlay(&["apply", "--copy", "--devices", &devices], &tree);
    assert!(!kit.is_symlink() && kit.join("qemu-pci.h").exists());
    overlay(&["remove"], &tree);
    assert_eq!(fs::read_dir(tree.join("hw/misc")).unwrap().count(), 2);
}

/// A CARGO_HOME with the user's downloaded crates, but its own git repositories.
fn cargo_home(folder: &Path) -> PathBuf {
    let home = folder.join("cargo");
    if !home.exists() {
        fs::create_dir(&home).unwrap();
        let users = env::var_os("CARGO_HOME").map(PathBuf::from);
        let users = users
            .or_else(|| Some(env::home_dir()?.join(".cargo")))
            .unwrap();
        for name in ["registry", "config.toml"] {
            if users.join(name).exists() {
                symlink(users.join(name), home.join(name)).unwrap();
            }
        }
    }
    home
}
