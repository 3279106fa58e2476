// SPDX-License-Identifier: GPL-2.0-or-later

//! Creates a new device from the kit's example, and the crate for it if there is none.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::repository::{LIST, Repository, devices};
use crate::tree::read;

/// The example that new devices are copied from.
const MODEL: &str = include_str!("../../rust-dev/qemu-pci/examples/one_register.rs");
const TRACE_EVENTS: &str =
    include_str!("../../rust-dev/qemu-pci/examples/one_register/trace-events");
/// The example's names.
const MODEL_NAMES: [&str; 2] = ["one_register", "OneRegister"];
/// The path of the example's trace events.
const MODEL_TRACE_EVENTS: &str = "examples/one_register/trace-events";

/// Creates the device `name` in the crate in `dir`. If there is no crate, creates it with the kit from `kit`, a git URL or
/// the directory of a clone. Returns the files that were created or changed. After an error nothing is written.
pub fn make(name: &str, dir: &Path, kit: &str) -> Result<Vec<PathBuf>> {
    check_name(name)?;
    let mut files = Vec::new();
    let (krate, overlay, mut list) = if dir.join("Cargo.toml").exists() {
        let repository = Repository::open(dir)?;
        let krate = repository.root.join(&repository.krate);
        let list = String::from_utf8(read(&krate.join(LIST))?)?;
        (krate, repository.overlay, list)
    } else {
        let krate = std::path::absolute(dir)?;
        files = crate_files(&krate, kit)?;
        (krate.clone(), krate.join("overlay"), EMPTY_LIST.to_owned())
    };
    if devices(&list).any(|device| device == name) {
        bail!(
            "{} already lists {name}: choose another name",
            krate.join(LIST).display()
        );
    }

    let dashed = name.replace('_', "-");
    let trace_events = overlay.join("hw/misc").join(&dashed).join("trace-events");
    let model = renamed(MODEL, name).replace(
        &renamed(MODEL_TRACE_EVENTS, name),
        &relative(&krate, &trace_events).display().to_string(),
    );
    let shim = format!(
        "/* SPDX-License-Identifier: GPL-2.0-or-later */\n\n#include \"hw/misc/qemu-pci/qemu-pci.h\"\n\n\
         QEMU_PCI_DEVICE({name})\n"
    );
    files.extend([
        (krate.join(format!("src/devices/{name}.rs")), model),
        (overlay.join(format!("hw/misc/{dashed}.c")), shim),
        (trace_events, renamed(TRACE_EVENTS, name)),
    ]);
    let folders = [
        krate.join("src/devices").join(name),
        overlay.join("hw/misc").join(&dashed),
    ];
    for path in files.iter().map(|(path, _)| path).chain(&folders) {
        if path.exists() {
            bail!(
                "{} already exists: choose another name, or move it away",
                path.display()
            );
        }
    }
    if !list.is_empty() && !list.ends_with('\n') {
        list.push('\n');
    }
    list.push_str(&format!("pub mod {name};\n"));
    files.push((krate.join(LIST), list));
    for (path, text) in &files {
        write(path, text).with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(fs::write(path, text)?)
}

/// Fails if a device cannot have this name.
fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        bail!(
            "`{name}` is not a valid device name: use lower-case letters, digits and `_`, with a letter first"
        );
    }
    if KEYWORDS.split(' ').any(|word| word == name) {
        bail!("`{name}` is a keyword of Rust or a macro of C: choose another name");
    }
    if ["qemu_pci", "qemu_pci_devices"].contains(&name) {
        bail!("`{name}` is the name of the kit's directory in QEMU's tree: choose another name");
    }
    Ok(())
}

/// Rust's keywords, which cannot be module names, and two C macros.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false \
    final fn for gen if impl in let linux loop macro match mod move mut override priv pub ref return self static \
    struct super trait true try type typeof unix unsafe unsized use virtual where while yield";

