// SPDX-License-Identifier: GPL-2.0-or-later

//! Migration and snapshots in the middle of a stream, while the guest reads it.
//!
//! What the guest reads stays in the guest until it stands still: a serial port that is moved in the middle
//! of its output may write some of it on both sides.

use std::path::Path;
use std::time::Instant;

use my_rng_dev::generator::{Generator, Kind};
use my_rng_e2e::{DEADLINE, Machine, Process, abi, known_answers};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// After how many numbers the guest is moved, and how many it takes after that at the least.
const NUMBERS: u64 = 20_000;
/// How many numbers the app can hold back, which are lost when it is interrupted.
const HELD_BACK: u64 = 16_384;
/// How many numbers a guest takes in bulk between two migrations, and how many of those there are.
const FLOWED: u64 = 2_000_000;
const HOPS: usize = 3;
const SEED: u32 = 0x42;
/// Reads until it is interrupted, and then prints how many bytes that were, and their digest.
const READ_AND_DIGEST: &str = "mkfifo /copy; my-rng read 4000000000 --format raw | \
     (trap '' INT; wc -c </copy & tee /copy | sha256sum; wait)";

/// A guest whose shell is up, with one device.
fn guest(properties: &str) -> Process {
    let mut guest = machine(properties).start();
    guest.console.shell();
    guest
}

fn machine(properties: &str) -> Machine {
    Machine::guest("pc")
        .args(["-smp", "2"])
        .device(&format!("my_rng,id=rng{properties}"))
}

/// A machine that waits for what `uri` will bring.
fn destination(properties: &str) -> Process {
    let mut process = machine(properties).args(["-incoming", "defer"]).start();
    tell_of_migrations(&mut process);
    process
}

fn tell_of_migrations(process: &mut Process) {
    process.qmp.execute(
        "migrate-set-capabilities",
        json!({ "capabilities": [{ "capability": "events", "state": true }] }),
    );
}

fn receive(process: &mut Process, uri: &str) {
    process
        .qmp
        .execute("migrate-incoming", json!({ "uri": uri }));
}

fn send(process: &mut Process, uri: &str) -> Value {
    tell_of_migrations(process);
    process.qmp.execute("migrate", json!({ "uri": uri }));
    let event = process.qmp.wait_for_event_with("MIGRATION", |data| {
        data["status"] == "completed" || data["status"] == "failed"
    });
    // QEMU tells of the end before it is quite there.
    loop {
        let state = process.qmp.execute("query-status", json!({}));
        if state.get("status") != Some(&json!("finish-migrate")) {
            break;
        }
    }
    event.get("status").cloned().unwrap_or_default()
}

/// Lets the guest take numbers, from the seed's first; how many the device had given before.
fn start_reading(process: &mut Process) -> u64 {
    process.console.run(&format!("my-rng seed {SEED}"));
    let before = reads(process);
    process.console.shell_line(READ_AND_DIGEST);
    process.console.echo();
    wait_for_reads(process, before + NUMBERS);
    before
}

/// How many numbers the device has given in this process.
fn reads(process: &mut Process) -> u64 {
    process.property("reads").as_u64().expect("a counter")
}

fn wait_for_reads(process: &mut Process, wanted: u64) {
    let deadline = Instant::now() + DEADLINE;
    while reads(process) < wanted {
        assert!(Instant::now() < deadline, "the guest does not read on");
    }
}

/// Lets the guest read on, and holds all that it has read, the `taken` numbers elsewhere and those here,
/// against the stream.
fn go_on(kind: Kind, process: &mut Process, taken: u64) {
    let before = reads(process);
    wait_for_reads(process, before + NUMBERS);
    let printed = process.console.interrupt();
    let line = |wanted: fn(&str) -> bool| {
        let line = printed.iter().find(|line| wanted(line));
        line.unwrap_or_else(|| panic!("no count or no digest: {printed:?}"))
    };
    let count = line(|line| line.parse::<usize>().is_ok());
    let count: usize = count.parse().expect("a count");
    assert!(
        count as u64 / 4 >= taken + NUMBERS - HELD_BACK,
        "{kind}: {count} bytes are not of both sides, with {taken} numbers before"
    );
    let digest = line(|line| line.ends_with("  -"));
    assert_eq!(
        *digest,
        format!("{}  -", expected_digest(kind, count)),
        "{kind}: {count} bytes"
    );
}

