// SPDX-License-Identifier: GPL-2.0-or-later

//! With the feature `qemu`: compiles the fake host, and the device's real shim, as QEMU's build compiles
//! the shim. `CFLAGS` are added, so that a sanitizer can come with them.

#[cfg(not(feature = "qemu"))]
fn main() {}

#[cfg(feature = "qemu")]
fn main() {
    if let Err(error) = qemu::compile() {
        // One sentence; a panic would bury it.
        println!("cargo::error={error}");
    }
}

#[cfg(feature = "qemu")]
mod qemu {
    use std::env;
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    /// The directory in which QEMU is being built.
    const BUILD_DIR: &str = "QEMU_BUILD_DIR";
    const SHIM: &str = "hw/misc/my-rng.c";
    const FAKE_HOST: &str = "fake-host/fake-host.c";

    pub fn compile() -> Result<(), String> {
        println!("cargo::rerun-if-env-changed={BUILD_DIR}");
        println!("cargo::rerun-if-changed=fake-host");
        let build_dir = PathBuf::from(env::var_os(BUILD_DIR).ok_or_else(|| {
            format!(
                "the feature `qemu` needs {BUILD_DIR}, the build directory of a configured QEMU \
                 tree with the overlay on it"
            )
        })?);
        let commands = build_dir.join("compile_commands.json");
        println!("cargo::rerun-if-changed={}", commands.display());
        let (shim, flags) = shim(&commands).ok_or_else(|| {
            format!(
                "{} does not compile {SHIM}: lay the overlay on QEMU's source and configure it",
                commands.display()
            )
        })?;
        println!("cargo::rerun-if-changed={}", shim.display());

        let mut build = cc::Build::new();
        for flag in &flags {
            build.flag(flag);
        }
        // Both as QEMU's headers are used everywhere: with warnings that are theirs.
        let objects = build
            .files([Path::new(FAKE_HOST), &shim])
            .include(shim.parent().unwrap_or(Path::new(".")))
            .warnings(false)
            .extra_warnings(false)
            .try_compile_intermediates()
            .map_err(|error| format!("the fake host could not be compiled: {error}"))?;
        // As objects: from a library the linker would take the shim for unused.
        for object in objects {
            println!("cargo::rustc-link-arg-tests={}", object.display());
        }
        Ok(())
    }

    /// The shim, and with what QEMU's build compiles it, without what tells where the result goes.
    fn shim(commands: &Path) -> Option<(PathBuf, Vec<String>)> {
        let commands: Value = serde_json::from_slice(&std::fs::read(commands).ok()?).ok()?;
        let entry = commands
            .as_array()?
            .iter()
            .find(|entry| matches!(entry["file"].as_str(), Some(file) if file.ends_with(SHIM)))?;
        let directory = Path::new(entry["directory"].as_str()?);
        let mut flags = Vec::new();
        let mut words = shlex::split(entry["command"].as_str()?)?.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-isystem" | "-iquote" | "-I" => {
                    flags.push(word);
                    flags.push(directory.join(words.next()?).display().to_string());
                }
                _ => match word.strip_prefix("-I") {
                    Some(path) => flags.push(format!("-I{}", directory.join(path).display())),
                    // As in the device's own build.rs.
                    None if word.starts_with("-flto") => {}
                    None if ["-D", "-std=", "-f", "-m"]
                        .iter()
                        .any(|start| word.starts_with(start)) =>
                    {
                        flags.push(word);
                    }
                    None => {}
                },
            }
        }
        Some((directory.join(entry["file"].as_str()?), flags))
    }
}