/// The files of a new crate, except its list and its devices.
fn crate_files(krate: &Path, kit: &str) -> Result<Vec<(PathBuf, String)>> {
    let (crate_of_kit, build_of_kit) = if kit.contains("://") {
        let git = format!("git = {}", quoted(kit));
        (git.clone(), git)
    } else {
        let folder = Path::new(kit).join("rust-dev/qemu-pci");
        let folder = folder.canonicalize().with_context(|| {
            format!("{kit} is not a clone of the kit's repository: set --kit to its git URL or to a clone's directory")
        })?;
        let path = |folder: &Path| format!("path = {}", quoted(&folder.display().to_string()));
        (path(&folder), path(&folder.join("build")))
    };
    let name = krate.file_name().unwrap_or_default().to_string_lossy();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let name = name.trim_matches(|c: char| !c.is_ascii_alphabetic());
    let name = format!("{name}{}devices", if name.is_empty() { "" } else { "-" });
    let manifest = format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
rust-version = "1.85"
license = "GPL-2.0-or-later"
publish = false

[lib]
crate-type = ["staticlib", "lib"]

[features]
# The connection to QEMU, which QEMU's own build switches on. Without it the devices build, and are tested, on any
# machine.
qemu = ["qemu-pci/qemu", "dep:qemu-pci-build"]

[dependencies]
qemu-pci = {{ {crate_of_kit} }}

[build-dependencies]
qemu-pci-build = {{ {build_of_kit}, optional = true }}

[lints.rust]
unsafe_code = "deny"

# A panic must never unwind into QEMU's C.
[profile.dev]
panic = "abort"

[profile.release]
panic = "abort"
codegen-units = 1
# Source lines for gdb on QEMU.
debug = "line-tables-only"

[workspace]
"#
    );
    let mut files = Vec::new();
    for (path, text) in [
        ("Cargo.toml", manifest.as_str()),
        ("build.rs", BUILD),
        ("src/lib.rs", LIBRARY),
        ("Kconfig", KCONFIG),
        (".gitignore", "/target\n"),
    ] {
        let path = krate.join(path);
        // The directory may already be a new git repository.
        if !(path.ends_with(".gitignore") && path.exists()) {
            files.push((path, text.to_owned()));
        }
    }
    Ok(files)
}

const BUILD: &str = r#"// SPDX-License-Identifier: GPL-2.0-or-later

//! With the feature `qemu`: compiles the C that the devices' trace events need.

fn main() {
    #[cfg(feature = "qemu")]
    qemu_pci_build::devices();
}
"#;

const LIBRARY: &str = "\
// SPDX-License-Identifier: GPL-2.0-or-later

//! PCI devices for QEMU.

pub mod devices;
";

const EMPTY_LIST: &str = "\
// SPDX-License-Identifier: GPL-2.0-or-later

//! The devices of this library, a line each. QEMU's build reads this list too.

";

const KCONFIG: &str = "\
# SPDX-License-Identifier: GPL-2.0-or-later

# The switches of the devices. A device without a switch is built wherever PCI is. One that is off by default:
#
# config MY_DEVICE
#     bool
#     depends on PCI
";

/// Returns the text as a TOML string.
fn quoted(text: &str) -> String {
    toml_edit::value(text).to_string()
}

/// Returns a text of the example with the names of the device `name`.
fn renamed(text: &str, name: &str) -> String {
    let mut camel = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    let [snake_case, camel_case] = MODEL_NAMES;
    text.replace(snake_case, name).replace(camel_case, &camel)
}

