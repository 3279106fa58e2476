// SPDX-License-Identifier: GPL-2.0-or-later

//! What the build scripts of the kit and of device crates share: the compiler and flags of QEMU's build, and the
//! calls of the devices' trace events.

mod trace;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Why a build script cannot go on, in one sentence.
pub type Result<T> = std::result::Result<T, String>;

/// The directory in which QEMU is being built.
const BUILD_DIR: &str = "QEMU_BUILD_DIR";
/// A file that every QEMU with PCI compiles, with the flags that a device needs.
const MODEL: &str = "hw/pci/pci.c";

/// A configured QEMU tree, and how it compiles the C code of a device.
#[derive(Debug)]
pub struct Qemu {
    /// The root of its source.
    pub source: PathBuf,
    /// Include paths, defines and language standard, which bindgen needs too.
    flags: Vec<String>,
    compiler: String,
    /// Flags for generating code, which bindgen does not need.
    code_generation: Vec<String>,
}

/// An entry of `compile_commands.json`, which meson writes.
#[derive(Deserialize)]
struct CompileCommand {
    directory: PathBuf,
    command: String,
    file: PathBuf,
}

impl Qemu {
    /// The tree that the environment variable `QEMU_BUILD_DIR` leads to.
    ///
    /// # Errors
    ///
    /// When the variable is not set, or the tree is not configured.
    pub fn find() -> Result<Self> {
        println!("cargo::rerun-if-env-changed={BUILD_DIR}");
        let build_dir = env::var_os(BUILD_DIR).ok_or_else(|| {
            format!(
                "the feature `qemu` needs {BUILD_DIR}: set it to the build directory of a configured \
                 QEMU tree with the overlay on it"
            )
        })?;
        let path = Path::new(&build_dir).join("compile_commands.json");
        println!("cargo::rerun-if-changed={}", path.display());
        let text = std::fs::read(&path)
            .map_err(|error| format!("{} could not be read: {error}", path.display()))?;
        let commands: Vec<CompileCommand> = serde_json::from_slice(&text)
            .map_err(|error| format!("{} is not as meson writes it: {error}", path.display()))?;
        let command = commands
            .iter()
            .find(|command| command.file.ends_with(MODEL));
        let command = command.ok_or_else(|| {
            format!(
                "{} does not compile {MODEL}: configure QEMU for a target with PCI",
                path.display()
            )
        })?;
        let words = shlex::split(&command.command).ok_or_else(|| {
            format!(
                "{}: the command for {MODEL} has a loose quote",
                path.display()
            )
        })?;
        let mut source = command.directory.join(&command.file);
        for _ in Path::new(MODEL).components() {
            source.pop();
        }
        Self::from_command(source, &command.directory, &words)
            .ok_or_else(|| format!("{}: the command for {MODEL} is incomplete", path.display()))
    }

    fn from_command(source: PathBuf, directory: &Path, words: &[String]) -> Option<Self> {
        let absolute = |path: &str| directory.join(path).display().to_string();
        // There may be a cache's name in front.
        let compiler = words
            .iter()
            .take_while(|word| !word.starts_with('-'))
            .last()?;
        let (mut flags, mut code_generation) = (Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-isystem" | "-iquote" | "-I" => {
                    flags.extend([word.clone(), absolute(words.next()?)]);
                }
                word if word.starts_with("-I") => {
                    flags.push(format!("-I{}", absolute(word.strip_prefix("-I")?)));
                }
                word if ["-D", "-std=", "--sysroot=", "--target="]
                    .iter()
                    .any(|start| word.starts_with(start)) =>
                {
                    flags.push(word.to_owned());
                }
                // Sanitizers have files of their own, at places that are not ours to know. And cargo takes plain
                // object files only, not the intermediate code of a compiler's LTO.
                word if word.starts_with("-fsanitize") || word.starts_with("-flto") => {}
                word if word.starts_with("-f") || word.starts_with("-m") => {
                    code_generation.push(word.to_owned());
                }
                _ => {}
            }
        }
        Some(Self {
            source,
            flags,
            compiler: compiler.clone(),
            code_generation,
        })
    }

    /// The flags with which clang reads QEMU's headers as the compiler does.
    ///
    /// # Errors
    ///
    /// In a cross build, when the compiler does not say where it looks for headers.
    pub fn clang_flags(&self) -> Result<Vec<String>> {
        let mut flags = self.flags.clone();
        // clang knows where this machine's headers are, but not where a cross compiler has its own.
        if env::var_os("TARGET") != env::var_os("HOST") {
            flags.push("-nostdlibinc".to_owned());
            for folder in self.header_folders()? {
                // Behind those of clang itself.
                flags.extend(["-idirafter".to_owned(), folder]);
            }
        }
        Ok(flags)
    }

    /// The folders in which the compiler looks for system headers.
    fn header_folders(&self) -> Result<Vec<String>> {
        let compiler = &self.compiler;
        let output = Command::new(compiler)
            .args(&self.flags)
            .args(["-E", "-v", "-x", "c", "/dev/null"])
            .env("LC_ALL", "C")
            .output()
            .map_err(|error| format!("{compiler} could not be run: {error}"))?;
        let log = String::from_utf8_lossy(&output.stderr);
        listed_folders(&log)
            .ok_or_else(|| format!("{compiler} -E -v does not say where headers are: {log}"))
    }

    /// Compiles C files into a library that the crate links.
    ///
    /// # Errors
    ///
    /// When the compiler refuses them.
    pub fn compile(&self, library: &str, files: &[PathBuf]) -> Result<()> {
        let mut build = cc::Build::new();
        build.compiler(&self.compiler).warnings(false);
        // cc would add one for the sake of gdb.
        build.force_frame_pointer(false);
        for flag in self.flags.iter().chain(&self.code_generation) {
            build.flag(flag);
        }
        build
            .files(files)
            .try_compile(library)
            .map_err(|error| format!("{library} could not be compiled: {error}"))
    }
}

/// The folders that a compiler lists when it is asked to be verbose.
fn listed_folders(log: &str) -> Option<Vec<String>> {
    let (_, list) = log.split_once("#include <...> search starts here:\n")?;
    let (list, _) = list.split_once("End of search list.")?;
    Some(list.lines().map(|line| line.trim().to_owned()).collect())
}

/// The directory for a build script's output, `OUT_DIR`.
///
/// # Errors
///
/// Outside of a build script.
pub fn out_dir() -> Result<PathBuf> {
    let folder = env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?;
    Ok(PathBuf::from(folder))
}

/// Ends a build script with an error of one sentence. A panic would hide it in a backtrace.
pub fn report(result: Result<()>) {
    if let Err(error) = result {
        println!("cargo::error={error}");
    }
}

/// The whole build script of a device crate with the feature `qemu`: compiles the calls of the trace events of all
/// devices in `src/devices.rs`.
pub fn devices() {
    report(trace::compile());
}

#[cfg(test)]
mod tests {
    use super::listed_folders;

    #[test]
    fn header_folders_are_read_from_what_the_compiler_says() {
        let log = "ignoring nonexistent directory \"/usr/local/include\"\n#include \"...\" search starts here:\n .\n\
            #include <...> search starts here:\n /usr/lib/gcc-cross/include\n /usr/include\nEnd of search list.\n";
        let folders = ["/usr/lib/gcc-cross/include", "/usr/include"];
        assert_eq!(listed_folders(log).unwrap(), folders);
        assert_eq!(listed_folders("no such list\n"), None);
    }
}