/// The first and the thousandth numbers of the seed's stream, as they are known.
fn known(kind: Kind, seed: u32) -> ([u32; 5], u32) {
    let others = match kind {
        Kind::Libc => {
            let mut answers = known_answers::LIBC.iter();
            let answer = answers.find(|answer| answer.seed == seed);
            return answer
                .map(|answer| (answer.first, answer.thousandth))
                .expect("a known answer");
        }
        Kind::ChaCha20 => &known_answers::CHACHA20,
        Kind::ChaCha8 => &known_answers::CHACHA8,
        Kind::Xoshiro256PlusPlus => &known_answers::XOSHIRO256PP,
        Kind::Host => panic!("nothing is known of it"),
    };
    let answer = others.iter().find(|answer| answer.seed == seed);
    answer
        .map(|answer| (answer.first, answer.thousandth))
        .expect("a known answer")
}

/// The digest of so many bytes from the start of the seed's stream.
fn expected_digest(kind: Kind, count: usize) -> String {
    let mut expected = Generator::new(kind, SEED);
    let words = std::iter::from_fn(|| expected.next_u32(|| None));
    let words: Vec<u32> = words.take(count.div_ceil(4)).collect();
    let (_, thousandth) = known(kind, SEED);
    assert_eq!(words.get(999), Some(&thousandth), "{kind}");
    let bytes: Vec<u8> = words
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .take(count)
        .collect();
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn words(lines: &[String]) -> Vec<u32> {
    lines
        .iter()
        .map(|line| {
            line.parse()
                .unwrap_or_else(|_| panic!("no number: {line:?}"))
        })
        .collect()
}

fn with(kind: Kind) -> String {
    format!(",generator={kind}")
}

/// Between two processes over a socket, while the guest reads.
fn live_migration(kind: Kind) {
    let mut source = guest(&with(kind));
    let mut moved = destination(&with(kind));
    let uri = format!("unix:{}", moved.folder().join("migration").display());
    receive(&mut moved, &uri);
    let before = start_reading(&mut source);
    assert_eq!(send(&mut source, &uri), "completed");
    moved.qmp.wait_for_event("RESUME");
    let taken = reads(&mut source) - before;
    source.quit();
    go_on(kind, &mut moved, taken);
    // A reset leads to where the stream started on the source.
    let (unseeded, _) = known(kind, abi::DEFAULT_SEED);
    moved.reset();
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

/// A machine whose guest can run what takes most numbers in bulk.
fn flowing_machine(kind: Kind) -> Machine {
    machine(&with(kind)).programs(&["flow"])
}

/// Starts it, from the seed's first number.
fn start_flowing(process: &mut Process, kind: Kind) {
    process.console.shell();
    process.console.run("tar -xf /dev/vda -C /");
    process
        .console
        .shell_line(&format!("/flow {kind} {SEED:#x}"));
    process.console.echo();
    flow_on(process);
}

/// Waits until it has taken many more.
fn flow_on(process: &mut Process) {
    let before = reads(process);
    wait_for_reads(process, before + FLOWED);
}

/// Ends it: how many numbers it has taken, all of which were the stream's.
fn flowed(process: &mut Process) -> u64 {
    let printed = process.console.interrupt();
    printed
        .iter()
        .find_map(|line| line.strip_prefix("numbers: ")?.parse().ok())
        .unwrap_or_else(|| panic!("a number is wrong: {printed:?}"))
}

/// From one process to the next and the next, while the guest takes numbers in bulk.
fn migrate_in_bulk(kind: Kind) {
    let mut here = flowing_machine(kind).start();
    start_flowing(&mut here, kind);
    for _ in 0..HOPS {
        let mut there = flowing_machine(kind).args(["-incoming", "defer"]).start();
        tell_of_migrations(&mut there);
        let uri = format!("unix:{}", there.folder().join("migration").display());
        receive(&mut there, &uri);
        assert_eq!(send(&mut here, &uri), "completed");
        there.qmp.wait_for_event("RESUME");
        here.quit();
        flow_on(&mut there);
        here = there;
    }
    let total = flowed(&mut here);
    assert!(total >= (HOPS as u64 + 1) * FLOWED, "{kind}: {total}");
    assert_eq!(here.property("guest-errors"), 0);
}

#[test]
fn transfers_of_libc_go_on_from_process_to_process() {
    migrate_in_bulk(Kind::Libc);
}

#[test]
fn transfers_of_chacha20_go_on_from_process_to_process() {
    migrate_in_bulk(Kind::ChaCha20);
}

#[test]
fn transfers_of_xoshiro256pp_go_on_from_process_to_process() {
    migrate_in_bulk(Kind::Xoshiro256PlusPlus);
}

/// Back to a moment in the middle of it, twice.
#[test]
fn transfers_go_on_from_a_snapshot() {
    for kind in [Kind::ChaCha8, Kind::Xoshiro256PlusPlus] {
        let mut guest = flowing_machine(kind).start();
        let disk = guest.folder().join("disk");
        add_disk(&mut guest, &disk);
        start_flowing(&mut guest, kind);
        snapshot(&mut guest, "snapshot-save").expect("a snapshot");
        for _ in 0..2 {
            flow_on(&mut guest);
            snapshot(&mut guest, "snapshot-load").expect("the snapshot");
        }
        flow_on(&mut guest);
        assert!(flowed(&mut guest) >= 2 * FLOWED, "{kind}");
        assert_eq!(guest.property("guest-errors"), 0);
    }
}

/// Into a file, from which the machine goes on twice.
#[test]
fn a_migration_to_a_file_goes_on_whenever_it_is_read() {
    for kind in [Kind::Libc, Kind::ChaCha20, Kind::Xoshiro256PlusPlus] {
        let mut source = guest(&with(kind));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let uri = format!("file:{}", folder.path().join("state").display());
        let before = start_reading(&mut source);
        assert_eq!(send(&mut source, &uri), "completed");
        let taken = reads(&mut source) - before;
        source.quit();
        for _ in 0..2 {
            let mut moved = destination(&with(kind));
            receive(&mut moved, &uri);
            moved.qmp.wait_for_event("RESUME");
            go_on(kind, &mut moved, taken);
        }
    }
}

/// The host's numbers are new ones each time.
#[test]
fn restored_machines_do_not_repeat_the_host_s_numbers() {
    let mut source = guest(&with(Kind::Host));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let uri = format!("file:{}", folder.path().join("state").display());
    source.qmp.execute("stop", json!({}));
    assert_eq!(send(&mut source, &uri), "completed");
    let read = |process: &mut Process| {
        process.qmp.execute("cont", json!({}));
        words(&process.console.run("my-rng read 8"))
    };
    let mut seen = vec![];
    for _ in 0..2 {
        let mut moved = destination(&with(Kind::Host));
        receive(&mut moved, &uri);
        moved
            .qmp
            .wait_for_event_with("MIGRATION", |data| data["status"] == "completed");
        seen.push(read(&mut moved));
    }
    seen.push(read(&mut source));
    // 256 bits of entropy each: never the same.
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2]);
}

