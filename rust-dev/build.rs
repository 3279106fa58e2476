// SPDX-License-Identifier: GPL-2.0-or-later

//! With the feature `qemu`: reads QEMU's own headers with bindgen and compiles, with cc, wrappers
//! of the inline functions that bindgen cannot call.

#[cfg(not(feature = "qemu"))]
fn main() {}

#[cfg(feature = "qemu")]
fn main() {
    if let Err(error) = qemu::generate() {
        // One sentence; a panic would bury it.
        println!("cargo::error={error}");
    }
}

#[cfg(feature = "qemu")]
mod qemu {
    use std::env;
    use std::path::{Path, PathBuf};

    use bindgen::Formatter;
    use serde::Deserialize;

    /// The directory in which QEMU is being built.
    const BUILD_DIR: &str = "QEMU_BUILD_DIR";
    /// The file that QEMU compiles with all that the glue needs too.
    const SHIM: &str = "hw/misc/my-rng.c";
    /// What the names of the shim's hooks begin with.
    const PREFIX: &str = "my_rng";
    const HEADER: &str = "src/qemu/wrapper.h";
    /// Where the shims of the other devices are, from the folder of that one.
    const DEVICES: &str = "my-rng/devices";

    /// An entry of `compile_commands.json`, which meson writes.
    #[derive(Deserialize)]
    struct CompileCommand {
        directory: PathBuf,
        command: String,
        file: PathBuf,
    }

    /// Where the shim is, and with what QEMU compiles it.
    struct Shim {
        folder: PathBuf,
        compiler: String,
        /// Include paths, defines and language standard, which bindgen needs too.
        flags: Vec<String>,
        /// What only a compiler that generates code is told.
        code_generation: Vec<String>,
    }

    type Result<T> = std::result::Result<T, String>;

    pub fn generate() -> Result<()> {
        println!("cargo::rerun-if-env-changed={BUILD_DIR}");
        let build_dir = PathBuf::from(env::var_os(BUILD_DIR).ok_or_else(|| {
            format!(
                "the feature `qemu` needs {BUILD_DIR}, the build directory of a configured QEMU \
                 tree with the overlay on it"
            )
        })?);
        let Shim {
            folder,
            compiler,
            flags,
            code_generation,
        } = shim(&build_dir)?;
        let (mut prefixes, mut headers) = (PREFIX.to_owned(), vec![HEADER.to_owned()]);
        for device in other_devices() {
            let name = device.replace('_', "-");
            let header = folder.join(DEVICES).join(&name).join(name + ".h");
            headers.push(header.display().to_string());
            prefixes = format!("{prefixes}|{device}");
        }

        let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
        let inlines = out_dir.join("inlines.c");
        bindgen::builder()
            .headers(headers)
            .clang_args(&flags)
            .allowlist_item(format!("(trace_)?({prefixes})_.*|seam_.*"))
            .allowlist_type("DeviceCategory|DeviceClass|MemoryRegionOps|PCIDevice|PCIDeviceClass")
            .allowlist_type("Property|ResettableClass|VMStateDescription|VMStateField|VMStateFlags")
            .allowlist_function("memory_region_init_io|pci_register_bar|qemu_log")
            .allowlist_function("qemu_loglevel_mask|qemu_guest_getrandom|set_bit")
            .allowlist_function("DEVICE_CLASS|PCI_DEVICE_CLASS|RESETTABLE_CLASS")
            .allowlist_function("error_setg_internal|error_report|error_free|visit_type_uint64")
            .allowlist_function("object_class_property_(add|find|set_description)")
            .allowlist_function("object_property_set_default_str")
            .allowlist_var(format!("TYPE_({})", prefixes.to_uppercase()))
            .allowlist_var("EINVAL|LOG_GUEST_ERROR|PCI_BASE_ADDRESS_SPACE_MEMORY")
            .allowlist_var(
                "qdev_prop_(bool|uint32|string)|vmstate_info_uint(8|32|64)|vmstate_pci_device",
            )
            .derive_default(true)
            .generate_comments(false)
            .layout_tests(true)
            .formatter(Formatter::None)
            .wrap_static_fns(true)
            // Two devices made this way may wrap the same functions.
            .wrap_static_fns_suffix(format!("__{PREFIX}"))
            .wrap_static_fns_path(&inlines)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .generate()
            .map_err(|error| format!("QEMU's headers could not be read: {error}"))?
            .write_to_file(out_dir.join("bindings.rs"))
            .map_err(|error| format!("the bindings could not be written: {error}"))?;

        let mut wrappers = cc::Build::new();
        wrappers.compiler(compiler);
        for flag in flags.iter().chain(&code_generation) {
            wrappers.flag(flag);
        }
        wrappers
            .include(".")
            .file(&inlines)
            .warnings(false)
            .try_compile("qemu_inlines")
            .map_err(|error| format!("QEMU's inline functions could not be compiled: {error}"))
    }

