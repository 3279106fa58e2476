// SPDX-License-Identifier: GPL-2.0-or-later

//! The kit's glue, where no qtest reaches it, under AddressSanitizer. The tester of `qemu/test-devices.c` calls a
//! device at times and in ways in which QEMU should not.

use my_rng_e2e::answers::{Kind, known, libc};
use my_rng_e2e::{Machine, Process, REGISTERS, abi, asan_qemu};
use serde_json::{Value, json};

const RNG: u64 = REGISTERS + abi::REG_RNG as u64;
const SEED: u64 = REGISTERS + abi::REG_SEED as u64;
const DOORBELL: u64 = REGISTERS + abi::REG_DOORBELL as u64;
const FAILURES: u64 = REGISTERS + abi::REG_FAILURES as u64;
/// A descriptor and a buffer in the machine's own memory.
const DESCRIPTOR: u64 = 0x10_0000;
const BUFFER: u64 = 0x20_0000;
/// The tester's memory.
const RAM: u64 = 0x4000_0000;
const RAM_DEVICE: u64 = 0x4000_2000;
const HALF_A_PAGE: u64 = 0x4000_3000;
/// The tester itself.
const TESTER: &str = "/machine/peripheral/tester";

/// What the tester says when a device refuses all calls.
const REFUSED: &str = "read 0\nsave -22\nload -22\nreads 0\n";
const DROPPED: &str = "access dropped: device busy, not realized, or BQL not held";

/// A machine with a device and the tester.
fn start(properties: &str) -> Process {
    let mut qemu = Machine::qtest(properties)
        .qemu(asan_qemu())
        .device("my-rng-tester,id=tester")
        .args(["-d", "guest_errors"])
        .start();
    qemu.enable(6);
    qemu
}

fn set(qemu: &mut Process, property: &str, value: Value) {
    qemu.qmp.execute(
        "qom-set",
        json!({ "path": TESTER, "property": property, "value": value }),
    );
}

/// What the tester has said since the last call.
fn said(qemu: &mut Process) -> String {
    let said = qemu
        .qmp
        .execute("qom-get", json!({ "path": TESTER, "property": "said" }));
    said.as_str().expect("text").to_owned()
}

/// Lets the tester do something. Returns what it says.
fn run(qemu: &mut Process, what: &str) -> String {
    set(qemu, "run", what.into());
    said(qemu)
}

/// Writes a descriptor with these segments, and rings the doorbell. Returns the status, and how many bytes were
/// written.
fn transfer_by(qemu: &mut Process, descriptor: u64, segments: &[(u64, u64)]) -> (u64, u64) {
    let field = |at: usize| descriptor + at as u64;
    qemu.write('l', field(abi::BULK_STATUS), 0);
    qemu.write('l', field(abi::BULK_DONE), 0);
    qemu.write('l', field(abi::BULK_COUNT), segments.len() as u64);
    for (at, (address, length)) in segments.iter().enumerate() {
        let segment = field(abi::BULK_SEGMENTS + at * abi::BULK_SEGMENT_SIZE);
        qemu.write('q', segment, *address);
        qemu.write('q', segment + 8, *length);
    }
    qemu.write('l', DOORBELL, descriptor / 4096);
    (
        qemu.read('l', field(abi::BULK_STATUS)),
        qemu.read('l', field(abi::BULK_DONE)),
    )
}

/// The same with the usual descriptor. Checks the status and how many bytes were written.
fn transfer(qemu: &mut Process, segments: &[(u64, u64)], status: u32, written: u64) {
    let outcome = transfer_by(qemu, DESCRIPTOR, segments);
    assert_eq!(outcome, (status.into(), written), "{segments:x?}");
}

fn counters(qemu: &mut Process) -> [u64; 3] {
    ["reads", "seeds", "guest-errors"].map(|name| qemu.property(name).as_u64().expect("a counter"))
}

/// Ends QEMU, and checks how many lines of its log end with this text. The sanitizer then looks for leaks, and QEMU
/// fails if it finds any.
fn end_with(qemu: Process, text: &str, count: usize) {
    let log = qemu.quit();
    let found = log.lines().filter(|line| line.ends_with(text)).count();
    assert_eq!(found, count, "{text}: {log}");
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
    let segments = [(BUFFER, 8), (BUFFER + 4096, 8)];
    transfer(&mut qemu, &segments, abi::BULK_FILLED, 16);
    assert_eq!(said(&mut qemu), REFUSED);
    assert_eq!(counters(&mut qemu), [6, 0, 14]);
    end_with(qemu, DROPPED, 14);
}

#[test]
fn a_call_without_the_big_lock_does_not_touch_the_device() {
    let mut qemu = start(",seed=66");
    let [first, second, ..] = libc(0x42);
    assert_eq!(qemu.read('l', RNG), u64::from(first));
    assert_eq!(run(&mut qemu, "unlocked"), REFUSED);
    // Even its count of errors is unchanged.
    assert_eq!(counters(&mut qemu), [1, 0, 0]);
    assert_eq!(qemu.read('l', RNG), u64::from(second));
    assert_eq!(
        run(&mut qemu, "realize-unlocked"),
        "my_rng: realized without QEMU's big lock\n"
    );
    let refused = "my_rng /machine/peripheral/rng: a state that arrives without QEMU's big lock, as in a postcopy \
                   migration, is refused";
    assert_eq!(qemu.errors().matches(refused).count(), 1);
    end_with(qemu, DROPPED, 6);
}

