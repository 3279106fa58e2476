// SPDX-License-Identifier: GPL-2.0-or-later

use core::ffi::CStr;

use qemu_pci::PciDevice as _;
use qemu_pci::property::{PropertySet as _, Value};
use qemu_pci::testing::{self, Machine};

use super::{MyRng, MyRngEvent, MyRngProperties};
use crate::abi::{BAR, BAR_SIZE, REG_DOORBELL, REG_FAILURES, REG_INFO, REG_RNG, REG_SEED};
use crate::generator::Kind;
use crate::known_answers;

const RNG: u64 = REG_RNG as u64;
const SEED: u64 = REG_SEED as u64;
const INFO: u64 = REG_INFO as u64;
const DOORBELL: u64 = REG_DOORBELL as u64;
const FAILURES: u64 = REG_FAILURES as u64;

const SEEDABLE: [&str; 4] = ["libc", "chacha20", "chacha8", "xoshiro256pp"];

pub(super) fn machine(options: &str) -> Machine<MyRng> {
    Machine::with(options).unwrap()
}

/// Properties with this generator.
pub(super) fn with(generator: &str) -> Machine<MyRng> {
    machine(&format!("generator={generator}"))
}

fn seeded(seed: u32) -> Machine<MyRng> {
    let mut machine = machine("");
    write(&mut machine, SEED, seed);
    machine
}

fn read(machine: &mut Machine<MyRng>, offset: u64) -> u64 {
    machine.read(BAR, offset, 4)
}

fn write(machine: &mut Machine<MyRng>, offset: u64, value: u32) {
    machine.write(BAR, offset, 4, value.into());
}

pub(super) fn numbers(machine: &mut Machine<MyRng>, count: usize) -> Vec<u32> {
    (0..count).map(|_| read(machine, RNG) as u32).collect()
}

pub(super) fn counters(machine: &Machine<MyRng>) -> Vec<(&'static CStr, u64)> {
    let counters = MyRng::COUNTERS.iter();
    counters
        .map(|it| (it.name, (it.get)(&machine.device)))
        .collect()
}

/// The answer to the n-th request for a word of entropy.
fn entropy(n: u32) -> u64 {
    let mut bytes = [0; 4];
    testing::entropy(n, &mut bytes);
    u32::from_le_bytes(bytes).into()
}

#[test]
fn trace_events_file_is_up_to_date() {
    testing::check_trace_events::<MyRng>("../qemu-8.2.9-overlay/hw/misc/my-rng/trace-events");
}

#[test]
fn numbers_are_the_known_answers() {
    for answer in &known_answers::LIBC {
        assert_eq!(numbers(&mut seeded(answer.seed), 5), answer.first);
    }
    for (generator, answers) in [
        ("chacha20", &known_answers::CHACHA20),
        ("chacha8", &known_answers::CHACHA8),
        ("xoshiro256pp", &known_answers::XOSHIRO256PP),
    ] {
        for answer in answers {
            let mut machine = with(generator);
            write(&mut machine, SEED, answer.seed);
            assert_eq!(numbers(&mut machine, 5), answer.first);
        }
    }
}

#[test]
fn an_unseeded_device_is_as_seeded_with_1() {
    assert_eq!(numbers(&mut machine(""), 100), numbers(&mut seeded(1), 100));
}

#[test]
fn the_property_seed_is_where_the_stream_starts() {
    for generator in SEEDABLE {
        let mut seeded = with(generator);
        write(&mut seeded, SEED, 0x42);
        let expected = numbers(&mut seeded, 100);
        let mut machine = machine(&format!("generator={generator},seed=0x42"));
        assert_eq!(numbers(&mut machine, 100), expected);
        write(&mut machine, SEED, 9);
        machine.reset();
        assert_eq!(numbers(&mut machine, 100), expected);
    }
}

#[test]
fn properties_are_the_published_ones() {
    let described = MyRngProperties::describe();
    let properties: Vec<_> = described
        .into_iter()
        .map(|it| (it.name.to_str().unwrap(), it.default))
        .collect();
    let libc = Value::Text("libc".to_owned());
    assert_eq!(
        properties,
        [
            ("seed", Value::U32(1)),
            ("generator", libc),
            ("bulk", Value::Bool(true))
        ]
    );
}

#[test]
fn impossible_properties_are_refused() {
    for (options, expected) in [
        (
            "generator=rand",
            "generator: there is no 'rand'; it is one of libc, chacha20, host, chacha8 and xoshiro256pp",
        ),
        (
            "generator=host,seed=2",
            "seed: generator=host takes no seed; leave it out, or choose another generator",
        ),
    ] {
        assert_eq!(Machine::<MyRng>::with(options).unwrap_err(), expected);
    }
}

#[test]
fn seeding_again_restarts_the_stream() {
    let mut machine = seeded(0x42);
    let first = numbers(&mut machine, 10);
    write(&mut machine, SEED, 0x42);
    assert_eq!(numbers(&mut machine, 10), first);
}