/// A destination with other properties ends with an error that names them; the source goes on, by itself
/// where the destination can send it the news.
#[test]
fn another_device_is_refused_and_the_source_goes_on() {
    for (properties, news, expected) in [
        (
            ",generator=chacha20",
            false,
            "my_rng /machine/peripheral/rng: the state that arrived is refused: it is of a device with generator=libc, and \
             this one has generator=chacha20: give both sides the same",
        ),
        (
            ",seed=7",
            true,
            "my_rng /machine/peripheral/rng: the state that arrived is refused: it is of a device with seed=1, and this one \
             has seed=7: give both sides the same",
        ),
        (
            ",bulk=off",
            false,
            "my_rng /machine/peripheral/rng: the state that arrived is refused: it is of a device with bulk=on, and this one \
             has bulk=off: give both sides the same",
        ),
    ] {
        let mut source = guest("");
        let mut other = destination(properties);
        for process in [&mut source, &mut other] {
            process.qmp.execute(
                "migrate-set-capabilities",
                json!({ "capabilities": [{ "capability": "return-path", "state": news }] }),
            );
        }
        let uri = format!("unix:{}", other.folder().join("migration").display());
        receive(&mut other, &uri);
        let before = start_reading(&mut source);
        let outcome = send(&mut source, &uri);
        let (status, errors) = other.wait();
        assert!(!status.success());
        assert!(errors.contains(expected), "{errors}");
        if news {
            assert_eq!(outcome, "failed");
        } else {
            // Whether the source has heard of it is up to QEMU.
            source.qmp.execute("cont", json!({}));
        }
        let taken = reads(&mut source) - before;
        go_on(Kind::Libc, &mut source, taken);
    }
}

