// SPDX-License-Identifier: GPL-2.0-or-later

//! The device in QEMU without a guest: what its qtest (`my-rng-test.c`) does not test.

use std::process::Command;

use my_rng_e2e::answers::libc;
use my_rng_e2e::arch::facts;
use my_rng_e2e::{Machine, Process, abi, built, root};
use serde_json::json;

/// A machine with one device, with these properties.
fn start(properties: &str) -> Process {
    start_with(properties, &[])
}

/// The same, with more arguments for QEMU.
fn start_with(properties: &str, arguments: &[&str]) -> Process {
    let mut qemu = Machine::qtest(properties).args(arguments).start();
    qemu.enable(2);
    qemu
}

fn seed(qemu: &mut Process, seed: u32) {
    qemu.write('l', facts().registers + abi::REG_SEED as u64, seed.into());
}

fn number(qemu: &mut Process) -> u32 {
    read(qemu, 'l', abi::REG_RNG)
}

fn read(qemu: &mut Process, size: char, offset: usize) -> u32 {
    let number = qemu.read(size, facts().registers + offset as u64);
    number.try_into().expect("a number of 32 bits")
}

fn numbers<const N: usize>(qemu: &mut Process) -> [u32; N] {
    std::array::from_fn(|_| number(qemu))
}

#[test]
fn info_shows_the_generator_and_the_extensions() {
    for (generator, id) in [
        ("libc", abi::GENERATOR_LIBC),
        ("chacha20", abi::GENERATOR_CHACHA20),
        ("host", abi::GENERATOR_HOST),
        ("chacha8", abi::GENERATOR_CHACHA8),
        ("xoshiro256pp", abi::GENERATOR_XOSHIRO256PP),
    ] {
        for (bulk, bit) in [("on", abi::INFO_BULK), ("off", 0)] {
            let mut qemu = start(&format!(",generator={generator},bulk={bulk}"));
            let expected = abi::info(id) | bit | abi::INFO_FAILURES;
            assert_eq!(read(&mut qemu, 'l', abi::REG_INFO), expected);
        }
    }
}

/// With `-seed`, QEMU's own random numbers repeat, and so does the entropy that it passes on.
#[test]
fn host_entropy_repeats_only_with_the_seed_option() {
    let run =
        |arguments: &[&str]| -> [u32; 8] { numbers(&mut start_with(",generator=host", arguments)) };
    let first = run(&["-seed", "7"]);
    assert_eq!(run(&["-seed", "7"]), first);
    assert_ne!(run(&["-seed", "8"]), first);
    // 256 bits of entropy never repeat.
    assert_ne!(run(&[]), run(&[]));
}

#[test]
fn host_entropy_cannot_be_seeded() {
    let mut qemu = start(",generator=host");
    seed(&mut qemu, 0x42);
    let words: [u32; 5] = numbers(&mut qemu);
    assert_ne!(words, libc(0x42));
    assert_eq!(qemu.property("seeds"), 0);
    assert_eq!(qemu.property("guest-errors"), 1);
    assert_eq!(qemu.property("reads"), 5);
}

#[test]
fn counters_count_and_are_read_only() {
    let mut qemu = start("");
    for name in ["reads", "seeds", "guest-errors"] {
        assert_eq!(qemu.property(name), 0, "{name}");
        let refused = qemu.qmp.refused(
            "qom-set",
            json!({ "path": "/machine/peripheral/rng", "property": name, "value": 1 }),
        );
        assert!(refused.contains(name), "{refused}");
    }
    seed(&mut qemu, 1);
    seed(&mut qemu, 2);
    let _: [u32; 3] = numbers(&mut qemu);
    read(&mut qemu, 'b', 0);
    read(&mut qemu, 'l', abi::REG_DOORBELL);
    // Behind the last register, in two pieces.
    read(&mut qemu, 'q', abi::REG_FAILURES + 8);
    // The device is no bus master, so it cannot read the descriptor.
    qemu.write('l', facts().registers + abi::REG_DOORBELL as u64, 1);
    for (name, count) in [("reads", 3), ("seeds", 2), ("guest-errors", 5)] {
        assert_eq!(qemu.property(name), count, "{name}");
    }
}

/// Also by a machine that runs, which goes on.
#[test]
fn bad_properties_are_refused_by_name() {
    let mut qemu = start("");
    assert_eq!(number(&mut qemu), libc(1)[0]);
    let mut other = json!({ "driver": "my_rng", "id": "other" });
    if let Some(bus) = facts().hotplug_bus {
        other["bus"] = json!(bus);
    }
    for (properties, expected) in [
        (
            json!({ "generator": "foo" }),
            "generator: there is no 'foo'; it is one of libc, chacha20, host, chacha8 and \
             xoshiro256pp",
        ),
        (
            json!({ "generator": "host", "seed": 5 }),
            "seed: generator=host takes no seed",
        ),
        (json!({ "seed": 4_294_967_296_u64 }), "uint32"),
        (json!({ "seed": -1 }), "uint32"),
        (json!({ "seed": "x" }), "seed"),
        (json!({ "bulk": 2 }), "bulk"),
    ] {
        let mut device = other.clone();
        for (name, value) in properties.as_object().expect("properties") {
            device[name] = value.clone();
        }
        let refused = qemu.qmp.refused("device_add", device);
        assert!(refused.contains(expected), "{properties}: {refused}");
    }
    other["generator"] = json!("chacha20");
    other["seed"] = json!(5);
    qemu.qmp.execute("device_add", other);
    assert_eq!(number(&mut qemu), libc(1)[1]);
}

