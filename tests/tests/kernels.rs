// SPDX-License-Identifier: GPL-2.0-or-later

//! `guest-module/Makefile` with the kernel that `make` has built, and with fake ones: which kernels it refuses, how it
//! says so, and which compiler it uses. Boots nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use my_rng_e2e::{built, root, write_program};
use tempfile::TempDir;

/// The compiler of the fake kernels.
const VERSION: &str = "rustc 1.90.0 (abcdef012 2025-09-18)";
const OTHER_VERSION: &str = "rustc 1.95.0 (59807616e 2026-04-14)";

/// The build directory of a fake kernel, and fake compilers.
struct Kernel(TempDir);

impl Kernel {
    fn new(release: &str, config: &str) -> Self {
        let kernel = Self(tempfile::tempdir().expect("a temporary directory"));
        for folder in [
            "kdir/include/config",
            "kdir/rust",
            "bin",
            "rustup/toolchains/x/bin",
            "out",
        ] {
            fs::create_dir_all(kernel.path(folder)).expect("a directory");
        }
        kernel.write(
            "kdir/include/config/kernel.release",
            &format!("{release}\n"),
        );
        kernel.write("kdir/include/config/auto.conf", config);
        kernel.write("kdir/rust/libkernel.rmeta", "");
        kernel.write(
            "kdir/Makefile",
            "modules modules_install clean:\n\
             \t@echo \"$@ RUSTC=$(RUSTC) M=$(M) MO=$(MO) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH)\"\n",
        );
        kernel
    }

    /// A kernel with Rust, of this release.
    fn with_rust(release: &str) -> Self {
        let config = format!("CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT={VERSION}\n");
        Self::new(release, &config)
    }

    /// A kernel that the driver can be built for.
    fn good() -> Self {
        Self::with_rust("7.3.4-test")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a file");
    }

    /// Adds a fake compiler of this version.
    fn compiler(&self, path: &str, version: &str) -> PathBuf {
        self.proxy(path, version, "nowhere")
    }

    /// Adds a fake compiler that is only a proxy: the real compiler is in `sysroot`, if that exists.
    fn proxy(&self, path: &str, version: &str, sysroot: &str) -> PathBuf {
        let (path, sysroot) = (self.path(path), self.path(sysroot));
        let sysroot = sysroot.display();
        write_program(
            &path,
            &format!(
                "#!/bin/sh\ncase $1 in --version) echo '{version}' ;; *) echo '{sysroot}' ;; esac\n"
            ),
        );
        path
    }

    fn make(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").expect("a PATH");
        make(&self.path("kdir"))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("RUSTUP_HOME", self.path("rustup"))
            .output()
            .expect("make can be run")
    }

    fn built(&self, arguments: &[&str]) -> String {
        output(self.make(arguments))
    }

    /// Checks that the module is built by this compiler.
    fn built_by(&self, compiler: &Path, arguments: &[&str]) -> String {
        let said = self.built(arguments);
        let expected = format!("modules RUSTC={} ", compiler.display());
        assert!(said.contains(&expected), "{said}");
        said
    }

    /// Checks that the module is not built, and that one line says why, with all these words.
    fn refused(&self, arguments: &[&str], words: &[&str]) {
        let made = self.make(arguments);
        assert!(!made.status.success());
        assert_eq!(String::from_utf8_lossy(&made.stdout), "");
        let errors = String::from_utf8(made.stderr).expect("text");
        // make itself adds a line about the command that failed.
        let said: Vec<&str> = errors
            .lines()
            .filter(|line| !line.starts_with("make: *** [Makefile:"))
            .collect();
        let [line] = said[..] else {
            panic!("not one line: {errors}");
        };
        for word in words {
            assert!(line.contains(word), "no {word}: {line}");
        }
    }
}

/// The output of a command that must succeed.
fn output(command: Output) -> String {
    let errors = String::from_utf8_lossy(&command.stderr);
    assert!(command.status.success(), "{errors}");
    String::from_utf8(command.stdout).expect("text")
}

/// `make` for the kernel in this directory.
fn make(kdir: &Path) -> Command {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "-s", "-C"])
        .arg(root().join("guest-module"))
        .arg(format!("KDIR={}", kdir.display()))
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("MAKEFLAGS");
    make
}

#[test]
fn module_is_built_and_installed_for_the_built_kernel() {
    let kernel = built("kernel");
    // OUT/arch/x86/boot/bzImage
    let kdir = kernel.ancestors().nth(4).expect("a directory");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (out, image) = (folder.path().join("out"), folder.path().join("image"));
    fs::create_dir(&out).expect("a directory");
    for target in ["modules", "modules_install"] {
        let made = make(kdir)
            .arg(target)
            .arg(format!("MO={}", out.display()))
            .env("INSTALL_MOD_PATH", &image)
            .output()
            .expect("make can be run");
        output(made);
    }
    let release = fs::read_to_string(kdir.join("include/config/kernel.release")).expect("a name");
    let modules = image.join("lib/modules").join(release.trim());
    assert!(modules.join("updates/my_rng.ko").is_file(), "{modules:?}");
}