    /// The devices beside the first, by what the names of their hooks begin with: the features of this
    /// crate, except the one that names no device.
    fn other_devices() -> Vec<String> {
        let mut devices: Vec<_> = env::vars_os()
            .filter_map(|(name, _)| {
                let feature = name.to_str()?.strip_prefix("CARGO_FEATURE_")?;
                (feature != "QEMU").then(|| feature.to_lowercase())
            })
            .collect();
        devices.sort();
        devices
    }

    /// The shim, as QEMU's build knows it.
    fn shim(build_dir: &Path) -> Result<Shim> {
        let path = build_dir.join("compile_commands.json");
        println!("cargo::rerun-if-changed={}", path.display());
        let text = std::fs::read(&path)
            .map_err(|error| format!("{} could not be read: {error}", path.display()))?;
        let commands: Vec<CompileCommand> = serde_json::from_slice(&text)
            .map_err(|error| format!("{} is not as meson writes it: {error}", path.display()))?;
        let shim = commands
            .iter()
            .find(|command| command.file.ends_with(SHIM))
            .ok_or_else(|| {
                format!(
                    "{} does not compile {SHIM}: lay the overlay on QEMU's source and configure it",
                    path.display()
                )
            })?;
        let words = shlex::split(&shim.command)
            .ok_or_else(|| format!("{}: the shim's command has a loose quote", path.display()))?;

        // There may be a cache's name in front.
        let compiler = words
            .iter()
            .take_while(|word| !word.starts_with('-'))
            .last()
            .ok_or("the shim's command names no compiler")?
            .clone();
        let (mut flags, mut code_generation) = (Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-isystem" | "-iquote" | "-I" => {
                    let dir = words
                        .next()
                        .ok_or("the shim's command ends in the middle")?;
                    flags.push(word.clone());
                    flags.push(absolute(&shim.directory, dir));
                }
                _ => match word.strip_prefix("-I") {
                    Some(dir) => flags.push(format!("-I{}", absolute(&shim.directory, dir))),
                    None if word.starts_with("-D") || word.starts_with("-std=") => {
                        flags.push(word.clone());
                    }
                    // Sanitizers have files of their own, at places that are not ours to know. And cargo
                    // takes plain object files only, not the intermediate code of a compiler's LTO.
                    None if word.starts_with("-fsanitize") || word.starts_with("-flto") => {}
                    None if word.starts_with("-f") || word.starts_with("-m") => {
                        code_generation.push(word.clone());
                    }
                    None => {}
                },
            }
        }
        // The shim's own header stands beside it.
        let mut folder = shim.directory.join(&shim.file);
        folder.pop();
        flags.push(format!("-I{}", folder.display()));
        Ok(Shim {
            folder,
            compiler,
            flags,
            code_generation,
        })
    }

    fn absolute(directory: &Path, path: &str) -> String {
        directory.join(path).display().to_string()
    }
}