#[test]
fn properties_describe_themselves() {
    let mut qemu = start("");
    let list = qemu
        .qmp
        .execute("device-list-properties", json!({ "typename": "my_rng" }));
    let find = |name: &str| {
        let found = list.as_array().expect("a list");
        let found = found.iter().find(|property| property["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {list}"))
    };
    assert_eq!(find("seed")["type"], "uint32");
    assert_eq!(find("seed")["default-value"], 1);
    assert_eq!(find("generator")["type"], "str");
    assert_eq!(find("generator")["default-value"], "libc");
    assert_eq!(find("bulk")["type"], "bool");
    assert_eq!(find("bulk")["default-value"], true);
    for name in [
        "seed",
        "generator",
        "bulk",
        "reads",
        "seeds",
        "guest-errors",
    ] {
        let description = find(name)["description"].as_str();
        assert!(description.is_some_and(|text| text.len() > 10), "{name}");
    }
    for generator in ["libc", "chacha20", "host", "chacha8", "xoshiro256pp"] {
        let description = find("generator")["description"].as_str();
        assert!(description.is_some_and(|text| text.contains(generator)));
    }
    let help = Command::new(built("qemu"))
        .args(["-device", "my_rng,help"])
        .output()
        .expect("QEMU can be run");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    // QEMU 8.2 puts the default of a text in quotes.
    let help = help.replace('"', "");
    for line in [
        "seed=<uint32>",
        "generator=<str>",
        "(default: libc)",
        "bulk=<bool>",
        // The kit appends the names to the description.
        ": libc, chacha20, host, chacha8, xoshiro256pp",
    ] {
        assert!(help.contains(line), "{help}");
    }
}

#[test]
fn the_monitor_shows_sensible_names() {
    let mut qemu = start(",seed=7,generator=chacha20");
    let tree = qemu.monitor("info qtree");
    for line in [
        "dev: my_rng, id \"rng\"",
        "seed = 7 (0x7)",
        "generator = \"chacha20\"",
        "class Class 00ff, addr 00:04.0, pci id 1234:cafe",
    ] {
        assert!(tree.contains(line), "no {line}: {tree}");
    }
    let memory = qemu.monitor("info mtree");
    let last = facts().registers + abi::BAR_SIZE as u64 - 1;
    let line = format!("{:016x}-{last:016x}", facts().registers);
    let line = memory.lines().find(|found| found.contains(&line));
    assert!(
        line.is_some_and(|line| line.ends_with("i/o): my_rng")),
        "{memory}"
    );
}

/// The specification shows lines of the log. Each of them appears for the access that it names.
#[test]
fn guest_errors_are_logged_as_the_specification_shows() {
    let descriptor = facts().memory + 0x10_0000;
    let text = std::fs::read_to_string(root().join("docs/my-rng.rst")).expect("the specification");
    let shown: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("my_rng /machine/peripheral/rng: "))
        .collect();
    assert!(shown.len() >= 8, "{shown:?}");
    for line in shown {
        // A transfer's error does not show the access.
        let doorbell = "4-byte write at offset 0xc";
        let (access, _) = line.split_once(" of BAR 0: ").unwrap_or((doorbell, line));
        let words: Vec<_> = access.split(' ').collect();
        let [size, direction, "at", "offset", offset] = words[..] else {
            panic!("{line}");
        };
        let size = match size {
            "2-byte" => 'w',
            "4-byte" => 'l',
            _ => panic!("{line}"),
        };
        let offset = u64::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
        let generator = ["libc", "host"][usize::from(line.contains("the host's"))];
        let properties = format!(",generator={generator}");
        let mut qemu = start_with(&properties, &["-d", "guest_errors"]);
        // DMA too, for a transfer whose second segment is not memory.
        qemu.enable(6);
        let second = abi::BULK_SEGMENTS + abi::BULK_SEGMENT_SIZE;
        for (at, value) in [
            (abi::BULK_COUNT, 2),
            (abi::BULK_SEGMENTS, descriptor + 0x1000),
            (abi::BULK_SEGMENTS + 8, 4),
            (second, facts().registers),
            (second + 8, 4),
        ] {
            qemu.write('l', descriptor + at as u64, value);
        }
        let address = facts().registers + offset;
        match direction {
            "read" => drop(qemu.read(size, address)),
            _ => qemu.write(size, address, descriptor >> 12),
        }
        let log = qemu.quit();
        let line = line.replace("0x100000", &format!("{descriptor:#x}"));
        let expected = format!("my_rng /machine/peripheral/rng: {line}\n");
        assert!(log.ends_with(&expected), "{line}\n{log}");
    }
}
