// SPDX-License-Identifier: GPL-2.0-or-later

//! Several processors of the guest use a device at the same time: every number is given once, also while the machine
//! is migrated again and again, or its devices are unplugged and plugged in.
//!
//! `MY_RNG_PARALLEL_COUNT` is how many migrations and unplugs each test does.

use my_rng_e2e::arch::{facts, has_machine, usual_machine};
use my_rng_e2e::tap::all_passed;
use my_rng_e2e::{Machine, Process, complaints};
use serde_json::json;

use crate::migration::migrate;

/// The generators whose transfers run at the same time, and those whose transfers take turns.
const GENERATORS: [&str; 5] = ["chacha8", "chacha20", "host", "libc", "xoshiro256pp"];

/// A device gives so many numbers between two migrations or unplugs.
const SOME: u64 = 100_000;

/// How often a test does what it repeats.
pub fn count(usual: usize) -> usize {
    std::env::var("MY_RNG_PARALLEL_COUNT").map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("MY_RNG_PARALLEL_COUNT={text}: {error}"))
    })
}

/// A machine with these generators' devices, whose ids are their names.
fn machine(properties: &str, generators: &[&str]) -> Machine {
    machine_on(usual_machine(), properties, generators)
}

fn machine_on(machine: &str, properties: &str, generators: &[&str]) -> Machine {
    let guest = Machine::guest_with(machine, "")
        .args(["-m", "128M"])
        .programs(&["parallel"]);
    generators.iter().fold(guest, |guest, generator| {
        guest.device(&format!(
            "my_rng,id={generator},generator={generator}{properties}"
        ))
    })
}

fn start(machine: Machine) -> Process {
    let mut guest = machine.start();
    guest.console.shell();
    // Otherwise the kernel reads from `host`, too.
    guest
        .console
        .run("echo none >/sys/class/misc/hw_random/rng_current");
    guest
}

/// What the program counted of a device.
#[derive(Debug)]
struct Counts {
    numbers: u64,
    transfers: u64,
}

fn counted(printed: &[String]) -> Vec<Counts> {
    let device = |line: &String| {
        let (_, counts) = line.strip_prefix("# my_rng_driver")?.split_once(": ")?;
        let mut numbers = counts.split(' ').filter_map(|word| word.parse().ok());
        Some(Counts {
            numbers: numbers.next()?,
            transfers: numbers.next()?,
        })
    };
    printed.iter().filter_map(device).collect()
}

/// The nodes of these devices, in a machine that has all of those.
fn nodes(all: &[&str], shared: &[&str]) -> String {
    let node = |id: &&str| match all.iter().position(|other| other == id) {
        Some(0) => "my_rng_driver".to_owned(),
        Some(index) => format!("my_rng_driver{index}"),
        None => panic!("no {id}"),
    };
    shared.iter().map(node).collect::<Vec<_>>().join(" ")
}

/// Lets the guest's threads share devices of a machine that has all of those. Checks the devices' counters, and returns
/// how many transfers there were.
fn share(guest: &mut Process, all: &[&str], shared: &[&str], is_unlocked: bool) -> u64 {
    let counters = |guest: &mut Process| {
        let of = |id: &&str| ["reads", "lock-releases"].map(|name| guest.counter_of(id, name));
        shared.iter().map(of).collect::<Vec<_>>()
    };
    let before = counters(guest);
    let line = format!("/parallel 1 {}", nodes(all, shared));
    let printed = guest.console.run(&line);
    all_passed(printed.iter().map(String::as_str)).unwrap_or_else(|problems| panic!("{problems}"));
    let after = counters(guest);
    let counted = counted(&printed);
    assert_eq!(counted.len(), shared.len(), "{printed:#?}");
    let mut transfers = 0;
    for (counts, (before, after)) in counted.iter().zip(before.iter().zip(&after)) {
        let releases = if is_unlocked { counts.transfers } else { 0 };
        let expected = [before[0] + counts.numbers, before[1] + releases];
        assert_eq!(*after, expected, "{shared:?}: {counts:?}");
        transfers += counts.transfers;
    }
    transfers
}

/// All transfers that were traced.
fn traced(guest: &Process) -> u64 {
    let log = guest.errors();
    log.matches("my_rng_transfer ").count() as u64
}

#[test]
fn processors_share_a_device_of_any_generator_exactly() {
    let machine = machine("", &GENERATORS).args(["-smp", "4", "-trace", "my_rng_transfer"]);
    let mut guest = start(machine);
    let before = traced(&guest);
    let mut transfers = 0;
    for shared in [
        &["chacha8"][..],
        &["chacha20"],
        &["host"],
        &["libc"],
        &["xoshiro256pp"],
        // Two devices at the same time, of which none, one or both take turns.
        &["chacha8", "chacha20"],
        &["chacha20", "libc"],
        &["libc", "xoshiro256pp"],
    ] {
        transfers += share(&mut guest, &GENERATORS, shared, facts().tells_processors);
    }
    assert_eq!(traced(&guest) - before, transfers);
}

