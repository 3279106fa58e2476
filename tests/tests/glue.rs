// SPDX-License-Identifier: GPL-2.0-or-later

//! The kit's glue where no qtest reaches it, under AddressSanitizer. The tester of `qemu/test-devices.c` calls a
//! device at times and in ways in which QEMU should not.

use my_rng_e2e::{Machine, Process, abi, asan_qemu, known_answers};
use serde_json::{Value, json};

/// The slot of the device on the bus, and where the tests put its registers.
const SLOT: u64 = 4;
const BASE: u64 = 0xfebf_0000;
const RNG: u64 = BASE + abi::REG_RNG as u64;
const SEED: u64 = BASE + abi::REG_SEED as u64;
const DOORBELL: u64 = BASE + abi::REG_DOORBELL as u64;
const FAILURES: u64 = BASE + abi::REG_FAILURES as u64;
/// A descriptor and a buffer in the machine's own memory.
const DESCRIPTOR: u64 = 0x10_0000;
const BUFFER: u64 = 0x20_0000;
/// The tester's memory.
const RAM: u64 = 0x4000_0000;
const RAM_DEVICE: u64 = 0x4000_2000;
const HALF_A_PAGE: u64 = 0x4000_3000;

/// What the tester says when a device refuses all calls.
const REFUSED: &str = "read 0\nsave -22\nload -22\nreads 0\n";
const DROPPED: &str = "access dropped: device busy, not realized, or BQL not held";

/// A machine with a device and the tester.
fn start(properties: &str) -> Process {
    let mut qemu = Machine::qtest("pc")
        .qemu(asan_qemu())
        .device(&format!("my_rng,id=rng,addr={SLOT:02x}.0{properties}"))
        .device("my-rng-tester,id=tester")
        .args(["-d", "guest_errors", "-qtest-log", "/dev/null"])
        .start();
    qemu.enable(SLOT, BASE, 6);
    qemu
}

/// Ends QEMU; its log. The sanitizer looks for leaks then, and ends QEMU with an error if it finds any.
fn end(mut qemu: Process) -> String {
    qemu.qmp.execute("quit", json!({}));
    let (status, errors) = qemu.wait();
    assert!(status.success(), "{status}: {errors}");
    errors
}

fn set(qemu: &mut Process, property: &str, value: Value) {
    let path = "/machine/peripheral/tester";
    qemu.qmp.execute(
        "qom-set",
        json!({ "path": path, "property": property, "value": value }),
    );
}

/// What the tester has said since the last call.
fn said(qemu: &mut Process) -> String {
    let path = "/machine/peripheral/tester";
    let said = qemu
        .qmp
        .execute("qom-get", json!({ "path": path, "property": "said" }));
    said.as_str().expect("a text").to_owned()
}

/// Has the tester do something; what it says.
fn run(qemu: &mut Process, what: &str) -> String {
    set(qemu, "run", what.into());
    said(qemu)
}

/// Starts a transfer to these segments; its status, and how many bytes it has written.
fn transfer(qemu: &mut Process, segments: &[(u64, u64)]) -> (u64, u64) {
    let descriptor = |at: usize| DESCRIPTOR + at as u64;
    qemu.write('l', descriptor(abi::BULK_STATUS), 0);
    qemu.write('l', descriptor(abi::BULK_DONE), 0);
    qemu.write('l', descriptor(abi::BULK_COUNT), segments.len() as u64);
    for (at, (address, length)) in segments.iter().enumerate() {
        let segment = descriptor(abi::BULK_SEGMENTS + at * abi::BULK_SEGMENT_SIZE);
        qemu.write('q', segment, *address);
        qemu.write('q', segment + 8, *length);
    }
    qemu.write('l', DOORBELL, DESCRIPTOR / 4096);
    (
        qemu.read('l', descriptor(abi::BULK_STATUS)),
        qemu.read('l', descriptor(abi::BULK_DONE)),
    )
}

fn counters(qemu: &mut Process) -> [u64; 3] {
    ["reads", "seeds", "guest-errors"].map(|name| qemu.property(name).as_u64().expect("a counter"))
}

/// How many lines end with this text.
fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.ends_with(text)).count()
}