#[test]
fn the_host_gives_each_word_and_takes_no_seed() {
    let mut machine = with("host");
    machine.world.entropy = 0b11;
    assert_eq!(read(&mut machine, RNG), entropy(0));
    write(&mut machine, SEED, 0x42);
    assert_eq!(
        machine.errors(),
        ["4 bytes at 0x4: the host's entropy takes no seed"]
    );
    machine.reset();
    assert_eq!(read(&mut machine, RNG), entropy(1));
    // None left.
    assert_eq!(read(&mut machine, RNG), 0);
    assert!(machine.events().is_empty());
}

#[test]
fn reads_without_entropy_are_counted() {
    let mut machine = with("host");
    machine.world.entropy = 0b1_0001;
    assert_eq!(read(&mut machine, RNG), entropy(0));
    assert_eq!(read(&mut machine, FAILURES), 0);
    for expected in 1..=3 {
        assert_eq!(read(&mut machine, RNG), 0);
        assert_eq!(read(&mut machine, FAILURES), expected);
    }
    // They are kept when entropy is available again, and after a reset.
    assert_eq!(read(&mut machine, RNG), entropy(4));
    machine.reset();
    assert_eq!(read(&mut machine, FAILURES), 3);
    // They are migrated, and wrap.
    let mut destination = with("host");
    let mut state = machine.device.save();
    state.failures = u32::MAX;
    destination.load(&testing::write_state(state)).unwrap();
    assert_eq!(read(&mut destination, FAILURES), u32::MAX.into());
    assert_eq!(read(&mut destination, RNG), 0);
    assert_eq!(read(&mut destination, FAILURES), 0);
}

#[test]
fn numbers_and_seeds_are_counted_and_seeds_are_traced() {
    let mut machine = machine("");
    assert_eq!(counters(&machine), [(c"reads", 0), (c"seeds", 0)]);
    write(&mut machine, SEED, 3);
    write(&mut machine, SEED, 4);
    numbers(&mut machine, 3);
    machine.read(BAR, RNG, 1);
    assert_eq!(counters(&machine), [(c"reads", 3), (c"seeds", 2)]);
    assert_eq!(machine.events(), [MyRngEvent::seed(3), MyRngEvent::seed(4)]);
    machine.reset();
    assert_eq!(counters(&machine), [(c"reads", 3), (c"seeds", 2)]);
}

#[test]
fn info_names_the_generator_and_never_changes() {
    for (generator, expected) in [
        ("libc", 0x524e_0300),
        ("chacha20", 0x524e_0301),
        ("host", 0x524e_0302),
        ("chacha8", 0x524e_0303),
        ("xoshiro256pp", 0x524e_0304),
    ] {
        let mut machine = with(generator);
        let new = machine.device.clone();
        for _ in 0..3 {
            assert_eq!(read(&mut machine, INFO), expected);
        }
        assert_eq!(machine.device, new);
        assert_eq!((machine.world.asked, machine.events().len()), (0, 0));
        read(&mut machine, RNG);
        write(&mut machine, SEED, 0x42);
        assert_eq!(read(&mut machine, INFO), expected);
        let mut destination = with(generator);
        destination.load(&machine.save()).unwrap();
        assert_eq!(read(&mut destination, INFO), expected);
        machine.reset();
        assert_eq!(read(&mut machine, INFO), expected);
    }
}

#[test]
fn saved_device_continues_after_load() {
    for generator in SEEDABLE.into_iter().chain(["host"]) {
        for taken in [0, 1, 31, 1000] {
            let mut source = with(generator);
            write(&mut source, SEED, 0x42);
            numbers(&mut source, taken);
            let mut destination = with(generator);
            destination.load(&source.save()).unwrap();
            assert_eq!(destination.save(), source.save());
            if generator != "host" {
                assert_eq!(numbers(&mut destination, 50), numbers(&mut source, 50));
            }
            // A reset still leads to the initial seed.
            destination.device.failures = 0;
            destination.reset();
            assert_eq!(destination.save(), with(generator).save());
        }
    }
}

/// Generator, bulk, initial seed, seed, position, 31 words of table, failures.
#[test]
fn a_state_has_the_published_bytes() {
    let mut machine = machine("generator=chacha8,seed=0x1020304");
    numbers(&mut machine, 5);
    machine.device.failures = 6;
    let expected = [
        &[3, 1, 1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 5][..],
        &[0; 124],
        &[0, 0, 0, 6],
    ];
    assert_eq!(machine.save(), expected.concat());
}