/// Where the big lock is kept, nothing else differs.
#[test]
fn processors_share_a_device_exactly_with_the_big_lock() {
    let ids = ["chacha8", "libc"];
    let iommu = &facts().iommu;
    let mut behind_iommu = machine_on(iommu.machine, "", &ids);
    if let Some(device) = iommu.device {
        behind_iommu = behind_iommu.device(device);
    }
    for machine in [
        machine(",parallel=off", &ids),
        machine("", &ids).args(["-icount", "shift=4,sleep=off"]),
        behind_iommu,
    ] {
        let mut guest = start(machine.args(["-smp", "2"]));
        for shared in [&["chacha8"][..], &["libc"], &["chacha8", "libc"]] {
            share(&mut guest, &ids, shared, false);
        }
    }
}

/// Lets the guest's threads share the devices until [`end`].
fn begin(guest: &mut Process, how: &str, ids: &[&str]) {
    guest
        .console
        .shell_line(&format!("/parallel {how} {}", nodes(ids, ids)));
    guest.console.echo();
}

/// Ends that program, which has checked every number. Returns what it printed at its end.
pub fn end(guest: &mut Process) -> Vec<String> {
    let printed = guest.console.interrupt();
    let succeeded = printed.iter().any(|line| line == "end:0");
    assert!(succeeded, "{printed:#?}");
    let log = guest.console.run("dmesg").join("\n");
    let found = complaints(&log);
    assert!(found.is_empty(), "{found:#?}");
    printed
}

/// Waits until each device has given some more numbers.
fn go_on(guest: &mut Process, ids: &[&str]) {
    for id in ids {
        let before = guest.counter_of(id, "reads");
        guest.wait_for_counter(id, "reads", before + SOME);
    }
}

/// Migrates while threads share these devices.
fn migrate_with(ids: &[&str], processors: &str) {
    let machine = || machine("", ids).args(["-smp", processors]);
    let mut here = start(machine());
    begin(&mut here, "forever", ids);
    for _ in 0..count(4) {
        go_on(&mut here, ids);
        let there = migrate(&mut here, machine());
        here.quit();
        here = there;
    }
    go_on(&mut here, ids);
    end(&mut here);
}

#[test]
fn migrations_while_processors_share_a_device() {
    migrate_with(&["chacha8"], "2");
}

#[test]
fn migrations_while_processors_share_two_devices() {
    migrate_with(&["chacha20", "xoshiro256pp"], "4");
}

/// Puts another device at the addresses that the kernel gives to a device that is plugged in, from the end of the
/// machine's memory on. So the layout of the memory stays as it is if that is unplugged. In QEMU 10.0 with TCG, an
/// access that meets a change of the layout can reach another device, such as an interrupt controller.
fn put_bases(guest: &mut Process, slots: std::ops::Range<usize>) {
    for (index, slot) in slots.enumerate() {
        guest.console.run(&format!(
            "d=/sys/bus/pci/devices/0000:00:0{slot}.0; basename $d >$d/driver/unbind"
        ));
        let address = format!(r"\x00\x{index}0\x00\x08");
        for (value, at) in [(address.as_str(), 16), (r"\x02", 4)] {
            guest.console.run(&format!(
                "printf '{value}' | dd of=$d/config bs=1 seek={at} conv=notrunc"
            ));
        }
    }
}

/// Unplugs devices, one after the other, while threads share them. The guest then waits for another one.
fn unplug_with(ids: &[&str], processors: &str) {
    // Devices are unplugged on the root bus, and others stay there.
    if !has_machine("pc") {
        return;
    }
    let first = 2 + ids.len();
    let bases = first..first + ids.len();
    let mut machine = machine("", ids).args(["-smp", processors]);
    for slot in bases.clone() {
        machine = machine.device(&format!("my_rng,bulk=off,addr={slot}"));
    }
    let mut guest = start(machine);
    put_bases(&mut guest, bases);
    begin(&mut guest, "unplug", ids);
    for id in ids.iter().cycle().take(count(3)) {
        go_on(&mut guest, ids);
        guest.qmp.execute("device_del", json!({ "id": id }));
        guest
            .qmp
            .wait_for_event_with("DEVICE_DELETED", |data| data["device"] == *id);
        let device = json!({ "driver": "my_rng", "id": id, "generator": id });
        guest.qmp.execute("device_add", device);
    }
    go_on(&mut guest, ids);
    end(&mut guest);
}

#[test]
fn unplugs_while_processors_share_a_device() {
    unplug_with(&["chacha8"], "2");
}

#[test]
fn unplugs_while_processors_share_two_devices() {
    unplug_with(&["libc", "chacha20"], "4");
}
