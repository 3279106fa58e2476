// SPDX-License-Identifier: GPL-2.0-or-later

//! All that QEMU does with a device, through the shim and the glue. That the numbers are right is tested
//! elsewhere; here they show that a call got through. Under a sanitizer, that nothing else happened.

use my_rng_glue::{Device, Host, known_answers};

const RNG: u64 = 0;
const SEED: u64 = 4;
const INFO: u64 = 8;

fn numbers(device: &Device<'_>, count: usize) -> Vec<u32> {
    (0..count)
        .map(|_| device.read(RNG, 4).try_into().expect("4 bytes are read"))
        .collect()
}

fn counters(device: &Device<'_>) -> [Option<u64>; 3] {
    [c"reads", c"seeds", c"guest-errors"].map(|name| device.counter(name))
}

#[test]
fn a_device_comes_and_goes() {
    let host = Host::start();
    // One that was never realized, too.
    drop(host.device());
    let device = host.realized(&[]);
    assert_eq!(
        device.identity(),
        [0x1234, 0xcafe, 0x10, 0x00ff, 0, 0, 4096]
    );
    assert_eq!(numbers(&device, 5), known_answers::LIBC[1].first);
    drop(device);
    assert_eq!(host.log(), "");
}

#[test]
fn properties_reach_the_model() {
    let host = Host::start();
    for answer in &known_answers::LIBC {
        let device = host.realized(&[("seed", &answer.seed.to_string())]);
        assert_eq!(numbers(&device, 5), answer.first);
    }
    for answer in &known_answers::CHACHA20 {
        // The last one counts.
        let device = host.realized(&[
            ("generator", "host"),
            ("seed", "3"),
            ("generator", "chacha20"),
            ("seed", &answer.seed.to_string()),
        ]);
        assert_eq!(numbers(&device, 5), answer.first);
    }
    let device = host.device();
    assert!(!device.set("seed", b"4294967296"));
    assert!(!device.set("reads", b"1"));
    assert!(!device.set("colour", b"red"));
}

#[test]
fn bad_properties_are_refused_and_can_be_mended() {
    let host = Host::start();
    let device = host.device();
    let long = vec![b'x'; 100_000];
    let names: [&[u8]; 6] = [b"", b"rand", b"libc ", b"\x1b[2J%s%n", b"\xff\xfe", &long];
    for name in names {
        assert!(device.set("generator", name));
        let error = device.realize().unwrap_err();
        assert!(error.starts_with("my_rng: generator: "), "{error:?}");
        assert!(
            error.ends_with("it is one of libc, chacha20 and host"),
            "{error:?}"
        );
        assert!(!error.contains(char::is_control), "{error:?}");
        // Nothing is there that could be counted, saved or loaded.
        assert_eq!(counters(&device), [Some(0); 3]);
        assert_eq!(device.save(), None);
    }
    assert!(device.set("generator", b"host"));
    assert!(device.set("seed", b"2"));
    assert_eq!(
        device.realize().unwrap_err(),
        "my_rng: seed: generator=host takes no seed; leave it out, or choose another generator"
    );
    assert!(device.set("generator", b"libc"));
    device.realize().unwrap();
    assert_eq!(numbers(&device, 1), [1_505_335_290]);
}

#[test]
fn a_device_can_be_realized_again() {
    let host = Host::start();
    let device = host.realized(&[("seed", "66")]);
    assert_eq!(numbers(&device, 5), known_answers::LIBC[2].first);
    device.unrealize();
    assert!(device.set("generator", b"chacha20"));
    device.realize().unwrap();
    assert_eq!(numbers(&device, 5), known_answers::CHACHA20[2].first);
    assert_eq!(counters(&device), [Some(5), Some(0), Some(0)]);
}

#[test]
fn every_size_at_every_offset() {
    let host = Host::start();
    for (size, pieces) in [(1, 1), (2, 1), (4, 1), (8, 2)] {
        for offset in (0..64).chain(4096 - 8..=4096 - u64::from(size)) {
            let device = host.realized(&[]);
            // Which of its pieces is all of that register, if one is.
            let piece = |register| (0..size / 4).find(|n| offset + u64::from(4 * n) == register);
            let takes = piece(RNG);
            let asks = piece(INFO);
            let seeds = piece(SEED).is_some();

            let expected = takes.map_or(0, |n| 1_804_289_383 << (32 * n))
                | asks.map_or(0, |n| 0x524e_0000 << (32 * n));
            assert_eq!(device.read(offset, size), expected, "{size} at {offset}");
            let takes = takes.is_some();
            let lines = pieces - u64::from(takes) - u64::from(asks.is_some());
            assert_eq!(
                host.log().lines().count() as u64,
                lines,
                "{size} at {offset}"
            );

            device.write(offset, 0x0000_0042_0000_0042, size);
            let more = pieces - u64::from(seeds);
            assert_eq!(
                host.log().lines().count() as u64,
                more,
                "{size} at {offset}"
            );
            assert_eq!(
                counters(&device),
                [takes.into(), seeds.into(), lines + more].map(Some)
            );
            if seeds {
                assert_eq!(numbers(&device, 5), known_answers::LIBC[2].first);
            }
        }
    }
}

