// SPDX-License-Identifier: GPL-2.0-or-later

//! `vm/run-ubuntu.sh`: with which options it starts QEMU, for which a script stands in here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use my_rng_e2e::{root, write_program};
use tempfile::TempDir;

/// A QEMU, a disk and a KVM to start with.
struct Place(TempDir);

impl Place {
    /// The script is what QEMU does when it is asked to prove that KVM works.
    fn new(probed: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *-nodefaults*) {probed} ;; esac\nprintf '%s\\n' \"$@\"\n"
        );
        write_program(Path::new(&place.path("qemu")), &script);
        // As a disk with a file system on it.
        place.write("disk", &[0; 4096]);
        place.write("kvm", b"");
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
            .env_remove("ACCEL")
            .env_remove("MY_RNG_FORMAT")
            .env_remove("MY_RNG_KERNEL")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(environment.iter().copied())
            .output()
            .expect("vm/run-ubuntu.sh can be run")
    }

    /// The options that QEMU is started with, if nothing is complained of.
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
fn a_kvm_that_works_is_used() {
    let options = Place::new(WORKS).options(&[]);
    assert_eq!(value(&options, "-accel"), "kvm");
    assert_eq!(value(&options, "-cpu"), "host");
    assert_eq!(value(&options, "-device"), "my_rng");
}

/// There are hosts where QEMU starts on KVM, but for the processor that the guest is to have.
#[test]
fn a_kvm_that_crashes_is_left_alone_without_a_word() {
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
fn a_wish_is_not_probed() {
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
fn the_format_of_the_disk_is_told() {
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
fn what_is_missing_is_named() {
    let place = Place::new(WORKS);
    for (name, mend) in [
        ("QEMU_BIN", "QEMU_BIN= with yours"),
        ("MY_RNG_IMAGE", "MY_RNG_IMAGE= with yours"),
        ("MY_RNG_KERNEL", "MY_RNG_KERNEL= with yours"),
    ] {
        let error = place.error(&[(name, "/nonexistent")]);
        assert!(
            error.contains("/nonexistent") && error.contains(mend),
            "{error}"
        );
    }
}
