// SPDX-License-Identifier: GPL-2.0-or-later

//! All that QEMU does with a device, through the shim and the glue. That the numbers are right is tested
//! elsewhere; here they show that a call got through. Under a sanitizer, that nothing else happened.

use my_rng_glue::{Device, Host, IOMMU_SHIFT, Iommu, Memory, Region, known_answers};

const RNG: u64 = 0;
const SEED: u64 = 4;
const INFO: u64 = 8;
const FAILURES: u64 = 16;
const DOORBELL: u64 = 12;

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
    for (generator, answers) in [
        ("chacha20", &known_answers::CHACHA20),
        ("chacha8", &known_answers::CHACHA8),
        ("xoshiro256pp", &known_answers::XOSHIRO256PP),
    ] {
        for answer in answers {
            // The last one counts.
            let device = host.realized(&[
                ("generator", "host"),
                ("seed", "3"),
                ("generator", generator),
                ("seed", &answer.seed.to_string()),
            ]);
            assert_eq!(numbers(&device, 5), answer.first);
        }
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
            error.ends_with("it is one of libc, chacha20, host, chacha8 and xoshiro256pp"),
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

/// `qom-set realized` off and on does this, where QEMU lets it: from 10.0 on QEMU itself aborts there, for
/// every PCI device.
#[test]
fn a_device_can_be_realized_again() {
    let host = Host::start();
    let device = host.realized(&[("seed", "66")]);
    for (generator, expected) in [
        ("libc", known_answers::LIBC[2].first),
        ("chacha20", known_answers::CHACHA20[2].first),
    ] {
        device.unrealize();
        // Nothing of the device is left.
        assert_eq!(counters(&device), [Some(0); 3]);
        assert_eq!(device.save(), None);
        assert!(device.set("generator", generator.as_bytes()));
        device.realize().unwrap();
        assert_eq!(numbers(&device, 5), expected);
        assert_eq!(counters(&device), [Some(5), Some(0), Some(0)]);
    }
}

/// QEMU reads the file of an option ROM after the device was realized, for example.
#[test]
fn a_realize_that_fails_late_leaves_nothing_behind() {
    let host = Host::start();
    let device = host.device();
    for _ in 0..3 {
        host.fail_late();
        assert_eq!(device.realize().unwrap_err(), "realized, but not for long");
        assert_eq!(counters(&device), [Some(0); 3]);
        assert_eq!(device.save(), None);
    }
    device.realize().unwrap();
    assert_eq!(numbers(&device, 5), known_answers::LIBC[1].first);
    host.fail_late();
    let other = host.device();
    other.realize().unwrap_err();
    drop(other);
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
            let looks = piece(FAILURES).is_some();
            let seeds = piece(SEED).is_some();

            let expected = takes.map_or(0, |n| 1_804_289_383 << (32 * n))
                | asks.map_or(0, |n| 0x524e_0300 << (32 * n));
            assert_eq!(device.read(offset, size), expected, "{size} at {offset}");
            let takes = takes.is_some();
            let lines = pieces - u64::from(takes) - u64::from(asks.is_some()) - u64::from(looks);
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
        ("libc", 0x524e_0300),
        ("chacha20", 0x524e_0301),
        ("host", 0x524e_0302),
        ("chacha8", 0x524e_0303),
        ("xoshiro256pp", 0x524e_0304),
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
            "my_rng /machine/fake: 4-byte write at offset 0x8: INFO is read-only\n"
        );
        assert_eq!(device.read(INFO, 4), expected);
    }
}

