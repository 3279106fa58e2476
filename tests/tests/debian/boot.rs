// SPDX-License-Identifier: GPL-2.0-or-later

//! What is there after a boot, and after the next one.

use my_rng_e2e::{Machine, Process, abi, known_answers};

use crate::{PROGRAMS, log_in, no_splat, start};

/// What `lspci -v` is documented to say of the device, but for its slot and its address.
const DOCUMENTED: [&str; 4] = [
    "00:04.0 Unclassified device [00ff]: Device 1234:cafe (rev 10)",
    "\tSubsystem: Red Hat, Inc. Device 1100",
    "\tFlags: fast devsel",
    "\tMemory at febf1000 (32-bit, non-prefetchable) [size=4K]",
];

/// What the user sees of the device with `sudo lspci -v`, in the slot and at the address of the documentation.
fn lspci(debian: &mut Process) -> Vec<String> {
    let lines = debian.console.run("runuser -u user -- sudo lspci -v");
    let entries: Vec<_> = lines
        .split(|line| line.is_empty())
        .filter(|entry| {
            entry
                .first()
                .is_some_and(|title| title.contains("1234:cafe"))
        })
        .collect();
    let [entry] = entries[..] else {
        panic!("not one device: {lines:#?}");
    };
    entry
        .iter()
        .map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            match fields[..] {
                [slot, "Unclassified", ..] => {
                    assert!(slot.ends_with(".0") && slot.starts_with("00:"), "{slot}");
                    line.replacen(slot, "00:04.0", 1)
                }
                ["\tMemory", "at", address, ..] => {
                    let place = u32::from_str_radix(address, 16).expect("an address");
                    assert!(place != 0 && place as usize % abi::BAR_SIZE == 0, "{line}");
                    line.replacen(address, "febf1000", 1)
                }
                _ => line.clone(),
            }
        })
        .collect()
}

/// As documented, letter for letter, where no driver is at work; lspci adds the name of the one that is
/// installed, and of the one that is at work.
#[test]
fn lspci_shows_the_device_as_documented() {
    let mut debian = start(Machine::debian("modprobe.blacklist=my_rng").device("my_rng"));
    let installed = "\tKernel modules: my_rng";
    let without: Vec<_> = [&DOCUMENTED[..], &[installed]].concat();
    assert_eq!(lspci(&mut debian), without);
    debian.console.run("modprobe my_rng");
    let in_use = "\tKernel driver in use: my_rng";
    let with: Vec<_> = [&DOCUMENTED[..], &[in_use, installed]]
        .concat()
        .into_iter()
        // The driver has made it a master of the bus.
        .map(|line| match line {
            "\tFlags: fast devsel" => "\tFlags: bus master, fast devsel, latency 0",
            line => line,
        })
        .collect();
    assert_eq!(lspci(&mut debian), with);
    no_splat(&mut debian);
    debian.quit();
}

#[test]
fn every_boot_brings_the_driver_and_its_nodes() {
    let machine = Machine::debian("").device("my_rng").device("my_rng");
    let mut debian = start(machine.programs(&["classic", "classic_literal"]));
    let first = check_boot(&mut debian);
    who_may_use_it(&mut debian);
    what_is_installed(&mut debian);
    classic_clients(&mut debian);

    debian.console.change_prompt();
    debian.console.shell_line("systemctl reboot");
    log_in(&mut debian);
    let second = check_boot(&mut debian);
    assert_ne!(first, second, "this is the same boot");
    debian.quit();
}

/// Nobody has loaded the module: udev has, by the device's PCI alias. Returns the boot's id.
fn check_boot(debian: &mut Process) -> String {
    let console = &mut debian.console;
    let loaded = console.run("grep -c '^my_rng ' /proc/modules");
    assert_eq!(loaded, ["1"]);
    let file = console.run("modinfo --field filename my_rng; uname -r");
    let [file, release] = &file[..] else {
        panic!("{file:?}");
    };
    assert_eq!(
        *file,
        format!("/lib/modules/{release}/updates/my_rng.ko"),
        "it is the one that was built"
    );
    let nodes = console.run("stat --format '%n %F %a %U %G' /dev/my_rng*");
    assert_eq!(
        nodes,
        [
            "/dev/my_rng_driver character special file 660 root my_rng",
            "/dev/my_rng_driver1 character special file 660 root my_rng"
        ]
    );
    let id = console.run("cat /proc/sys/kernel/random/boot_id");
    id.concat()
}

/// Whoever is logged in at the screen, whoever is in the group, and nobody else.
fn who_may_use_it(debian: &mut Process) {
    let console = &mut debian.console;
    assert_eq!(console.run("id -nG user"), ["user sudo"]);
    // The session at the screen is begun by the getty there.
    console.run("until runuser -u user -- test -w /dev/my_rng_driver; do :; done");
    console.run("runuser -u user -- my-rng read 1");
    let refused = console.run("! runuser -u nobody -- my-rng read 1 2>&1");
    assert!(
        refused.concat().contains("/dev/my_rng_driver"),
        "{refused:?}"
    );
    console.run("usermod --append --groups my_rng nobody; runuser -u nobody -- my-rng read 1");
}

fn what_is_installed(debian: &mut Process) {
    let console = &mut debian.console;
    assert_eq!(
        console.run("man -w my-rng"),
        ["/usr/share/man/man1/my-rng.1"]
    );
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

/// Programs that know the two ioctls of the contract, and nothing of this project.
fn classic_clients(debian: &mut Process) {
    let console = &mut debian.console;
    let answer = |seed: u32| {
        let answers = known_answers::LIBC.iter();
        let answer = answers.clone().find(|answer| answer.seed == seed);
        answer.expect("a known answer").first
    };
    console.run(PROGRAMS);
    let rounds = (0..2).flat_map(|round| {
        let numbers = answer(0).into_iter().enumerate();
        numbers.map(move |(number, word)| format!("Round {round} number {number}: {word}"))
    });
    assert_eq!(console.run("./classic"), rounds.collect::<Vec<_>>());
    for seed in [0x42, 0x8000_0000] {
        let numbers = answer(seed).map(|word| format!("random number: {word}"));
        let expected: Vec<_> = [format!("seed: {seed:#x}")]
            .into_iter()
            .chain(numbers)
            .collect();
        assert_eq!(
            console.run(&format!("./classic_literal {seed:#x}")),
            expected
        );
    }
}