#[test]
fn info_tells_the_generator() {
    let host = Host::start();
    for (generator, expected) in [
        ("libc", 0x524e_0000),
        ("chacha20", 0x524e_0001),
        ("host", 0x524e_0002),
    ] {
        let device = host.realized(&[("generator", generator)]);
        let state = device.save();
        // There is no entropy, so it cannot have asked for any unnoticed.
        assert_eq!(device.read(INFO, 4), expected);
        assert_eq!(device.save(), state);
        assert_eq!(counters(&device), [Some(0); 3]);
        assert_eq!(host.log(), "");
        device.write(INFO, 0x42, 4);
        assert_eq!(
            host.log(),
            "my_rng: 4-byte write at offset 0x8: INFO is read-only\n"
        );
        assert_eq!(device.read(INFO, 4), expected);
    }
}

#[test]
fn what_the_guest_does_wrong_is_logged_where_that_is_asked_for() {
    let host = Host::start();
    let device = host.realized(&[]);
    assert_eq!(device.read(RNG, 2), 0);
    device.write(RNG, 1, 4);
    assert_eq!(
        host.log(),
        "my_rng: 2-byte read at offset 0x0: only 4-byte accesses do anything\n\
         my_rng: 4-byte write at offset 0x0: RNG is read-only\n"
    );
    host.switch_log(false, false);
    assert_eq!(device.read(RNG, 2), 0);
    assert_eq!(host.log(), "");
    assert_eq!(counters(&device), [0, 0, 3].map(Some));
}

#[test]
fn what_happens_can_be_traced() {
    let host = Host::start();
    let device = host.realized(&[]);
    host.switch_log(false, true);
    device.write(SEED, 0x42, 4);
    assert_eq!(device.read(RNG, 4), 286_129_175);
    assert_eq!(device.read(SEED, 4), 0);
    device.reset();
    assert_eq!(
        host.log(),
        "my_rng_write /machine/fake offset 0x4 size 4 value 0x42\n\
         my_rng_seed /machine/fake seed 0x42\n\
         my_rng_read /machine/fake offset 0x0 size 4 value 0x110dfc17\n\
         my_rng_guest_error /machine/fake 4-byte read at offset 0x4: SEED is write-only\n\
         my_rng_read /machine/fake offset 0x4 size 4 value 0x0\n\
         my_rng_reset /machine/fake\n"
    );
    // Its path outlives its being realized.
    device.unrealize();
    device.reset();
    assert_eq!(host.log(), "my_rng_reset /machine/fake\n");
}

#[test]
fn a_reset_leads_to_the_initial_seed() {
    let host = Host::start();
    for generator in ["libc", "chacha20"] {
        let device = host.realized(&[("seed", "66"), ("generator", generator)]);
        let first = numbers(&device, 5);
        device.write(SEED, 7, 4);
        assert_ne!(numbers(&device, 5), first);
        device.reset();
        assert_eq!(numbers(&device, 5), first);
        assert_eq!(counters(&device), [15, 1, 0].map(Some));
    }
}

#[test]
fn a_state_travels() {
    let host = Host::start();
    host.entropy(u32::MAX);
    for generator in ["libc", "chacha20", "host"] {
        let source = host.realized(&[("generator", generator)]);
        if generator != "host" {
            source.write(SEED, 0x42, 4);
        }
        numbers(&source, 3);
        let state = source.save().unwrap();
        assert_eq!(state.len(), 1 + 4 + 4 + 8 + 31 * 4);
        let destination = host.realized(&[("generator", generator)]);
        assert!(destination.load(&state, 1));
        assert_eq!(destination.save().unwrap(), state);
        if generator != "host" {
            assert_eq!(numbers(&destination, 50), numbers(&source, 50));
        }
        assert_eq!(host.log(), "");
    }
}