#[test]
fn a_busy_device_refuses_every_other_call() {
    let mut qemu = start(",generator=host");
    assert_eq!(run(&mut qemu, "reenter"), "");
    assert_ne!((qemu.read('l', RNG), qemu.read('l', RNG)), (0, 0));
    assert_eq!(said(&mut qemu), REFUSED);
    // A read, two writes, two phases of a reset, a state saved and one loaded.
    assert_eq!(counters(&mut qemu), [2, 0, 7]);

    run(&mut qemu, "reenter");
    let outcome = transfer(&mut qemu, &[(BUFFER, 8), (BUFFER + 4096, 8)]);
    assert_eq!(outcome, (abi::BULK_FILLED.into(), 16));
    assert_eq!(said(&mut qemu), REFUSED);
    assert_eq!(counters(&mut qemu), [6, 0, 14]);
    assert_eq!(count(&end(qemu), DROPPED), 14);
}

#[test]
fn a_call_without_the_big_lock_does_not_touch_the_device() {
    let mut qemu = start(",seed=66");
    let [first, second, ..] = known_answers::LIBC[2].first;
    assert_eq!(qemu.read('l', RNG), u64::from(first));
    assert_eq!(run(&mut qemu, "unlocked"), REFUSED);
    // Not even its count of errors.
    assert_eq!(counters(&mut qemu), [1, 0, 0]);
    assert_eq!(qemu.read('l', RNG), u64::from(second));
    assert_eq!(
        run(&mut qemu, "realize-unlocked"),
        "my_rng: realized without QEMU's big lock\n"
    );
    let errors = end(qemu);
    assert_eq!(count(&errors, DROPPED), 6);
    assert_eq!(
        count(
            &errors,
            "my_rng /machine/peripheral/rng: a state that arrives without QEMU's big lock, as in a postcopy migration, is refused"
        ),
        1
    );
}

#[test]
fn an_unrealized_device_refuses_every_call() {
    let mut qemu = start("");
    assert_eq!(run(&mut qemu, "unrealized"), REFUSED);
    assert_eq!(counters(&mut qemu), [0, 0, 0]);
    assert_eq!(count(&end(qemu), DROPPED), 7);
}

#[test]
fn a_realize_that_failed_can_be_repeated() {
    let mut qemu = start("");
    let long = "x".repeat(100_000);
    // BYTES stands for some that are not UTF-8.
    for generator in ["", "rand", "libc ", "\u{1b}[2J%s%n", "BYTES", &long] {
        let said = run(&mut qemu, &format!("realize-again {generator}"));
        let (error, rest) = said.split_once('\n').expect("an error");
        assert!(error.starts_with("my_rng: generator: "), "{error:?}");
        assert!(
            error.ends_with("it is one of libc, chacha20, host, chacha8 and xoshiro256pp"),
            "{error:?}"
        );
        assert!(!error.contains(char::is_control), "{error:?}");
        let first = known_answers::CHACHA20[1].first[0];
        assert_eq!(rest, format!("{REFUSED}done\nread {first}\n"));
    }
    // Not ended by `end`: QEMU itself leaks where a device is realized twice.
}

/// QEMU reads the file of an option ROM after the device was realized, for example.
#[test]
fn a_realize_that_fails_late_leaves_nothing_behind() {
    let mut qemu = start("");
    for _ in 0..3 {
        let said = run(&mut qemu, "realize-late");
        let (error, rest) = said.split_once('\n').expect("an error");
        assert!(error.contains("/no such file"), "{error}");
        assert_eq!(rest, REFUSED);
    }
    assert_eq!(
        qemu.read('l', RNG),
        u64::from(known_answers::LIBC[1].first[0])
    );
    end(qemu);
}

/// The guest gets only numbers that the host gave, and QEMU learns exactly which memory was written.
#[test]
fn a_host_without_entropy_gives_no_numbers() {
    let mut qemu = start(",generator=host");
    set(&mut qemu, "entropy", 8.into());
    let numbers = [0; 4].map(|_| qemu.read('l', RNG));
    assert!(numbers[..2] != [0, 0] && numbers[2..] == [0, 0]);
    assert_eq!(qemu.read('l', FAILURES), 2);
    qemu.write('l', SEED, 7);
    assert_eq!(counters(&mut qemu), [4, 0, 1]);

    run(&mut qemu, "memory");
    set(&mut qemu, "entropy", 1024.into());
    let outcome = transfer(&mut qemu, &[(RAM, 8192)]);
    assert_eq!(outcome, (abi::BULK_NO_ENTROPY.into(), 1024));
    assert_ne!(
        (qemu.read('q', RAM + 1016), qemu.read('q', RAM + 1008)),
        (0, 0)
    );
    assert_eq!(qemu.read('q', RAM + 1024), 0);
    assert!(run(&mut qemu, "memory").starts_with("written\nclean\n"));
    assert_eq!(qemu.read('l', FAILURES), 2);
    let errors = end(qemu);
    assert_eq!(
        count(
            &errors,
            "my_rng /machine/peripheral/rng: the host has no entropy to give (reported once)"
        ),
        1
    );
}

