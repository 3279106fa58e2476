// SPDX-License-Identifier: GPL-2.0-or-later

//! The kit's glue, where no qtest reaches it, under AddressSanitizer. The tester of `qemu/test-devices.c` calls a
//! device at times and in ways in which QEMU should not.

use my_rng_e2e::answers::{Kind, known, libc, stream};
use my_rng_e2e::{Machine, Process, abi, asan_qemu};
use serde_json::{Value, json};

/// `TEST_REGISTERS` in `tests/qemu/test-devices.h`.
const REGISTERS: u64 = 0xfebf_0000;
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

    end_with(qemu, DROPPED, 7);
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

/// What happens while a transfer is held in the middle, and which callers wait for it.
fn hold(generator: &str, job: &str) -> (Process, Vec<String>) {
    let mut qemu = start(&format!(",generator={generator}"));
    let said = run(&mut qemu, job);
    let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
    for line in ["held, without the big lock", "the big lock is free"] {
        assert_eq!(lines.remove(0), line, "{job}: {lines:?}");
    }
    (qemu, lines)
}

#[test]
fn a_reset_a_save_and_an_unplug_wait_for_a_transfer() {
    for generator in ["libc", "chacha8", "chacha20", "host", "xoshiro256pp"] {
        for (job, ends) in [
            ("hold main reset", "reset"),
            ("hold main save", "save 0"),
            ("hold main unplug", "unplugged"),
            // A guest can reset a bus.
            ("hold cpu reset", "reset"),
        ] {
            let (qemu, said) = hold(generator, job);
            // Only then does the transfer take the big lock and return.
            let order = ["waits", "goes on", ends, "transfer 1"];
            assert_eq!(said, order, "{generator}: {job}");
            qemu.quit();
        }
    }
}

#[test]
fn accesses_go_on_beside_a_transfer_that_can_be_placed() {
    for (generator, first) in [("chacha8", Kind::ChaCha8), ("chacha20", Kind::ChaCha20)] {
        for caller in ["cpu", "device", "main"] {
            let (mut qemu, said) = hold(generator, &format!("hold {caller} number"));
            let next = stream(first, 1).nth(2048).expect("no end");
            let order = [&format!("number {next}"), "did not wait", "goes on"];
            assert_eq!(said[..3], order, "{generator}");
            assert_eq!(counters(&mut qemu), [2049, 0, 0]);
            qemu.quit();
        }
    }
    let (qemu, said) = hold("host", "hold cpu info");
    assert_eq!(said[1..], ["did not wait", "goes on", "transfer 1"]);
    qemu.quit();
    // The transfer has counted its numbers before.
    let (qemu, said) = hold("chacha8", "hold main reads");
    let order = ["reads 2048", "did not wait", "goes on", "transfer 1"];
    assert_eq!(said, order);
    qemu.quit();
}

#[test]
fn accesses_wait_for_a_transfer_that_has_the_device() {
    for (generator, kind) in [
        ("libc", Kind::Libc),
        ("xoshiro256pp", Kind::Xoshiro256PlusPlus),
    ] {
        let next = stream(kind, 1).nth(2048).expect("no end");
        let number = format!("number {next}");
        for (job, ends) in [
            ("hold main number", number.as_str()),
            ("hold main reads", "reads 2048"),
        ] {
            let (qemu, said) = hold(generator, job);
            let order = ["waits", "goes on", ends, "transfer 1"];
            assert_eq!(said, order, "{generator}");
            qemu.quit();
        }
        for caller in ["cpu", "device"] {
            let (qemu, said) = hold(generator, &format!("hold {caller} number"));
            assert_eq!(said[..2], ["waits", "goes on"], "{generator}");
            // They return in any order.
            assert!(said.contains(&number), "{said:?}");
            qemu.quit();
        }
    }
}

