// SPDX-License-Identifier: GPL-2.0-or-later

//! `vm/run-ubuntu.sh`: the options with which it starts QEMU. A script stands in for QEMU.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use my_rng_e2e::{build_folder, root, write_program};
use my_rng_vm::Arch;
use tempfile::TempDir;

/// The script's variables, which these tests set themselves.
const VARIABLES: [&str; 15] = [
    "ACCEL",
    "DISPLAY",
    "MY_RNG_ARCH",
    "MY_RNG_BESIDE",
    "MY_RNG_CLOUD",
    "MY_RNG_DISK",
    "MY_RNG_FORMAT",
    "MY_RNG_KERNEL",
    "MY_RNG_LOGIN",
    "MY_RNG_PASSWORD",
    "MY_RNG_ROOT",
    "MY_RNG_SNAPSHOT",
    "MY_RNG_SSH",
    "MY_RNG_UEFI",
    "WAYLAND_DISPLAY",
];

/// A QEMU, a disk and a KVM to start with.
struct Place(TempDir);

impl Place {
    /// `probed` is the shell code that the QEMU runs when it is probed for KVM.
    fn new(probed: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *-nodefaults*) {probed} ;; '-netdev help') echo user; exit ;; esac\n\
             printf '%s\\n' \"$@\"\n"
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
        let mut script = Command::new(root().join("vm/run-ubuntu.sh"));
        for name in VARIABLES {
            script.env_remove(name);
        }
        script
            .env("HOME", self.0.path())
            .env("QEMU_BIN", self.path("qemu"))
            .env("MY_RNG_IMAGE", self.path("disk"))
            .env("MY_RNG_KVM", self.path("kvm"))
            .env("MY_RNG_BUILD", self.0.path())
            .env("XDG_CACHE_HOME", self.0.path())
            .envs(environment.iter().copied())
            .output()
            .expect("vm/run-ubuntu.sh can be run")
    }

    /// Returns QEMU's options. Nothing may be printed on stderr.
    fn options(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let (options, said) = self.options_and_messages(environment);
        assert_eq!(said, "");
        options
    }

    fn options_and_messages(&self, environment: &[(&str, &str)]) -> (Vec<String>, String) {
        let run = self.run(environment);
        assert!(run.status.success(), "{run:?}");
        let text = String::from_utf8(run.stdout).expect("text");
        let said = String::from_utf8(run.stderr).expect("text");
        (text.lines().map(str::to_owned).collect(), said)
    }

    /// The files of the disk `disk`, beside the disk.
    fn beside(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .expect("the folder")
            .map(|entry| {
                entry
                    .expect("a file")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .filter(|name| name.starts_with("disk."))
            .collect();
        names.sort();
        names
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
        let arch = Arch::host().expect("one that has guests").to_string();
        fs::create_dir(place.path(&arch)).expect("a folder");
        place.write(&format!("{arch}/where"), b"kernel=bzImage\n");
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

#[test]
fn disk_is_virtio_or_ide() {
    let place = Place::new(WORKS);
    place.write("bzImage", b"");
    let kernel = place.path("bzImage");
    let of = |disk, root| {
        let options = place.options(&[
            ("MY_RNG_ARCH", "x86_64"),
            ("MY_RNG_DISK", disk),
            ("MY_RNG_KERNEL", &kernel),
            ("MY_RNG_ROOT", root),
        ]);
        let interface = value(&options, "-drive").split(',').next_back();
        let append = value(&options, "-append").split(' ').next();
        (
            interface.unwrap_or("").to_owned(),
            append.unwrap_or("").to_owned(),
        )
    };
    let both = |interface: &str, root: &str| (interface.to_owned(), root.to_owned());
    assert_eq!(of("", ""), both("if=virtio", "root=/dev/vda1"));
    assert_eq!(of("ide", ""), both("if=ide", "root=/dev/sda1"));
    assert_eq!(of("ide", "/dev/sda3"), both("if=ide", "root=/dev/sda3"));
    let error = place.error(&[("MY_RNG_DISK", "scsi")]);
    assert!(error.contains("set it to virtio or ide"), "{error}");
    let error = place.error(&[("MY_RNG_DISK", "ide"), ("MY_RNG_ARCH", "arm64")]);
    assert!(error.contains("set MY_RNG_DISK=virtio"), "{error}");
}

#[test]
fn machine_is_of_the_disks_architecture() {
    let place = Place::new(WORKS);
    place.write("Image", b"");
    let kernel = place.path("Image");
    for (arch, machine, cpu, console) in [
        ("x86_64", "pc", "max,", "ttyS0"),
        ("arm64", "virt", "max", "ttyAMA0"),
        ("riscv64", "virt", "rv64", "ttyS0"),
    ] {
        let options = place.options(&[
            ("ACCEL", "tcg"),
            ("MY_RNG_ARCH", arch),
            ("MY_RNG_KERNEL", &kernel),
        ]);
        assert_eq!(value(&options, "-machine"), machine);
        assert!(value(&options, "-cpu").starts_with(cpu), "{options:?}");
        assert_eq!(
            value(&options, "-append"),
            format!("root=/dev/vda1 rw console=tty0 console={console}")
        );
    }
    assert!(place.error(&[("MY_RNG_ARCH", "m68k")]).contains("m68k"));
}

/// A machine without a BIOS starts every disk by UEFI.
#[test]
fn firmware_is_that_of_the_architecture() {
    let place = Place::new(WORKS);
    for (arch, uefi, firmware, package) in [
        ("x86_64", "1", "/OVMF_CODE_4M.fd", "ovmf"),
        ("arm64", "", "/AAVMF_CODE.fd", "qemu-efi-aarch64"),
    ] {
        let run = place.run(&[
            ("ACCEL", "tcg"),
            ("MY_RNG_ARCH", arch),
            ("MY_RNG_UEFI", uefi),
        ]);
        let said = String::from_utf8([run.stdout, run.stderr].concat()).expect("text");
        assert!(said.contains(firmware), "{said}");
        let told = said.contains(&format!("install {package},"));
        assert!(told != run.status.success(), "{said}");
    }
    let options = place.options(&[("ACCEL", "tcg"), ("MY_RNG_ARCH", "x86_64")]);
    assert!(!options.iter().any(|word| word.contains("pflash")));
}

#[test]
fn snapshot_discards_changes_of_the_disk() {
    let place = Place::new(WORKS);
    let options = place.options(&[("MY_RNG_SNAPSHOT", "1")]);
    assert!(value(&options, "-drive").ends_with(",snapshot=on"));
    let options = place.options(&[("MY_RNG_SNAPSHOT", "0")]);
    assert!(value(&options, "-drive").ends_with(",if=virtio"));
}

#[test]
fn each_disk_has_its_own_settings_of_the_firmware() {
    let place = Place::new(WORKS);
    place.write("OVMF_CODE.fd", b"code");
    place.write("OVMF_VARS.fd", b"variables");
    let firmware = place.path("OVMF_CODE.fd");
    let uefi = [("MY_RNG_UEFI", &*firmware), ("MY_RNG_ARCH", "x86_64")];
    let options = place.options(&uefi);
    let flash: Vec<&String> = options
        .iter()
        .filter(|word| word.contains("pflash"))
        .collect();
    let settings = place.path("disk.OVMF_VARS.fd");
    assert_eq!(flash.len(), 2, "{options:?}");
    assert_eq!(
        *flash[0],
        format!("file={firmware},format=raw,if=pflash,unit=0,readonly=on")
    );
    assert_eq!(
        *flash[1],
        format!("file={settings},format=raw,if=pflash,unit=1")
    );
    assert_eq!(fs::read(&settings).expect("a copy"), b"variables");
    // What the firmware has written there is still there at the next start.
    fs::write(&settings, "changed").expect("a file");
    place.options(&uefi);
    assert_eq!(fs::read(&settings).expect("the copy"), b"changed");
    assert_eq!(place.beside(), ["disk.OVMF_VARS.fd"]);
    fs::remove_file(place.path("OVMF_VARS.fd")).expect("the template");
    let error = place.error(&uefi);
    assert!(error.contains("install ovmf"), "{error}");
}

/// A free port of localhost.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string()
}

#[test]
fn cloud_image_gets_a_login_and_a_port_for_ssh() {
    let place = Place::new(WORKS);
    let port = free_port();
    let start = |more: &[(&str, &str)]| {
        let mut environment = vec![("MY_RNG_CLOUD", "1"), ("MY_RNG_SSH", port.as_str())];
        environment.extend_from_slice(more);
        let (options, said) = place.options_and_messages(&environment);
        let seed = fs::read(place.path("disk.seed")).expect("a seed");
        (options, said, String::from_utf8_lossy(&seed).into_owned())
    };
    let (options, said, seed) = start(&[]);
    let drive = format!(
        "file={},format=raw,if=virtio,readonly=on",
        place.path("disk.seed")
    );
    assert!(options.contains(&drive), "{options:?}");
    let nic = format!("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22");
    assert_eq!(value(&options, "-nic"), nic);
    assert!(
        said.contains("log in as user, with the password my_rng"),
        "{said}"
    );
    assert!(said.contains(&format!("ssh -p {port} ")), "{said}");
    assert!(seed.contains("CIDATA") && seed.contains("#cloud-config"));
    assert!(seed.contains("ssh_authorized_keys: []") && seed.contains("ssh_pwauth: true"));
    // The same login is not made again, and another is: the id of the instance says so.
    let id = |seed: &str| {
        let (_, rest) = seed.split_once("instance-id: ").expect("an id");
        rest.lines().next().unwrap_or("").to_owned()
    };
    assert_eq!(id(&start(&[]).2), id(&seed));
    fs::create_dir(place.path(".ssh")).expect("a folder");
    place.write(".ssh/id_a.pub", b"ssh-ed25519 AAAA it's mine\n");
    place.write(".ssh/id_b.pub", b"ssh-rsa BBBB\n");
    let (_, _, other) = start(&[("MY_RNG_LOGIN", "me"), ("MY_RNG_PASSWORD", "it's")]);
    assert_ne!(id(&other), id(&seed));
    for line in [
        "- name: 'me'",
        "plain_text_passwd: 'it''s'",
        "ssh_authorized_keys: ['ssh-ed25519 AAAA it''s mine', 'ssh-rsa BBBB',]",
        "ssh_pwauth: false",
    ] {
        assert!(other.contains(line), "{line}");
    }
    assert_eq!(place.beside(), ["disk.seed"]);
}

#[test]
fn port_in_use_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string();
    let error = Place::new(WORKS).error(&[("MY_RNG_SSH", &port)]);
    assert!(
        error.contains(&port) && error.contains("set MY_RNG_SSH= to another"),
        "{error}"
    );
}
