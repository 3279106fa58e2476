// SPDX-License-Identifier: GPL-2.0-or-later

//! What is there after a boot, and after the next one.

use my_rng_e2e::answers::{libc, rounds};
use my_rng_e2e::{Machine, Process, lspci};

use crate::{no_complaints, start};

/// What the user sees of the device with `sudo lspci -v`.
fn lspci(debian: &mut Process) -> Vec<String> {
    let lines = debian.console.run("runuser -u user -- sudo lspci -v");
    let mut entries = lines.split(|line| line.is_empty());
    let is_ours = |entry: &&[String]| entry.iter().any(|line| line.contains("1234:cafe"));
    let entry = entries.find(is_ours).expect("the device").to_vec();
    assert!(!entries.any(|entry| is_ours(&entry)), "{lines:#?}");
    entry
}

/// lspci shows the device as documented, and the driver that is installed or bound.
#[test]
fn lspci_shows_the_device_as_documented() {
    let mut debian = start(Machine::debian("modprobe.blacklist=my_rng").device("my_rng"));
    let installed = "\tKernel modules: my_rng";
    let entry = lspci(&mut debian);
    assert_eq!(lspci::check(&entry, "fast devsel"), [installed]);
    debian.console.run("modprobe my_rng");
    // The driver makes the device a bus master.
    let entry = lspci(&mut debian);
    assert_eq!(
        lspci::check(&entry, "bus master, fast devsel, latency 0"),
        ["\tKernel driver in use: my_rng", installed]
    );
    no_complaints(&mut debian);
    debian.quit();
}

#[test]
fn every_boot_loads_the_driver_and_makes_its_nodes() {
    let machine = Machine::debian("").device("my_rng").device("my_rng");
    let mut debian = start(machine.disk_of_programs(&["classic", "classic_literal"]));
    let first = check_boot(&mut debian);
    check_permissions(&mut debian);
    check_installed_files(&mut debian);
    check_classic_clients(&mut debian);

    debian.console.change_prompt();
    debian.console.shell_line("systemctl reboot");
    crate::log_in(&mut debian);
    let second = check_boot(&mut debian);
    assert_ne!(first, second, "this is the same boot");
    debian.quit();
}

/// The module and the nodes are there. Returns the boot's id.
fn check_boot(debian: &mut Process) -> String {
    check_module(debian, "updates/my_rng.ko");
    let console = &mut debian.console;
    let nodes = console.run("stat --format '%n %F %a %U %G' /dev/my_rng_driver*");
    assert_eq!(
        nodes,
        [
            "/dev/my_rng_driver character special file 660 root my_rng",
            "/dev/my_rng_driver1 character special file 660 root my_rng"
        ]
    );
    let by_path = console.run(
        "for node in my_rng_driver my_rng_driver1; do \
         readlink -f /dev/my_rng/by-path/pci-$(basename $(readlink /sys/class/misc/$node/device)); done",
    );
    assert_eq!(by_path, ["/dev/my_rng_driver", "/dev/my_rng_driver1"]);
    let id = console.run("cat /proc/sys/kernel/random/boot_id");
    id.concat()
}

/// udev has loaded the module, by the PCI alias of the device, and it is this file. Returns the kernel's release.
pub fn check_module(debian: &mut Process, path: &str) -> String {
    let console = &mut debian.console;
    let loaded = console.run("grep -c '^my_rng ' /proc/modules");
    assert_eq!(loaded, ["1"]);
    let file =
        console.run("modinfo --field filename my_rng; modinfo --field version my_rng; uname -r");
    let [file, version, release] = &file[..] else {
        panic!("{file:?}");
    };
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert_eq!(*file, format!("/lib/modules/{release}/{path}"));
    release.clone()
}

/// Only the user at the screen and members of the group can use the device.
pub fn check_permissions(debian: &mut Process) {
    let console = &mut debian.console;
    assert_eq!(console.run("id -nG user"), ["user sudo"]);
    // The getty at the screen begins the user's session.
    console.run("until runuser -u user -- test -w /dev/my_rng_driver; do :; done");
    console.run("runuser -u user -- my-rng read 1");
    let refused = console.run("! runuser -u nobody -- my-rng read 1 2>&1");
    assert!(
        refused.concat().contains("/dev/my_rng_driver"),
        "{refused:?}"
    );
    console.run("usermod --append --groups my_rng nobody; runuser -u nobody -- my-rng read 1");
}

pub fn check_installed_files(debian: &mut Process) {
    let console = &mut debian.console;
    // A package has it compressed.
    let path = console.run("man -w my-rng").concat();
    assert_eq!(path.trim_end_matches(".gz"), "/usr/share/man/man1/my-rng.1");
    let page = console.run("man my-rng | cat");
    assert!(
        page.first()
            .is_some_and(|title| title.starts_with("my-rng(1)")),
        "{page:#?}"
    );
    let completion = console
        .run("bash -ec '. /usr/share/bash-completion/completions/my-rng; complete -p my-rng'");
    assert!(completion.concat().ends_with(" my-rng"), "{completion:?}");
}

/// Programs that know the two ioctls, and nothing of this project.
pub fn check_classic_clients(debian: &mut Process) {
    let console = &mut debian.console;
    console.run("tar -xf /dev/vdb");
    assert_eq!(console.run("./classic"), rounds(&libc(0)));
    for seed in [0x42, 0x8000_0000] {
        let mut expected = vec![format!("seed: {seed:#x}")];
        expected.extend(libc(seed).map(|number| format!("random number: {number}")));
        let printed = console.run(&format!("./classic_literal {seed:#x}"));
        assert_eq!(printed, expected);
    }
}