#[test]
fn a_state_that_is_none_is_refused_and_told() {
    let host = Host::start();
    let device = host.realized(&[("seed", "5")]);
    numbers(&device, 3);
    let own = device.save().unwrap();
    for (at, byte, told) in [
        (0, 99, "it names generator 99, which is not known here"),
        (
            0,
            1,
            "it is of a device with generator=chacha20, and this one has generator=libc: give both \
             sides the same",
        ),
        (
            4,
            6,
            "it is of a device with seed=6, and this one has seed=5: give both sides the same",
        ),
        (16, 31, "the generator libc cannot stand where it says"),
        (9, 0xff, "the generator libc cannot stand where it says"),
    ] {
        let mut state = own.clone();
        state[at] = byte;
        assert!(!device.load(&state, 1));
        assert_eq!(
            host.log(),
            format!("my_rng: the state that arrived is refused: {told}\n")
        );
        assert_eq!(device.save().unwrap(), own);
    }
    // QEMU refuses these itself.
    assert!(!device.load(&own, 0));
    assert!(!device.load(&own, 2));
    assert!(!device.load(&own[..own.len() - 1], 1));
    assert!(device.load(&own, 1));
}

#[test]
fn before_it_is_realized_there_is_nothing_to_save_load_or_reset() {
    let host = Host::start();
    let state = host.realized(&[]).save().unwrap();
    let device = host.device();
    assert_eq!(device.save(), None);
    assert!(!device.load(&state, 1));
    device.reset();
    // Each is logged, and the user is told of the state as well.
    assert_eq!(host.log().lines().count(), 4);
    assert_eq!(counters(&device), [Some(0); 3]);
}

#[test]
fn entropy_runs_out() {
    let host = Host::start();
    host.entropy(2);
    let device = host.realized(&[("generator", "host")]);
    assert_eq!(numbers(&device, 4), [1, 2, 0, 0]);
    // Once in a process.
    assert_eq!(
        host.log(),
        "my_rng: the host has no entropy to give, and the guest reads 0 (reported once)\n"
    );
    host.entropy(1);
    assert_eq!(numbers(&device, 2), [1, 0]);
    device.write(SEED, 7, 4);
    assert_eq!(
        host.log(),
        "my_rng: 4-byte write at offset 0x4: the host's entropy takes no seed\n"
    );
}

/// QEMU must not come back to a device while it is at work; if it does, nothing breaks.
#[test]
fn a_device_that_is_at_work_is_left_alone() {
    let host = Host::start();
    host.entropy(2);
    let device = host.realized(&[("generator", "host")]);
    device.reenter();
    assert_eq!(numbers(&device, 2), [1, 2]);
    let log = host.log();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().all(|line| line.contains("re-entered")), "{log}");
    assert_eq!(counters(&device), [2, 0, 0].map(Some));
}

/// Another thread must not reach a device without QEMU's big lock; if it does, nothing is touched.
#[test]
fn without_the_big_lock_nothing_is_touched() {
    let host = Host::start();
    let device = host.realized(&[("seed", "66")]);
    let state = device.save().expect("a state");
    assert_eq!(numbers(&device, 1), known_answers::LIBC[2].first[..1]);
    host.unlocked(|| {
        assert_eq!(device.read(RNG, 4), 0);
        device.write(SEED, 7, 4);
        device.reset();
        assert_eq!(device.save(), None);
        assert!(!device.load(&state, 1));
    });
    let log = host.log();
    assert!(
        log.contains("my_rng: a state arrived where none may come, and is refused\n"),
        "{log}"
    );
    assert_eq!(counters(&device), [1, 0, 0].map(Some));
    assert_eq!(numbers(&device, 1), known_answers::LIBC[2].first[1..2]);
    let unborn = host.device();
    assert_eq!(
        host.unlocked(|| unborn.realize()),
        Err("my_rng: realized without QEMU's big lock".to_owned())
    );
}

#[test]
fn devices_are_apart() {
    let host = Host::start();
    let one = host.realized(&[("seed", "66")]);
    let other = host.realized(&[("generator", "chacha20"), ("seed", "66")]);
    for i in 0..5 {
        assert_eq!(numbers(&one, 1), [known_answers::LIBC[2].first[i]]);
        assert_eq!(numbers(&other, 1), [known_answers::CHACHA20[2].first[i]]);
    }
    drop(one);
    other.reset();
    assert_eq!(numbers(&other, 5), known_answers::CHACHA20[2].first);
}