/// The path from the folder `from` to `to`, both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .ancestors()
        .find(|above| to.starts_with(above))
        .unwrap_or(from);
    let up = from
        .strip_prefix(common)
        .into_iter()
        .flatten()
        .map(|_| Path::new(".."));
    up.chain(to.strip_prefix(common)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{make, relative};
    use crate::repository::Repository;

    /// This repository.
    const KIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path, text);
            }
        }
        found
    }

    #[test]
    fn a_repository_is_made_with_its_first_device_and_gets_more() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("2 cards!");
        make("first_one", &dir, KIT).unwrap();
        let made = make("other", &dir, KIT).unwrap();
        assert_eq!(
            made.iter()
                .map(|path| path.strip_prefix(&dir).unwrap().to_str().unwrap())
                .collect::<Vec<_>>(),
            [
                "src/devices/other.rs",
                "overlay/hw/misc/other.c",
                "overlay/hw/misc/other/trace-events",
                "src/devices.rs",
            ]
        );
        let files = files(&dir);
        let text = |path: &str| files[&dir.join(path)].as_str();
        assert!(text("src/devices.rs").ends_with("\n\npub mod first_one;\npub mod other;\n"));
        assert!(text("overlay/hw/misc/first-one.c").ends_with("\nQEMU_PCI_DEVICE(first_one)\n"));
        assert!(text("overlay/hw/misc/first-one/trace-events").contains("\nfirst_one_read("));
        let model = text("src/devices/first_one.rs");
        assert!(model.contains("device! { first_one: FirstOne {"), "{model}");
        assert!(
            model.contains("(\"overlay/hw/misc/first-one/trace-events\")"),
            "{model}"
        );
        for (path, text) in &files {
            let left = text
                .to_lowercase()
                .replace('-', "_")
                .contains("one_register");
            assert!(!left, "{} names the model", path.display());
        }
        let manifest = text("Cargo.toml");
        assert!(
            manifest.contains("name = \"cards-devices\"\n"),
            "{manifest}"
        );
        assert!(
            manifest.contains("\nunsafe_code = \"deny\"\n"),
            "{manifest}"
        );
    }

    #[test]
    fn a_device_is_added_to_a_crate_with_its_overlay_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("crate");
        make("one", &dir, KIT).unwrap();
        fs::rename(dir.join("overlay"), folder.path().join("for-qemu")).unwrap();
        let mut manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
        manifest.push_str("\n[package.metadata.qemu-pci]\noverlay = \"../for-qemu\"\n");
        fs::write(dir.join("Cargo.toml"), manifest).unwrap();
        // A list without a final newline.
        fs::write(dir.join("src/devices.rs"), "pub mod one;").unwrap();
        make("two", &dir, KIT).unwrap();
        assert_eq!(
            fs::read_to_string(dir.join("src/devices.rs")).unwrap(),
            "pub mod one;\npub mod two;\n"
        );
        assert!(folder.path().join("for-qemu/hw/misc/two.c").exists());
        let model = fs::read_to_string(dir.join("src/devices/two.rs")).unwrap();
        assert!(
            model.contains("(\"../for-qemu/hw/misc/two/trace-events\")"),
            "{model}"
        );
        assert_eq!(Repository::open(&dir).unwrap().devices, ["one", "two"]);
    }

    #[test]
    fn failed_new_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        make("one", folder.path(), KIT).unwrap();
        fs::create_dir(folder.path().join("src/devices/folder")).unwrap();
        fs::write(folder.path().join("src/devices/folder/mod.rs"), "").unwrap();
        fs::write(folder.path().join("overlay/hw/misc/shim.c"), "").unwrap();
        let before = files(folder.path());
        for (name, why) in [
            ("", "lower-case letters, digits and `_`"),
            ("My_card", "lower-case letters, digits and `_`"),
            ("my-card", "lower-case letters, digits and `_`"),
            ("2cards", "lower-case letters, digits and `_`"),
            ("_card", "lower-case letters, digits and `_`"),
            ("k\u{e4}rtchen", "lower-case letters, digits and `_`"),
            ("box", "is a keyword"),
            ("yield", "is a keyword"),
            ("linux", "a macro of C"),
            ("qemu_pci", "the kit's directory"),
            ("one", "already lists one"),
            ("folder", "src/devices/folder already exists"),
            ("shim", "hw/misc/shim.c already exists"),
        ] {
            let error = make(name, folder.path(), KIT).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
            assert_eq!(files(folder.path()), before);
        }
        let dir = folder.path().join("new");
        let error = make("two", &dir, "/nowhere").unwrap_err().to_string();
        assert!(
            error.contains(
                "/nowhere is not a clone of the kit's repository: set --kit to its git URL"
            ),
            "{error}"
        );
        assert!(!dir.exists());
    }

    #[test]
    fn paths_lead_from_one_folder_to_another() {
        for (from, to, expected) in [
            ("/a/b", "/a/b/c", "c"),
            ("/a/b", "/a/c/d", "../c/d"),
            ("/a", "/b", "../b"),
        ] {
            assert_eq!(relative(from.as_ref(), to.as_ref()), Path::new(expected));
        }
    }
}