#[test]
fn invalid_state_is_refused_and_changes_nothing() {
    let mut device = machine("seed=5,bulk=off");
    numbers(&mut device, 3);
    let untouched = device.clone();
    let own = device.device.save();
    let mut unknown = own.clone();
    unknown.generator = 99;
    let mut outside = own.clone();
    outside.position = 31;
    let of = |options: &str| machine(options).device.save();
    for (state, expected) in [
        (unknown, "it names generator 99, which is not known here"),
        (outside, "the generator libc cannot stand where it says"),
        (
            of("generator=chacha20,seed=5,bulk=off"),
            "it is of a device with generator=chacha20, and this one has generator=libc: give both sides the \
             same",
        ),
        (
            of("seed=5"),
            "it is of a device with bulk=on, and this one has bulk=off: give both sides the same",
        ),
        (
            of("seed=6,bulk=off"),
            "it is of a device with seed=6, and this one has seed=5: give both sides the same",
        ),
    ] {
        assert_eq!(
            device.load(&testing::write_state(state)).unwrap_err(),
            expected
        );
        assert_eq!(device.device, untouched.device);
    }
}

/// Every size at every offset of the BAR.
#[test]
fn any_other_access_is_refused_and_changes_nothing() {
    let untouched = seeded(0x42).device;
    let mut machine = seeded(0x42);
    for offset in 0..BAR_SIZE as u64 {
        for size in [1, 2, 4, 8] {
            let place = |at: u64| format!("{} bytes at {:#x}: ", size.min(4), offset + at);
            let pieces = if size == 8 { vec![0, 4] } else { vec![0] };
            let defined =
                |registers: &[u64], at: &u64| size >= 4 && registers.contains(&(offset + at));
            if !pieces.iter().any(|at| defined(&[RNG, INFO, FAILURES], at)) {
                assert_eq!(machine.read(BAR, offset, size), 0);
                let errors = machine.errors();
                assert_eq!(errors.len(), pieces.len());
                for (at, error) in pieces.iter().zip(errors) {
                    assert!(error.starts_with(&place(*at)), "{error}");
                }
            }
            if !pieces.iter().any(|at| defined(&[SEED], at)) {
                machine.write(BAR, offset, size, 7);
                let errors = machine.errors();
                assert_eq!(errors.len(), pieces.len());
                for (at, error) in pieces.iter().zip(errors) {
                    let is_doorbell = size >= 4 && offset + at == DOORBELL;
                    let expected = if is_doorbell {
                        "the descriptor at 0x".to_owned()
                    } else {
                        place(*at)
                    };
                    assert!(error.starts_with(&expected), "{error}");
                }
            }
            assert_eq!(machine.device, untouched, "offset {offset:#x}, size {size}");
        }
    }
}

#[test]
fn an_access_of_8_bytes_is_two_of_4() {
    let (mut whole, mut halves) = (machine(""), machine(""));
    whole.write(BAR, RNG, 8, 0x42 << 32);
    assert_eq!(whole.errors(), ["4 bytes at 0x0: RNG is read-only"]);
    write(&mut halves, SEED, 0x42);
    assert_eq!(whole.device, halves.device);
    assert_eq!(whole.read(BAR, RNG, 8), read(&mut halves, RNG));
    assert_eq!(whole.errors(), ["4 bytes at 0x4: SEED is write-only"]);
}

#[test]
fn errors_say_why() {
    let mut machine = machine("");
    for (offset, size, expected) in [
        (
            RNG,
            2,
            "2 bytes at 0x0: only accesses of 4 bytes do anything",
        ),
        (
            INFO,
            1,
            "1 bytes at 0x8: only accesses of 4 bytes do anything",
        ),
        (2, 4, "4 bytes at 0x2: only aligned accesses do anything"),
        (SEED, 4, "4 bytes at 0x4: SEED is write-only"),
        (DOORBELL, 4, "4 bytes at 0xc: DOORBELL is write-only"),
        (20, 4, "4 bytes at 0x14: there is no register"),
    ] {
        machine.read(BAR, offset, size);
        assert_eq!(machine.errors(), [expected]);
    }
    for (offset, size, expected) in [
        (
            SEED,
            2,
            "2 bytes at 0x4: only accesses of 4 bytes do anything",
        ),
        (2, 4, "4 bytes at 0x2: only aligned accesses do anything"),
        (RNG, 4, "4 bytes at 0x0: RNG is read-only"),
        (INFO, 4, "4 bytes at 0x8: INFO is read-only"),
        (FAILURES, 4, "4 bytes at 0x10: FAILURES is read-only"),
        (20, 4, "4 bytes at 0x14: there is no register"),
    ] {
        machine.write(BAR, offset, size, 0);
        assert_eq!(machine.errors(), [expected]);
    }
}

#[test]
fn devices_are_independent() {
    let (mut one, mut other) = (seeded(0x42), seeded(7));
    let expected = numbers(&mut seeded(0x42), 50);
    let interleaved: Vec<u32> = (0..50)
        .flat_map(|_| {
            numbers(&mut other, 1);
            numbers(&mut one, 1)
        })
        .collect();
    assert_eq!(interleaved, expected);
}

#[test]
fn default_generator_is_the_c_librarys() {
    assert_eq!(MyRngProperties::default().generator, Kind::Libc);
}
