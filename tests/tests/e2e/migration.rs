// SPDX-License-Identifier: GPL-2.0-or-later

//! Migration in the middle of a stream, while the guest reads it.
//!
//! What the guest reads stays in the guest until the end: a serial port that is migrated in the middle of its
//! output may print some of it on both sides.

use my_rng_e2e::answers::{Kind, known, sha256sum};
use my_rng_e2e::{Machine, Process, abi};
use serde_json::{Value, json};

/// The guest is migrated after so many numbers, and then takes at least so many more.
const NUMBERS: u64 = 20_000;
/// The app can hold back so many numbers, which are lost when it is interrupted.
const HELD_BACK: u64 = 16_384;
/// A guest takes so many numbers in bulk between two migrations or snapshots.
pub const FLOWED: u64 = 2_000_000;
/// So many migrations follow each other.
const HOPS: u64 = 3;
pub const SEED: u32 = 0x42;
/// Reads until it is interrupted. Then prints the number of bytes, and their digest.
const READ_AND_DIGEST: &str = "mkfifo /copy; my-rng read 4000000000 --format raw | \
     (trap '' INT; wc -c </copy & tee /copy | sha256sum; wait)";

/// A machine with one device.
fn machine(properties: &str) -> Machine {
    Machine::guest()
        .args(["-smp", "2"])
        .device(&format!("my_rng,id=rng{properties}"))
}

/// The same, with its shell up.
pub fn guest(properties: &str) -> Process {
    let mut guest = machine(properties).start();
    guest.console.shell();
    guest
}

pub fn generator(kind: Kind) -> String {
    format!(",generator={kind}")
}

/// The numbers in the shell's output.
pub fn words(lines: &[String]) -> Vec<u32> {
    let number = |line: &String| {
        line.parse()
            .unwrap_or_else(|_| panic!("no number: {line:?}"))
    };
    lines.iter().map(number).collect()
}

fn set_capability(process: &mut Process, capability: &str, state: bool) {
    process.qmp.execute(
        "migrate-set-capabilities",
        json!({ "capabilities": [{ "capability": capability, "state": state }] }),
    );
}

/// Starts a machine that waits for a migration.
fn destination(machine: Machine) -> Process {
    let mut process = machine.args(["-incoming", "defer"]).start();
    set_capability(&mut process, "events", true);
    process
}

/// The address for migrations to a machine.
fn uri_of(process: &Process) -> String {
    format!("unix:{}", process.folder().join("migration").display())
}

fn receive(process: &mut Process, uri: &str) {
    process
        .qmp
        .execute("migrate-incoming", json!({ "uri": uri }));
}

/// Migrates a machine. Returns the status: completed or failed.
fn send(process: &mut Process, uri: &str) -> Value {
    set_capability(process, "events", true);
    // By default QEMU leaves most of a network for others.
    process.qmp.execute(
        "migrate-set-parameters",
        json!({ "max-bandwidth": 1_u64 << 40 }),
    );
    process.qmp.execute("migrate", json!({ "uri": uri }));
    let event = process.qmp.wait_for_event_with("MIGRATION", |data| {
        data["status"] == "completed" || data["status"] == "failed"
    });
    // QEMU sends the event a little early.
    loop {
        let status = process.qmp.execute("query-status", json!({}));
        if status.get("status") != Some(&json!("finish-migrate")) {
            break;
        }
    }
    event.get("status").cloned().unwrap_or_default()
}

/// Migrates a machine over a socket. Returns the one that goes on.
pub fn migrate(source: &mut Process, to: Machine) -> Process {
    let mut moved = destination(to);
    let uri = uri_of(&moved);
    receive(&mut moved, &uri);
    assert_eq!(send(source, &uri), "completed");
    moved.qmp.wait_for_event("RESUME");
    moved
}

/// Lets the guest read, from the first number of the seed. Returns how many numbers the device gave before.
fn start_reading(process: &mut Process) -> u64 {
    process.console.run(&format!("my-rng seed {SEED}"));
    let before = process.reads();
    process.console.shell_line(READ_AND_DIGEST);
    process.console.echo();
    process.wait_for_reads(before + NUMBERS);
    before
}

/// Lets the guest read on. Compares all that it has read with the stream: `taken` numbers elsewhere, and those here.
fn check_reading(kind: Kind, process: &mut Process, taken: u64) {
    let before = process.reads();
    process.wait_for_reads(before + NUMBERS);
    let printed = process.console.interrupt();
    let count = printed.iter().find_map(|line| line.parse::<usize>().ok());
    let count = count.unwrap_or_else(|| panic!("no count: {printed:?}"));
    assert!(
        count as u64 / 4 >= taken + NUMBERS - HELD_BACK,
        "{kind}: {count} bytes are too few, with {taken} numbers before"
    );
    let expected = sha256sum(kind, SEED, count);
    assert!(
        printed.contains(&expected),
        "{kind}: {count} bytes: {printed:?}"
    );
}

/// Migrates over a socket, while the guest reads.
fn live_migration(kind: Kind) {
    let mut source = guest(&generator(kind));
    let before = start_reading(&mut source);
    let mut moved = migrate(&mut source, machine(&generator(kind)));
    let taken = source.reads() - before;
    source.quit();
    check_reading(kind, &mut moved, taken);
    // After a reset the stream starts where it started on the source.
    moved.reset();
    let unseeded = known(kind, abi::DEFAULT_SEED).first;
    assert_eq!(words(&moved.console.run("my-rng read 5")), unseeded);
}