#[test]
fn unsuitable_kernel_is_refused_in_one_sentence() {
    let rust = "CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=rustc 1.90.0\n";
    for (release, config, expected) in [
        (
            "6.12.57+deb13-amd64",
            rust,
            "Linux 6.12.57+deb13-amd64, and the driver needs 7.3 or newer",
        ),
        (
            "7.2.9",
            rust,
            "Linux 7.2.9, and the driver needs 7.3 or newer",
        ),
        (
            "7.3.4",
            "# CONFIG_RUST is not set\n",
            "was built with CONFIG_RUST",
        ),
        (
            "7.3.4",
            "CONFIG_RUST_IS_AVAILABLE=y\n",
            "was built with CONFIG_RUST",
        ),
        ("10.0.0", "", "was built with CONFIG_RUST"),
        ("7.3.4", "CONFIG_RUST=y\n", "was built with CONFIG_RUST"),
    ] {
        Kernel::new(release, config).refused(&[], &[expected]);
    }
}

#[test]
fn directory_without_a_built_kernel_is_refused() {
    let kernel = Kernel::good();
    for (file, expected) in [
        ("rust/libkernel.rmeta", "rust/libkernel.rmeta"),
        ("include/config/kernel.release", "holds no built kernel"),
        ("include/config/auto.conf", "holds no built kernel"),
    ] {
        fs::remove_file(kernel.path("kdir").join(file)).expect("a file");
        kernel.refused(&[], &[expected]);
    }
}

#[test]
fn module_is_built_by_the_compiler_of_the_kernel() {
    let kernel = Kernel::good();
    // The default compiler has another version.
    kernel.compiler("bin/rustc", OTHER_VERSION);
    let fix = "`rustup toolchain install 1.90.0`";
    kernel.refused(&[], &[VERSION, fix, "RUSTC="]);

    // A distribution's compiler, with its version in the name.
    let named = kernel.compiler("bin/rustc-1.90", VERSION);
    kernel.built_by(&named, &[]);
    fs::remove_file(named).expect("a file");

    // A compiler of rustup.
    let sysroot = "rustup/toolchains/x";
    let toolchain = kernel.proxy(&format!("{sysroot}/bin/rustc"), VERSION, sysroot);
    kernel.built_by(&toolchain, &[]);

    // rustup's proxy can run another compiler in another directory: the real compiler is used.
    kernel.proxy("bin/rustc", VERSION, sysroot);
    let out = kernel.path("out");
    let said = kernel.built_by(&toolchain, &[&format!("MO={}", out.display())]);
    assert!(said.contains(&format!("MO={} ", out.display())), "{said}");
}

#[test]
fn given_compiler_is_used() {
    let kernel = Kernel::good();
    let mine = kernel.compiler("elsewhere", VERSION);
    kernel.built_by(&mine, &[&format!("RUSTC={}", mine.display())]);
}

#[test]
fn given_compiler_of_another_version_is_refused() {
    let kernel = Kernel::good();
    // The right one is the default.
    kernel.compiler("bin/rustc", VERSION);
    let other = kernel.compiler("other", OTHER_VERSION);
    for given in [other.as_path(), Path::new("/nonexistent/rustc")] {
        let given = format!("RUSTC={}", given.display());
        let reason = format!("{given} is another compiler");
        kernel.refused(&[&given], &[&reason, VERSION]);
    }
}

#[test]
fn kernel_is_also_checked_if_a_compiler_is_given() {
    let kernel = Kernel::with_rust("7.2.9");
    let mine = kernel.compiler("elsewhere", VERSION);
    kernel.refused(&[&format!("RUSTC={}", mine.display())], &["Linux 7.2.9"]);
}

#[test]
fn only_a_built_module_is_installed() {
    let kernel = Kernel::good();
    let out = format!("MO={}", kernel.path("out").display());
    let arguments = ["modules_install", &out, "INSTALL_MOD_PATH=/image"];
    kernel.refused(&arguments, &["run make first"]);
    kernel.write("out/my_rng.ko", "");
    let said = kernel.built(&arguments);
    assert!(said.starts_with("modules_install "), "{said}");
    assert!(said.contains("INSTALL_MOD_PATH=/image"), "{said}");
}

#[test]
fn cleaning_needs_no_compiler() {
    let said = Kernel::good().built(&["clean"]);
    assert!(said.starts_with("clean RUSTC= "), "{said}");
}