/// After a transfer nothing stays mapped.
#[test]
fn a_transfer_unmaps_all_memory() {
    let mut qemu = start("");
    let before = run(&mut qemu, "memory");
    for at in [RAM, RAM + 4096] {
        let segments = [(at, 8), (at + 1, 4)];
        assert_eq!(
            transfer(&mut qemu, &segments),
            (abi::BULK_BAD_DESCRIPTOR.into(), 0)
        );
        assert_eq!(
            transfer(&mut qemu, &[(at, 8), (RAM_DEVICE, 4)]),
            (abi::BULK_BAD_MEMORY.into(), 0)
        );
    }
    let idle = run(&mut qemu, "memory");
    assert!(idle.starts_with("clean\nclean\n"));
    assert_eq!(
        transfer(&mut qemu, &[(RAM + 4096, 8), (RAM + 4096 + 16, 8)]),
        (abi::BULK_FILLED.into(), 16)
    );
    let after = run(&mut qemu, "memory");
    assert!(after.starts_with("clean\nwritten\n"));
    for text in [idle, after] {
        assert_eq!(text.lines().last(), before.lines().last());
    }
    end(qemu);
}

/// The memory of a device that is passed through, which QEMU cannot just write to; and a page that is half there.
#[test]
fn only_plain_memory_is_written() {
    let mut qemu = start("");
    for segment in [
        (RAM_DEVICE, 4),
        (RAM_DEVICE - 4, 8),
        (HALF_A_PAGE + 2048, 4),
        (HALF_A_PAGE + 2044, 8),
    ] {
        let outcome = transfer(&mut qemu, &[(BUFFER, 8), segment]);
        assert_eq!(outcome, (abi::BULK_BAD_MEMORY.into(), 0), "{segment:x?}");
    }
    for descriptor in [RAM_DEVICE, HALF_A_PAGE] {
        qemu.write('l', descriptor + abi::BULK_COUNT as u64, 1);
        qemu.write('q', descriptor + abi::BULK_SEGMENTS as u64, BUFFER);
        qemu.write('q', descriptor + abi::BULK_SEGMENTS as u64 + 8, 4);
        qemu.write('l', DOORBELL, descriptor / 4096);
        assert_eq!(qemu.read('l', descriptor + abi::BULK_STATUS as u64), 0);
    }
    assert_eq!(qemu.read('q', BUFFER), 0);
    assert_eq!(counters(&mut qemu), [0, 0, 6]);
    let outcome = transfer(&mut qemu, &[(HALF_A_PAGE + 2044, 4)]);
    assert_eq!(outcome, (abi::BULK_FILLED.into(), 4));
    assert_eq!(
        qemu.read('l', HALF_A_PAGE + 2044),
        u64::from(known_answers::LIBC[1].first[0])
    );
    end(qemu);
}

/// A guest cannot keep QEMU busy with guest errors that nobody reads.
#[test]
fn a_bad_access_is_formatted_only_if_it_is_logged_or_traced() {
    let mut qemu = start("");
    for (option, value, formatted) in [
        ("log", "none", false),
        ("log", "guest_errors", true),
        ("log", "none", false),
        ("trace-event", "my_rng_guest_error on", true),
        ("trace-event", "my_rng_guest_error off", false),
    ] {
        let line = format!("{option} {value}");
        qemu.qmp
            .execute("human-monitor-command", json!({ "command-line": line }));
        let said = run(&mut qemu, "allocations");
        assert_eq!(said != "0 allocations\n", formatted, "{line}: {said}");
    }
    assert_eq!(counters(&mut qemu), [0, 0, 10_000]);
    end(qemu);
}