#[test]
fn accesses_wait_while_a_transfer_maps_memory() {
    for (generator, first) in [("chacha8", Kind::ChaCha8), ("libc", Kind::Libc)] {
        let next = stream(first, 1).nth(2048).expect("no end");
        for caller in ["cpu", "device", "main"] {
            let (qemu, said) = hold(generator, &format!("hold-map {caller} number"));
            assert_eq!(said[..2], ["waits", "goes on"], "{generator}");
            // They end in any order.
            assert!(said.contains(&format!("number {next}")), "{said:?}");
            assert!(said.contains(&"transfer 1".to_owned()), "{said:?}");
            qemu.quit();
        }
        let (qemu, said) = hold(generator, "hold-map main reset");
        assert_eq!(said, ["waits", "goes on", "reset", "transfer 1"]);
        qemu.quit();
    }
}

/// Without the big lock, memory can go while a transfer maps it. Then QEMU lends a bounce buffer, whose contents it would
/// write to whatever is there now.
#[test]
fn memory_that_goes_while_it_is_mapped_is_refused() {
    for generator in ["libc", "chacha8"] {
        let mut qemu = start(&format!(",generator={generator}"));
        for errors in 0..6 {
            let status = [0, abi::BULK_BAD_MEMORY][usize::from(errors >= 2)];
            // The descriptor, and the segments. Twice, because QEMU 8.2 has a single bounce buffer.
            let said = run(&mut qemu, &format!("gone-map {}", 1 + errors / 2));
            assert_eq!(said, format!("transfer 0\nstatus {status}\n"));
            // Nothing was read from the registers, or written to them.
            assert_eq!(counters(&mut qemu), [0, 0, errors + 1], "{generator}");
        }
        transfer(&mut qemu, &[(BUFFER, 8)], abi::BULK_FILLED, 8);
        end_with(qemu, "that the device can write to", 4);
    }
}

#[test]
fn virtual_cpus_that_wait_take_turns() {
    let (qemu, said) = hold("libc", "turns");
    let numbers: Vec<_> = stream(Kind::Libc, 1).skip(2048).take(2).collect();
    let last = format!("numbers {} {}", numbers[0], numbers[1]);
    assert_eq!(said, ["goes on", "transfer 1", &last]);
    qemu.quit();
}

#[test]
fn an_access_that_waits_for_a_device_that_is_unplugged_reads_0() {
    let (qemu, said) = hold("libc", "gone");
    let order = ["waits", "goes on", "unplugged", "transfer 1", "number 0"];
    assert_eq!(said, order);
    end_with(qemu, DROPPED, 1);
}

#[test]
fn only_the_access_of_a_virtual_cpu_releases_the_big_lock() {
    for generator in ["libc", "chacha8"] {
        let mut qemu = start(&format!(",generator={generator}"));
        assert_eq!(
            run(&mut qemu, "attributes"),
            "cpu: without the big lock, 1 released\n\
             device: with the big lock, 0 released\n\
             message: with the big lock, 0 released\n\
             locked instruction: with the big lock, 0 released\n\
             other thread: with the big lock, 0 released\n"
        );
        assert_eq!(counters(&mut qemu), [5 * 1024, 0, 0]);
        qemu.quit();
    }
    let mut qemu = start(",parallel=off");
    let said = run(&mut qemu, "attributes");
    assert_eq!(said.matches("with the big lock, 0 released").count(), 5);
    qemu.quit();
}

/// Unmapping marks the memory as dirty. A caller that has waited for a transfer sees the marks.
#[test]
fn a_transfer_has_marked_memory_as_dirty_when_it_ends() {
    for generator in ["libc", "chacha8"] {
        let mut qemu = start(&format!(",generator={generator}"));
        let before = run(&mut qemu, "memory");
        let said = run(&mut qemu, "dirty");
        assert_eq!(
            said,
            "held, without the big lock\n\
             the big lock is free\n\
             waits\n\
             goes on\n\
             reset\n\
             3 unmapped\n\
             transfer 1\n",
            "{generator}"
        );
        let after = run(&mut qemu, "memory");
        assert!(after.starts_with("written\nwritten\n"), "{after}");
        assert_eq!(after.lines().last(), before.lines().last());
        qemu.quit();
    }
}