/// A disk for snapshots, made by QEMU itself.
fn add_disk(process: &mut Process, file: &Path) {
    let size = 512 << 20;
    let create = |process: &mut Process, options: Value| {
        process
            .qmp
            .job("blockdev-create", json!({ "options": options }))
            .expect("a disk");
    };
    create(
        process,
        json!({ "driver": "file", "filename": file, "size": 0 }),
    );
    process.qmp.execute(
        "blockdev-add",
        json!({ "driver": "file", "filename": file, "node-name": "file" }),
    );
    create(
        process,
        json!({ "driver": "qcow2", "file": "file", "size": size }),
    );
    process.qmp.execute(
        "blockdev-add",
        json!({ "driver": "qcow2", "file": "file", "node-name": "disk" }),
    );
}

fn snapshot(process: &mut Process, command: &str) -> Result<(), String> {
    process.qmp.job(
        command,
        json!({ "tag": "middle", "vmstate": "disk", "devices": ["disk"] }),
    )
}

/// What savevm and loadvm do, in the middle of a stream, twice.
#[test]
fn a_snapshot_goes_back_to_its_place_in_the_stream() {
    for kind in [Kind::Libc, Kind::ChaCha20, Kind::Xoshiro256PlusPlus] {
        let mut guest = guest(&with(kind));
        let disk = guest.folder().join("disk");
        add_disk(&mut guest, &disk);
        let mut expected = Generator::new(kind, SEED);
        let mut stream = |count: usize| -> Vec<u32> {
            (0..count)
                .filter_map(|_| expected.next_u32(|| None))
                .collect()
        };
        let console = &mut guest.console;
        console.run(&format!("my-rng seed {SEED}"));
        assert_eq!(words(&console.run("my-rng read 50")), stream(50));
        snapshot(&mut guest, "snapshot-save").expect("a snapshot");
        let after = stream(50);
        for _ in 0..2 {
            assert_eq!(words(&guest.console.run("my-rng read 50")), after);
            guest.console.run("my-rng seed 9");
            snapshot(&mut guest, "snapshot-load").expect("the snapshot");
        }
        assert_eq!(words(&guest.console.run("my-rng read 50")), after);
    }
}

/// A snapshot of a device with other properties is refused; the machine is paused, and can be reset and
/// go on, or load another.
#[test]
fn a_snapshot_that_is_refused_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = folder.path().join("disk");
    let mut first = guest("");
    add_disk(&mut first, &disk);
    snapshot(&mut first, "snapshot-save").expect("a snapshot");
    first.quit();

    let mut other = guest(",seed=7");
    for (driver, node, file) in [
        ("file", "file", json!(disk)),
        ("qcow2", "disk", json!("file")),
    ] {
        let mut node = json!({ "driver": driver, "node-name": node });
        node[if driver == "file" { "filename" } else { "file" }] = file;
        other.qmp.execute("blockdev-add", node);
    }
    let seven: Vec<u32> = {
        let mut expected = Generator::new(Kind::Libc, 7);
        (0..5).filter_map(|_| expected.next_u32(|| None)).collect()
    };
    assert_eq!(words(&other.console.run("my-rng read 5")), seven);
    other.console.change_prompt();
    for _ in 0..2 {
        snapshot(&mut other, "snapshot-load").expect_err("another device's snapshot");
        assert!(
            other
                .errors()
                .contains("it is of a device with seed=1, and this one has seed=7"),
            "{}",
            other.errors()
        );
        let status = other.qmp.execute("query-status", json!({}));
        assert_eq!(status["running"], false, "{status}");
    }
    other.qmp.execute("system_reset", json!({}));
    other.qmp.execute("cont", json!({}));
    other.console.shell();
    assert_eq!(words(&other.console.run("my-rng read 5")), seven);
}