/// Writes a descriptor to the second page, and rings; its status, and the bytes done. All addresses are those
/// of memory, and `shift` more for the device.
fn transfer_at(
    shift: u64,
    memory: &Memory<'_>,
    device: &Device<'_>,
    segments: &[(u64, u32)],
) -> (u32, u32) {
    let mut descriptor = [0, segments.len() as u32, 0, 0]
        .map(u32::to_le_bytes)
        .concat();
    for (address, length) in segments {
        descriptor.extend((address + shift).to_le_bytes());
        descriptor.extend(u64::from(*length).to_le_bytes());
    }
    memory.store(4096, &descriptor);
    device.write(DOORBELL, 1 + shift / 4096, 4);
    assert_eq!(memory.mapped(), 0);
    let word = |at| u32::from_le_bytes(memory.load(at, 4).try_into().expect("4 bytes"));
    (word(4096), word(4096 + 8))
}

fn transfer(memory: &Memory<'_>, device: &Device<'_>, segments: &[(u64, u32)]) -> (u32, u32) {
    transfer_at(0, memory, device, segments)
}

/// Memory is aligned to 16 bytes at the least here, so these are all the ways in which words can lie.
#[test]
fn a_transfer_fills_memory_to_the_byte() {
    let host = Host::start();
    for (iommu, shift) in [(Iommu::None, 0), (Iommu::ReadWrite, IOMMU_SHIFT)] {
        for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp"] {
            let memory = host.memory(5 * 4096 + 20);
            host.iommu(iommu);
            let properties = [("generator", generator), ("seed", "66")];
            let (device, single) = (host.realized(&properties), host.realized(&properties));
            let segments = [
                (2 * 4096 - 4, 12),
                (2 * 4096 + 8, 4),
                (2 * 4096 + 12, 2000),
                // To the very end of memory.
                (4 * 4096 + 4, 4096 + 16),
            ];
            let outcome = transfer_at(shift, &memory, &device, &segments);
            assert_eq!(outcome, (1, 6128));
            for (address, length) in segments {
                let expected: Vec<u8> = numbers(&single, length as usize / 4)
                    .into_iter()
                    .flat_map(u32::to_le_bytes)
                    .collect();
                let filled = memory.load(address as usize, length as usize);
                assert!(filled == expected, "{generator} at {address:#x}");
            }
            assert_eq!(memory.load(4 * 4096, 4), [0; 4]);
            // The descriptor was written up to the bytes done.
            assert_eq!(memory.written(), 6128 + 12);
            assert_eq!(counters(&device), [Some(1532), Some(0), Some(0)]);
            assert_eq!(host.log(), "");
        }
    }
}

#[test]
fn what_is_no_memory_is_never_touched() {
    let host = Host::start();
    let memory = host.memory(4 * 4096);
    let device = host.realized(&[]);
    let untouched = device.save();
    let told = "my_rng /machine/fake: 4-byte write at offset 0xc: the descriptor at ";
    for region in [Region::Registers, Region::Rom, Region::RamDevice] {
        host.beyond(region);
        for (segments, index) in [
            (vec![(4 * 4096, 4)], 0),
            (vec![(3 * 4096, 8192)], 0),
            (vec![(3 * 4096, 8), (1 << 40, 8)], 1),
            (vec![(u64::MAX - 3, 4)], 0),
        ] {
            assert_eq!(transfer(&memory, &device, &segments), (3, 0));
            assert_eq!(
                host.log(),
                format!(
                    "{told}0x1000 has a bad segment {index}: it is not in memory that the device can write \
                     to\n"
                )
            );
        }
        assert_eq!(memory.load(3 * 4096, 4096), [0; 4096]);
        for page in [4, u32::MAX] {
            device.write(DOORBELL, page.into(), 4);
            assert_eq!(
                host.log(),
                format!(
                    "{told}{:#x} is not in memory that the device can read and write\n",
                    u64::from(page) * 4096
                )
            );
        }
    }
    // One that is only partly there.
    let memory = host.memory(2 * 4096 - 1);
    device.write(DOORBELL, 1, 4);
    assert!(host.log().contains("is not in memory"));
    assert_eq!((memory.written(), memory.mapped()), (0, 0));
    assert_eq!(device.save(), untouched);
    host.unlocked(|| device.write(DOORBELL, 1, 4));
    assert!(host.log().contains("BQL not held"));
}

