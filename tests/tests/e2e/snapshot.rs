// SPDX-License-Identifier: GPL-2.0-or-later

//! Snapshots in the middle of a stream.

use std::path::Path;

use my_rng_e2e::Process;
use my_rng_e2e::answers::{Kind, stream};
use my_rng_e2e::arch::facts;
use serde_json::json;

use crate::migration::{
    FLOWED, SEED, end_flowing, flow_on, flowing_machine, generator, guest, start_flowing, words,
};

/// Adds a disk for snapshots. QEMU itself creates the file if it does not exist.
fn add_disk(process: &mut Process, file: &Path) {
    let is_new = !file.exists();
    for (driver, node, key, value, size) in [
        ("file", "file", "filename", json!(file), 0),
        ("qcow2", "disk", "file", json!("file"), 512 << 20),
    ] {
        if is_new {
            let options = json!({ "driver": driver, key: value, "size": size });
            let created = process
                .qmp
                .job("blockdev-create", json!({ "options": options }));
            created.expect("a disk");
        }
        process.qmp.execute(
            "blockdev-add",
            json!({ "driver": driver, "node-name": node, key: value }),
        );
    }
}

fn snapshot(process: &mut Process, command: &str) -> Result<(), String> {
    process.qmp.job(
        command,
        json!({ "tag": "middle", "vmstate": "disk", "devices": ["disk"] }),
    )
}

/// As savevm and loadvm do, twice.
#[test]
fn a_snapshot_restores_the_place_in_the_stream() {
    for kind in [Kind::Libc, Kind::ChaCha20, Kind::Xoshiro256PlusPlus] {
        let mut guest = guest(&generator(kind));
        let disk = guest.folder().join("disk");
        add_disk(&mut guest, &disk);
        let expected: Vec<u32> = stream(kind, SEED).take(100).collect();
        let (before, after) = expected.split_at(50);
        guest.console.run(&format!("my-rng seed {SEED}"));
        assert_eq!(words(&guest.console.run("my-rng read 50")), before);
        snapshot(&mut guest, "snapshot-save").expect("a snapshot");
        for _ in 0..2 {
            assert_eq!(words(&guest.console.run("my-rng read 50")), after);
            guest.console.run("my-rng seed 9");
            snapshot(&mut guest, "snapshot-load").expect("the snapshot");
        }
        assert_eq!(words(&guest.console.run("my-rng read 50")), after);
    }
}

/// Back to a moment in the middle of a transfer, twice.
#[test]
fn bulk_transfers_go_on_from_a_snapshot() {
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
        end_flowing(&mut guest, 2 * FLOWED);
    }
}

/// After the snapshot of a device with other properties is refused, the machine is paused, and can be reset and
/// go on, or load another snapshot.
#[test]
fn a_snapshot_of_another_device_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let disk = folder.path().join("disk");
    let mut first = guest("");
    add_disk(&mut first, &disk);
    snapshot(&mut first, "snapshot-save").expect("a snapshot");
    first.quit();

    let mut other = guest(",seed=7");
    add_disk(&mut other, &disk);
    let expected: Vec<u32> = stream(Kind::Libc, 7).take(5).collect();
    assert_eq!(words(&other.console.run("my-rng read 5")), expected);
    other.console.change_prompt();
    for _ in 0..facts().loads {
        snapshot(&mut other, "snapshot-load").expect_err("another device's snapshot");
        let errors = other.errors();
        assert!(
            errors.contains("it is of a device with seed=1, and this one has seed=7"),
            "{errors}"
        );
        let status = other.qmp.execute("query-status", json!({}));
        assert_eq!(status["running"], false, "{status}");
    }
    other.qmp.execute("system_reset", json!({}));
    other.qmp.execute("cont", json!({}));
    other.console.shell();
    assert_eq!(words(&other.console.run("my-rng read 5")), expected);
}
