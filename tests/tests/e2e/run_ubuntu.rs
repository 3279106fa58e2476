// SPDX-License-Identifier: GPL-2.0-or-later

//! `vm/run-ubuntu.sh`: the options with which it starts QEMU. A script stands in for QEMU.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use my_rng_e2e::{build_folder, root, write_program};
use tempfile::TempDir;

/// A QEMU, a disk and a KVM to start with.
struct Place(TempDir);

impl Place {
    /// `probed` is the shell code that the QEMU runs when it is probed for KVM.
    fn new(probed: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *-nodefaults*) {probed} ;; esac\nprintf '%s\\n' \"$@\"\n"
        );
        write_program(Path::new(&place.path("qemu")), &script);
        // The beginning of a raw disk.
        place.write("disk", &[0; 4096]);
        place.write("kvm", b"");
        fs::create_dir(place.path("bin")).expect("a folder");
        let vm_run = build_folder().join("bin/vm-run");
        symlink(vm_run, place.path("bin/vm-run")).expect("a link");
        place
    }

    fn path(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.to_str().expect("a path of plain text").to_owned()
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).expect("a file");
    }

    fn run(&self, environment: &[(&str, &str)]) -> Output {
        Command::new(root().join("vm/run-ubuntu.sh"))
            .env("QEMU_BIN", self.path("qemu"))
            .env("MY_RNG_IMAGE", self.path("disk"))
            .env("MY_RNG_KVM", self.path("kvm"))
            .env("MY_RNG_BUILD", self.0.path())
            .env("XDG_CACHE_HOME", self.0.path())
            .env_remove("ACCEL")
            .env_remove("MY_RNG_FORMAT")
            .env_remove("MY_RNG_KERNEL")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(environment.iter().copied())
            .output()
            .expect("vm/run-ubuntu.sh can be run")
    }

    /// Returns QEMU's options. Nothing may be printed on stderr.
    fn options(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let run = self.run(environment);
        assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
        let text = String::from_utf8(run.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    fn error(&self, environment: &[(&str, &str)]) -> String {
        let run = self.run(environment);
        assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
        String::from_utf8(run.stderr).expect("text")
    }
}

fn value<'a>(options: &'a [String], option: &str) -> &'a str {
    let at = options.iter().position(|word| word == option);
    at.and_then(|at| options.get(at + 1))
        .unwrap_or_else(|| panic!("no {option} in {options:?}"))
}

const WORKS: &str = "exit 0";

#[test]
fn working_kvm_is_used() {
    let options = Place::new(WORKS).options(&[]);
    assert_eq!(value(&options, "-accel"), "kvm");
    assert_eq!(value(&options, "-cpu"), "host");
    assert_eq!(value(&options, "-device"), "my_rng");
}

/// If `make` has built a kernel, the probe boots it. The result is cached, also for `vm/run`.
#[test]
fn kernel_that_make_has_built_proves_that_kvm_works() {
    const PANICS: &str = "for word in \"$@\"; do case $word in
        file,id=console,path=*) echo 'Kernel panic - not syncing: x' >\"${word#*path=}\" ;;
        esac; done; exit 0";
    for (probed, accel) in [(PANICS, "kvm"), (WORKS, "tcg")] {
        let place = Place::new(probed);
        place.write("bzImage", b"");
        place.write("where", b"kernel=bzImage\n");
        assert_eq!(value(&place.options(&[]), "-accel"), accel);
        assert!(Path::new(&place.path("my_rng/accel")).exists());
    }
}

#[test]
fn launcher_is_built_by_cargo_if_make_has_not_built_it() {
    let place = Place::new(WORKS);
    let vm_run = build_folder().join("bin/vm-run");
    fs::remove_dir_all(place.path("bin")).expect("the folder");
    fs::create_dir(place.path("cargo-bin")).expect("a folder");
    let cargo = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift\nexec {} \"$@\"\n",
        vm_run.display()
    );
    write_program(Path::new(&place.path("cargo-bin/cargo")), &cargo);
    let path = std::env::var("PATH").expect("a PATH");
    let path = format!("{}:{path}", place.path("cargo-bin"));
    assert_eq!(value(&place.options(&[("PATH", &path)]), "-accel"), "kvm");
}

/// On some hosts QEMU starts on KVM, but not with the host's processor.
#[test]
fn broken_kvm_is_silently_replaced_by_tcg() {
    for probed in [
        "case \"$*\" in *host*) kill -ABRT $$ ;; esac; exit 0",
        "echo 'failed to set MSR' >&2; exit 1",
    ] {
        let options = Place::new(probed).options(&[]);
        assert_eq!(value(&options, "-accel"), "tcg", "{probed}");
        assert!(value(&options, "-cpu").starts_with("max,"), "{probed}");
    }
    let place = Place::new(WORKS);
    let no_kvm = place.path("none");
    let options = place.options(&[("MY_RNG_KVM", &no_kvm)]);
    assert_eq!(value(&options, "-accel"), "tcg");
}

#[test]
fn chosen_accelerator_is_not_probed() {
    let place = Place::new("exit 1");
    let options = place.options(&[("ACCEL", "kvm")]);
    assert_eq!(value(&options, "-accel"), "kvm");
    let options = Place::new(WORKS).options(&[("ACCEL", "tcg")]);
    assert_eq!(value(&options, "-accel"), "tcg");
    assert!(
        place
            .error(&[("ACCEL", "hvf")])
            .contains("auto, kvm and tcg")
    );
}

#[test]
fn format_of_the_disk_is_detected() {
    let place = Place::new(WORKS);
    let format = |wanted: &[(&str, &str)]| {
        let options = place.options(wanted);
        let drive = value(&options, "-drive").to_owned();
        drive.split(',').nth(1).expect("a format").to_owned()
    };
    assert_eq!(format(&[]), "format=raw");
    place.write("disk", b"QFI\xfb\0\0\0\x03");
    assert_eq!(format(&[]), "format=qcow2");
    assert_eq!(format(&[("MY_RNG_FORMAT", "vdi")]), "format=vdi");
}

#[test]
fn missing_file_is_named_with_the_variable_to_set() {
    let place = Place::new(WORKS);
    for (name, fix) in [
        ("QEMU_BIN", "QEMU_BIN= to yours"),
        ("MY_RNG_IMAGE", "MY_RNG_IMAGE= to yours"),
        ("MY_RNG_KERNEL", "MY_RNG_KERNEL= to yours"),
    ] {
        let error = place.error(&[(name, "/nonexistent")]);
        assert!(
            error.contains("/nonexistent") && error.contains(fix),
            "{error}"
        );
    }
}