#[test]
fn an_unrealized_device_refuses_every_call() {
    let mut qemu = start("");
    assert_eq!(run(&mut qemu, "unrealized"), REFUSED);
    assert_eq!(counters(&mut qemu), [0, 0, 0]);
    end_with(qemu, DROPPED, 7);
}

#[test]
fn a_realize_that_failed_can_be_repeated() {
    let mut qemu = start("");
    let long = "x".repeat(100_000);
    // BYTES stands for bytes that are not UTF-8.
    for generator in ["", "rand", "libc ", "\u{1b}[2J%s%n", "BYTES", &long] {
        let said = run(&mut qemu, &format!("realize-again {generator}"));
        let (error, rest) = said.split_once('\n').expect("an error");
        assert!(error.starts_with("my_rng: generator: "), "{error:?}");
        assert!(
            error.ends_with("it is one of libc, chacha20, host, chacha8 and xoshiro256pp"),
            "{error:?}"
        );
        assert!(!error.contains(char::is_control), "{error:?}");
        let [first, ..] = known(Kind::ChaCha20, abi::DEFAULT_SEED).first;
        assert_eq!(rest, format!("{REFUSED}done\nread {first}\n"));
    }
    // Not ended by `quit`, which looks for leaks: QEMU itself leaks if a device is realized twice.
}

/// For example, QEMU reads the file of an option ROM after the device's own realize.
#[test]
fn a_realize_that_fails_late_leaves_nothing_behind() {
    let mut qemu = start("");
    for _ in 0..3 {
        let said = run(&mut qemu, "realize-late");
        let (error, rest) = said.split_once('\n').expect("an error");
        assert!(error.contains("/no such file"), "{error}");
        assert_eq!(rest, REFUSED);
    }
    assert_eq!(qemu.read('l', RNG), u64::from(libc(1)[0]));
    qemu.quit();
}

/// The guest gets only entropy of the host, and QEMU marks exactly the memory that was written as dirty.
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
    transfer(&mut qemu, &[(RAM, 8192)], abi::BULK_NO_ENTROPY, 1024);
    assert_ne!(
        (qemu.read('q', RAM + 1016), qemu.read('q', RAM + 1008)),
        (0, 0)
    );
    assert_eq!(qemu.read('q', RAM + 1024), 0);
    assert!(run(&mut qemu, "memory").starts_with("written\nclean\n"));
    assert_eq!(qemu.read('l', FAILURES), 2);
    let reported =
        "my_rng /machine/peripheral/rng: the host has no entropy to give (reported once)";
    end_with(qemu, reported, 1);
}

#[test]
fn a_transfer_unmaps_all_memory() {
    let mut qemu = start("");
    let before = run(&mut qemu, "memory");
    for at in [RAM, RAM + 4096] {
        let misaligned = [(at, 8), (at + 1, 4)];
        transfer(&mut qemu, &misaligned, abi::BULK_BAD_DESCRIPTOR, 0);
        let bad_end = [(at, 8), (RAM_DEVICE, 4)];
        transfer(&mut qemu, &bad_end, abi::BULK_BAD_MEMORY, 0);
    }
    let idle = run(&mut qemu, "memory");
    assert!(idle.starts_with("clean\nclean\n"));
    let segments = [(RAM + 4096, 8), (RAM + 4096 + 16, 8)];
    transfer(&mut qemu, &segments, abi::BULK_FILLED, 16);
    let after = run(&mut qemu, "memory");
    assert!(after.starts_with("clean\nwritten\n"));
    for text in [idle, after] {
        assert_eq!(text.lines().last(), before.lines().last());
    }
    qemu.quit();
}

/// Not the memory of a passed-through device, which QEMU must not write directly, and not behind the end of memory.
#[test]
fn only_plain_memory_is_written() {
    let mut qemu = start("");
    for segment in [
        (RAM_DEVICE, 4),
        (RAM_DEVICE - 4, 8),
        (HALF_A_PAGE + 2048, 4),
        (HALF_A_PAGE + 2044, 8),
    ] {
        let segments = [(BUFFER, 8), segment];
        transfer(&mut qemu, &segments, abi::BULK_BAD_MEMORY, 0);
    }
    for descriptor in [RAM_DEVICE, HALF_A_PAGE] {
        assert_eq!(transfer_by(&mut qemu, descriptor, &[(BUFFER, 4)]), (0, 0));
    }
    assert_eq!(qemu.read('q', BUFFER), 0);
    assert_eq!(counters(&mut qemu), [0, 0, 6]);
    let last = [(HALF_A_PAGE + 2044, 4)];
    transfer(&mut qemu, &last, abi::BULK_FILLED, 4);
    assert_eq!(qemu.read('l', HALF_A_PAGE + 2044), u64::from(libc(1)[0]));
    qemu.quit();
}

/// Otherwise a guest could keep QEMU busy with errors that nobody reads.
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
        qemu.monitor(&line);
        let said = run(&mut qemu, "allocations");
        assert_eq!(said != "0 allocations\n", formatted, "{line}: {said}");
    }
    assert_eq!(counters(&mut qemu), [0, 0, 10_000]);
    qemu.quit();
}