/// A descriptor is read and written, so both have to be allowed.
#[test]
fn an_iommu_has_its_say_for_each_direction() {
    let host = Host::start();
    let memory = host.memory(4 * 4096);
    let device = host.realized(&[]);
    let segments = [(2 * 4096, 8)];
    for iommu in [Iommu::ReadOnly, Iommu::WriteOnly] {
        host.iommu(iommu);
        let outcome = transfer_at(IOMMU_SHIFT, &memory, &device, &segments);
        assert_eq!(outcome, (0, 0), "{iommu:?}");
        assert!(
            host.log()
                .contains("is not in memory that the device can read and write")
        );
        assert_eq!(memory.written(), 0);
    }
    host.iommu(Iommu::ReadWrite);
    // An address that it does not know.
    assert_eq!(transfer(&memory, &device, &segments), (0, 0));
    let outcome = transfer_at(IOMMU_SHIFT, &memory, &device, &segments);
    assert_eq!(outcome, (1, 8));
}

#[test]
fn bulk_is_a_switch() {
    let host = Host::start();
    let memory = host.memory(4 * 4096);
    let device = host.device();
    for bad in ["", "1", "yes", "ON"] {
        assert!(!device.set("bulk", bad.as_bytes()), "{bad}");
    }
    drop(device);
    let device = host.realized(&[("bulk", "on"), ("bulk", "off")]);
    assert_eq!(device.read(INFO, 4), 0x524e_0200);
    assert_eq!(transfer(&memory, &device, &[(2 * 4096, 8)]), (0, 0));
    assert_eq!(
        host.log(),
        "my_rng /machine/fake: 4-byte write at offset 0xc: there is no register\n"
    );
}

#[test]
fn what_the_guest_does_wrong_is_logged_where_that_is_asked_for() {
    let host = Host::start();
    let device = host.realized(&[]);
    assert_eq!(device.read(RNG, 2), 0);
    device.write(RNG, 1, 4);
    assert_eq!(
        host.log(),
        "my_rng /machine/fake: 2-byte read at offset 0x0: only 4-byte accesses do anything\n\
         my_rng /machine/fake: 4-byte write at offset 0x0: RNG is read-only\n"
    );
}

/// A guest must not make QEMU work for nothing.
#[test]
fn what_the_guest_does_wrong_is_formatted_only_if_somebody_reads_it() {
    let host = Host::start();
    let device = host.realized(&[]);
    let wrong = || {
        assert_eq!(device.read(RNG, 2), 0);
        device.write(RNG, 1, 4);
        device.write(DOORBELL, 1, 4);
    };
    assert_ne!(host.allocations(wrong), 0);
    assert_eq!(host.log().lines().count(), 3);
    host.switch_log(false, true);
    assert_ne!(host.allocations(wrong), 0);
    assert_eq!(host.log().matches("my_rng_guest_error").count(), 3);
    host.switch_log(false, false);
    assert_eq!(host.allocations(wrong), 0);
    assert_eq!(host.log(), "");
    assert_eq!(counters(&device), [0, 0, 9].map(Some));
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
    let memory = host.memory(4 * 4096);
    assert_eq!(transfer(&memory, &device, &[(2 * 4096, 8)]), (1, 8));
    assert_eq!(
        host.log(),
        "my_rng_write /machine/fake offset 0x4 size 4 value 0x42\n\
         my_rng_seed /machine/fake seed 0x42\n\
         my_rng_read /machine/fake offset 0x0 size 4 value 0x110dfc17\n\
         my_rng_guest_error /machine/fake 4-byte read at offset 0x4: SEED is write-only\n\
         my_rng_read /machine/fake offset 0x4 size 4 value 0x0\n\
         my_rng_reset /machine/fake\n\
         my_rng_write /machine/fake offset 0xc size 4 value 0x1\n\
         my_rng_transfer /machine/fake descriptor 0x1000 status 1 bytes 8\n"
    );
    // Its path outlives its being realized.
    device.unrealize();
    device.reset();
    assert_eq!(
        host.log(),
        "my_rng_guest_error /machine/fake access dropped: device busy, not realized, or BQL not held\n\
         my_rng_reset /machine/fake\n"
    );
}