#[test]
fn live_migration_goes_on_in_the_stream_of_libc() {
    live_migration(Kind::Libc);
}

#[test]
fn live_migration_goes_on_in_the_stream_of_chacha20() {
    live_migration(Kind::ChaCha20);
}

#[test]
fn live_migration_goes_on_in_the_stream_of_chacha8() {
    live_migration(Kind::ChaCha8);
}

#[test]
fn live_migration_goes_on_in_the_stream_of_xoshiro256pp() {
    live_migration(Kind::Xoshiro256PlusPlus);
}

/// A machine whose guest has the program that takes numbers in bulk.
pub fn flowing_machine(kind: Kind) -> Machine {
    machine(&generator(kind)).programs(&["flow"])
}

/// Starts that program, from the first number of the seed.
pub fn start_flowing(process: &mut Process, kind: Kind) {
    process.console.shell();
    process
        .console
        .shell_line(&format!("/flow {kind} {SEED:#x}"));
    process.console.echo();
    flow_on(process);
}

/// Waits until it has taken many more numbers.
pub fn flow_on(process: &mut Process) {
    let before = process.reads();
    process.wait_for_reads(before + FLOWED);
}

/// Ends the program, which has compared all numbers with the stream. Checks how many it has taken.
pub fn end_flowing(process: &mut Process, least: u64) {
    let printed = process.console.interrupt();
    let numbers: u64 = printed
        .iter()
        .find_map(|line| line.strip_prefix("numbers: ")?.parse().ok())
        .unwrap_or_else(|| panic!("a number is wrong: {printed:?}"));
    assert!(numbers >= least, "{numbers}");
    assert_eq!(process.property("guest-errors"), 0);
}

/// Migrates several times, while the guest takes numbers in bulk.
fn migrate_in_bulk(kind: Kind) {
    let mut here = flowing_machine(kind).start();
    start_flowing(&mut here, kind);
    for _ in 0..HOPS {
        let mut there = migrate(&mut here, flowing_machine(kind));
        here.quit();
        flow_on(&mut there);
        here = there;
    }
    end_flowing(&mut here, (HOPS + 1) * FLOWED);
}

#[test]
fn bulk_transfers_of_libc_go_on_after_migrations() {
    migrate_in_bulk(Kind::Libc);
}

#[test]
fn bulk_transfers_of_chacha20_go_on_after_migrations() {
    migrate_in_bulk(Kind::ChaCha20);
}

#[test]
fn bulk_transfers_of_xoshiro256pp_go_on_after_migrations() {
    migrate_in_bulk(Kind::Xoshiro256PlusPlus);
}

/// Twice from the same file.
#[test]
fn a_machine_migrated_to_a_file_goes_on_from_it() {
    for kind in [Kind::Libc, Kind::ChaCha20, Kind::Xoshiro256PlusPlus] {
        let mut source = guest(&generator(kind));
        let folder = tempfile::tempdir().expect("a temporary directory");
        let uri = format!("file:{}", folder.path().join("state").display());
        let before = start_reading(&mut source);
        assert_eq!(send(&mut source, &uri), "completed");
        let taken = source.reads() - before;
        source.quit();
        for _ in 0..2 {
            let mut moved = destination(machine(&generator(kind)));
            receive(&mut moved, &uri);
            moved.qmp.wait_for_event("RESUME");
            check_reading(kind, &mut moved, taken);
        }
    }
}

#[test]
fn restored_machines_do_not_repeat_host_entropy() {
    let mut source = guest(",generator=host");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let uri = format!("file:{}", folder.path().join("state").display());
    source.qmp.execute("stop", json!({}));
    assert_eq!(send(&mut source, &uri), "completed");
    let read = |process: &mut Process| {
        process.qmp.execute("cont", json!({}));
        words(&process.console.run("my-rng read 8"))
    };
    let mut seen = vec![];
    for _ in 0..2 {
        let mut moved = destination(machine(",generator=host"));
        receive(&mut moved, &uri);
        moved
            .qmp
            .wait_for_event_with("MIGRATION", |data| data["status"] == "completed");
        seen.push(read(&mut moved));
    }
    seen.push(read(&mut source));
    // 256 bits of entropy never repeat.
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2]);
}

/// A destination with other properties fails with an error that names them. The source goes on: by itself if the
/// destination can report the failure.
#[test]
fn a_destination_with_other_properties_fails_and_the_source_goes_on() {
    for (properties, reports, here, there) in [
        (
            ",generator=chacha20",
            false,
            "generator=libc",
            "generator=chacha20",
        ),
        (",seed=7", true, "seed=1", "seed=7"),
        (",bulk=off", false, "bulk=on", "bulk=off"),
    ] {
        let mut source = guest("");
        let mut other = destination(machine(properties));
        for process in [&mut source, &mut other] {
            set_capability(process, "return-path", reports);
        }
        let uri = uri_of(&other);
        receive(&mut other, &uri);
        let before = start_reading(&mut source);
        let outcome = send(&mut source, &uri);
        let (status, errors) = other.wait();
        assert!(!status.success());
        let expected = format!(
            "my_rng /machine/peripheral/rng: the state that arrived is refused: it is of a device with {here}, and \
             this one has {there}: give both sides the same"
        );
        assert!(errors.contains(&expected), "{errors}");
        if reports {
            assert_eq!(outcome, "failed");
        } else {
            // QEMU decides whether the source notices.
            source.qmp.execute("cont", json!({}));
        }
        let taken = source.reads() - before;
        check_reading(Kind::Libc, &mut source, taken);
    }
}