#[test]
fn a_reset_leads_to_the_initial_seed() {
    let host = Host::start();
    for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp"] {
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
    for generator in ["libc", "chacha20", "host", "chacha8", "xoshiro256pp"] {
        let source = host.realized(&[("generator", generator)]);
        if generator != "host" {
            source.write(SEED, 0x42, 4);
        }
        numbers(&source, 3);
        let state = source.save().unwrap();
        assert_eq!(state.len(), 1 + 1 + 4 + 4 + 8 + 31 * 4 + 4);
        let destination = host.realized(&[("generator", generator)]);
        assert!(destination.load(&state, 2));
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
            1,
            0,
            "it is of a device with bulk=off, and this one has bulk=on: give both sides the same",
        ),
        (1, 2, "its field bulk is 2, and can be 0 or 1"),
        (
            5,
            6,
            "it is of a device with seed=6, and this one has seed=5: give both sides the same",
        ),
        (17, 31, "the generator libc cannot stand where it says"),
        (9, 0xff, "the generator libc cannot stand where it says"),
    ] {
        let mut state = own.clone();
        state[at] = byte;
        assert!(!device.load(&state, 2));
        assert_eq!(
            host.log(),
            format!("my_rng /machine/fake: the state that arrived is refused: {told}\n")
        );
        assert_eq!(device.save().unwrap(), own);
    }
    // QEMU refuses these itself.
    assert!(!device.load(&own, 1));
    assert!(!device.load(&own, 3));
    assert!(!device.load(&own[..own.len() - 1], 2));
    assert!(device.load(&own, 2));
}

#[test]
fn before_it_is_realized_there_is_nothing_to_save_load_or_reset() {
    let host = Host::start();
    let state = host.realized(&[]).save().unwrap();
    let device = host.device();
    assert_eq!(device.save(), None);
    assert!(!device.load(&state, 2));
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
        "my_rng /machine/fake: the host has no entropy to give (reported once)\n"
    );
    host.entropy(1);
    assert_eq!(numbers(&device, 2), [1, 0]);
    assert_eq!(device.read(FAILURES, 4), 3);
    device.reset();
    assert_eq!(device.read(FAILURES, 4), 3);
    device.write(SEED, 7, 4);
    assert_eq!(
        host.log(),
        "my_rng /machine/fake: 4-byte write at offset 0x4: the host's entropy takes no seed\n"
    );

    let memory = host.memory(4 * 4096);
    host.entropy(2);
    assert_eq!(transfer(&memory, &device, &[(2 * 4096, 4096)]), (4, 1024));
    assert_eq!(memory.load(2 * 4096 + 508, 8), [1, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(memory.load(2 * 4096 + 1024, 4), [0; 4]);
    // A transfer tells by its status.
    assert_eq!(device.read(FAILURES, 4), 3);
    assert_eq!(host.log(), "");
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
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(
        log.lines().all(|line| line.contains("device busy")),
        "{log}"
    );
    assert_eq!(counters(&device), [2, 0, 0].map(Some));

    let memory = host.memory(4 * 4096);
    host.entropy(1);
    device.reenter();
    assert_eq!(transfer(&memory, &device, &[(2 * 4096, 8)]), (1, 8));
    let log = host.log();
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(
        log.lines().all(|line| line.contains("device busy")),
        "{log}"
    );
    assert_eq!(counters(&device), [4, 0, 0].map(Some));
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
        assert!(!device.load(&state, 2));
    });
    let log = host.log();
    assert!(
        log.contains("my_rng /machine/fake: a state arrived where none may come, and is refused\n"),
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
