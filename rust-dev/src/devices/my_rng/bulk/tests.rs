// SPDX-License-Identifier: GPL-2.0-or-later

use qemu_pci::testing::{Machine, Memory, Page};

use super::super::tests::{counters, machine, numbers, with};
use super::super::{MyRng, MyRngEvent};
use super::MAX_PIECES;
use crate::abi;

const PAGE: u64 = abi::BULK_PAGE as u64;
/// Where the tests have their descriptor.
const DESCRIPTOR: u64 = 2 * PAGE;
const DOORBELL: u64 = abi::REG_DOORBELL as u64;
/// Each byte of the memory at first.
const FILLER: u8 = 0xa5;

/// So many pages from address 0 on, the first of which is not there; `other` are the exceptions.
fn memory(count: usize, other: &[(usize, Page)]) -> Memory {
    let mut pages = vec![Page::Ram; count];
    pages[0] = Page::Hole;
    for (page, what) in other {
        pages[*page] = *what;
    }
    let memory = Memory::new(0, &pages);
    memory.store(0, &vec![FILLER; count * abi::BULK_PAGE]);
    memory
}

/// A machine with this generator and so many pages.
fn with_memory(generator: &str, pages: usize) -> Machine<MyRng> {
    let mut machine = with(generator);
    machine.world.memory = memory(pages, &[]);
    machine
}

fn describe(machine: &Machine<MyRng>, segments: &[(u64, u32)]) {
    let memory = &machine.world.memory;
    let count = segments.len() as u32;
    memory.store(DESCRIPTOR, &[0, count, 0, 0].map(u32::to_le_bytes).concat());
    for (i, (address, length)) in segments.iter().take(abi::BULK_MAX_SEGMENTS).enumerate() {
        let at = DESCRIPTOR + (abi::BULK_SEGMENTS + i * abi::BULK_SEGMENT_SIZE) as u64;
        memory.store(at, &address.to_le_bytes());
        memory.store(at + 8, &u64::from(*length).to_le_bytes());
    }
}

/// Rings for this page; what the device reports.
fn ring_for(machine: &mut Machine<MyRng>, page: u64) -> Vec<String> {
    machine.write(abi::BAR, DOORBELL, 4, page);
    machine.errors()
}

fn ring(machine: &mut Machine<MyRng>) -> Vec<String> {
    ring_for(machine, DESCRIPTOR / PAGE)
}

/// Status and bytes done, as the descriptor has them.
fn outcome(machine: &Machine<MyRng>) -> (u32, u32) {
    let word = |at| {
        let bytes = machine.world.memory.load(DESCRIPTOR + at as u64, 4);
        u32::from_le_bytes(bytes.try_into().unwrap())
    };
    (word(abi::BULK_STATUS), word(abi::BULK_DONE))
}

/// So many words as reads of RNG give them, as bytes.
fn words(machine: &mut Machine<MyRng>, count: usize) -> Vec<u8> {
    numbers(machine, count)
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect()
}

/// The line for a descriptor that is not carried out.
fn line(why: &str) -> Vec<String> {
    vec![format!("the descriptor at 0x2000 {why}")]
}

#[test]
fn transfer_returns_the_same_numbers_as_reads() {
    for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp"] {
        for piece in [PAGE, 1024, 4] {
            let (mut machine, mut single) = (with_memory(generator, 16), with(generator));
            let cuts = (4 * PAGE..16 * PAGE).step_by(piece as usize);
            machine.world.memory = machine.world.memory.cut_at(cuts);
            assert_eq!(words(&mut machine, 3), words(&mut single, 3));
            let segments = [(8 * PAGE - 4, 12), (4 * PAGE + 8, 2000), (5 * PAGE, 4)];
            describe(&machine, &segments);
            assert!(ring(&mut machine).is_empty());
            assert_eq!(outcome(&machine), (abi::BULK_FILLED, 2016));
            // The descriptor up to its first segment, and the other segments.
            let [head, end] = [32, 64].map(|at| DESCRIPTOR + at);
            assert_eq!(
                machine.world.memory.take_reads(),
                [DESCRIPTOR..head, head..end]
            );
            for (address, length) in segments {
                let expected = words(&mut single, length as usize / 4);
                let memory = &machine.world.memory;
                assert!(
                    memory.load(address, length as usize) == expected,
                    "{generator}"
                );
                assert_eq!(memory.load(address + u64::from(length), 4), [FILLER; 4]);
            }
            assert_eq!(machine.device.generator, single.device.generator);
            assert_eq!(counters(&machine), counters(&single), "{generator}");
            assert_eq!(words(&mut machine, 100), words(&mut single, 100));
            let event = MyRngEvent::transfer(DESCRIPTOR, abi::BULK_FILLED, 2016);
            assert_eq!(machine.events(), [event]);
        }
    }
}

/// Transfers that run at the same time: each has its own numbers, in the order in which they were begun.
#[test]
fn parallel_transfers_take_consecutive_ranges() {
    for generator in ["chacha20", "chacha8"] {
        for order in [[0, 0, 0], [2, 1, 0], [1, 1, 0]] {
            let (mut machine, mut single) = (with_memory(generator, 16), with(generator));
            machine.world.holds_work = true;
            let lengths = [PAGE, 2048, 516];
            for (place, length) in (4..).step_by(2).zip(lengths) {
                describe(&machine, &[(place * PAGE, length as u32)]);
                assert!(ring(&mut machine).is_empty());
                assert_eq!(outcome(&machine), (0, 0));
            }
            // A number that is read meanwhile comes after them, and so does one after a seed.
            let expected = lengths.map(|length| words(&mut single, length as usize / 4));
            assert_eq!(words(&mut machine, 3), words(&mut single, 3));
            machine.write(abi::BAR, abi::REG_SEED as u64, 4, 7);
            single.write(abi::BAR, abi::REG_SEED as u64, 4, 7);
            for index in order {
                machine.run_work(index);
                assert_eq!(outcome(&machine).0, abi::BULK_FILLED);
            }
            for (place, expected) in (4..).step_by(2).zip(expected) {
                let memory = &machine.world.memory;
                assert!(
                    memory.load(place * PAGE, expected.len()) == expected,
                    "{generator}"
                );
            }
            assert_eq!(words(&mut machine, 3), words(&mut single, 3));
            assert_eq!(counters(&machine), counters(&single));
        }
    }
}

#[test]
fn what_is_held_up_is_only_work_of_generators_that_can_be_placed() {
    for (generator, is_held) in [
        ("libc", false),
        ("xoshiro256pp", false),
        ("chacha20", true),
        ("chacha8", true),
        ("host", true),
    ] {
        let mut machine = with_memory(generator, 16);
        machine.world.holds_work = true;
        machine.world.entropy = u64::MAX;
        describe(&machine, &[(4 * PAGE, 516)]);
        ring(&mut machine);
        let expected = if is_held { 0 } else { abi::BULK_FILLED };
        assert_eq!(outcome(&machine).0, expected, "{generator}");
        if is_held {
            machine.run_work(0);
            assert_eq!(outcome(&machine), (abi::BULK_FILLED, 516));
        }
    }
}

#[test]
fn the_longest_transfer_is_filled_and_a_longer_one_is_not() {
    let most = abi::BULK_MAX_BYTES as u32;
    let (mut machine, mut single) = (with_memory("chacha8", 128), with("chacha8"));
    describe(&machine, &[(16 * PAGE, most)]);
    assert!(ring(&mut machine).is_empty());
    let expected = words(&mut single, abi::BULK_MAX_BYTES / 4);
    assert!(machine.world.memory.load(16 * PAGE, abi::BULK_MAX_BYTES) == expected);

    let why = line("has segments of more than 262144 bytes together");
    describe(&machine, &[(16 * PAGE, most), (8 * PAGE, 4)]);
    assert_eq!(ring(&mut machine), why);
    assert_eq!(outcome(&machine), (abi::BULK_BAD_DESCRIPTOR, 0));
    // Lengths whose sum does not fit into 32 bits.
    describe(&machine, &[(0, u32::MAX - 3); 255]);
    assert_eq!(ring(&mut machine), why);
    assert_eq!(outcome(&machine), (abi::BULK_BAD_DESCRIPTOR, 0));
    assert_eq!(words(&mut machine, 5), words(&mut single, 5));
}

#[test]
fn a_bad_descriptor_is_reported_and_takes_nothing() {
    let fine = (4 * PAGE, 8);
    let mut machine = with_memory("chacha20", 16);
    machine.world.memory = memory(16, &[(12, Page::Hole), (13, Page::ReadOnly)]);
    let untouched = machine.device.clone();
    let bad = |index: usize, why: &str| format!("has a bad segment {index}: {why}");
    let count = |count| format!("has {count} segments, and can have 1 to 255");
    let shape = |index| {
        bad(
            index,
            "its address or length is no multiple of 4, or it has no bytes or no end",
        )
    };
    let not_memory = |index| bad(index, "it is not in memory that the device can write to");
    let (bad_descriptor, bad_memory) = (abi::BULK_BAD_DESCRIPTOR, abi::BULK_BAD_MEMORY);
    for (segments, status, why) in [
        (vec![], bad_descriptor, count(0)),
        (vec![fine; 256], bad_descriptor, count(256)),
        (vec![fine, (4 * PAGE, 0)], bad_descriptor, shape(1)),
        (vec![(4 * PAGE + 2, 4)], bad_descriptor, shape(0)),
        (vec![(4 * PAGE, 6)], bad_descriptor, shape(0)),
        // It would go on at address 0.
        (
            vec![fine, fine, (u64::MAX - 3, 8)],
            bad_descriptor,
            shape(2),
        ),
        (vec![fine, (u64::MAX - 3, 4)], bad_memory, not_memory(1)),
        // Into the hole, across it, into read-only memory, and beyond the end.
        (vec![(12 * PAGE, 4)], bad_memory, not_memory(0)),
        (vec![fine, (11 * PAGE, 3 * 4096)], bad_memory, not_memory(1)),
        (vec![(13 * PAGE, 4)], bad_memory, not_memory(0)),
        (vec![fine, (15 * PAGE, 4100)], bad_memory, not_memory(1)),
    ] {
        describe(&machine, &segments);
        let before = machine.world.memory.load(3 * PAGE, 13 * 4096);
        assert_eq!(ring(&mut machine), line(&why));
        assert_eq!(outcome(&machine), (status, 0));
        assert!(
            machine.world.memory.load(3 * PAGE, 13 * 4096) == before,
            "{why}"
        );
        assert_eq!(machine.device, untouched);
    }
    for (reserved, why) in [
        (12, "has a reserved field that is not 0".to_owned()),
        (28, bad(0, "a reserved field is not 0")),
        (44, bad(1, "a reserved field is not 0")),
    ] {
        describe(&machine, &[fine, fine]);
        machine.world.memory.store(DESCRIPTOR + reserved, &[1]);
        assert_eq!(ring(&mut machine), line(&why));
        assert_eq!(outcome(&machine), (bad_descriptor, 0));
    }
}

#[test]
fn a_descriptor_that_is_not_in_memory_gets_no_status() {
    let mut machine = with_memory("libc", 16);
    let whole = machine.world.memory.clone();
    let before = whole.copy();
    // In the hole, beyond the end, and where the multiplication would overflow in 32 bits.
    for page in [0, 16, 0x0010_0002, u64::from(u32::MAX)] {
        let expected = format!(
            "the descriptor at {:#x} is not in memory that the device can read and write",
            page * PAGE
        );
        assert_eq!(ring_for(&mut machine, page), [expected]);
    }
    let why = line("is not in memory that the device can read and write");
    // One that is not in one piece.
    machine.world.memory = whole.clone().cut_at([DESCRIPTOR + PAGE - 4]);
    assert_eq!(ring(&mut machine), why);
    assert!(whole.is_like(&before));
    // One that the device can only write, or only read.
    for page in [Page::WriteOnly, Page::ReadOnly] {
        machine.world.memory = memory(16, &[(2, page)]);
        assert_eq!(ring(&mut machine), why);
        assert!(machine.world.memory.is_like(&before));
    }
}

/// The most pieces that an IOMMU can make of a transfer.
#[test]
fn all_segments_may_lie_across_the_ends_of_pages() {
    let (mut machine, mut single) = (with_memory("chacha8", 80), with("chacha8"));
    machine.world.memory = machine.world.memory.scattered();
    let mut segments = [(5 * PAGE - 4, 8); abi::BULK_MAX_SEGMENTS];
    segments[0].1 = abi::BULK_MAX_BYTES as u32 - 254 * 8;
    describe(&machine, &segments);
    assert!(ring(&mut machine).is_empty());
    assert_eq!(
        outcome(&machine),
        (abi::BULK_FILLED, abi::BULK_MAX_BYTES as u32)
    );
    words(&mut single, abi::BULK_MAX_BYTES / 4);
    assert_eq!(words(&mut machine, 5), words(&mut single, 5));
}

/// The host should map no such piece.
#[test]
fn a_piece_that_ends_within_a_word_is_refused() {
    let mut machine = with_memory("libc", 16);
    machine.world.memory = machine.world.memory.cut_at([4 * PAGE + 6]);
    describe(&machine, &[(4 * PAGE, 8)]);
    ring(&mut machine);
    assert_eq!(outcome(&machine), (abi::BULK_BAD_MEMORY, 0));
    assert_eq!(machine.world.memory.load(4 * PAGE, 8), [FILLER; 8]);
}

/// No IOMMU has pages so small.
#[test]
fn the_number_of_pieces_is_bounded() {
    for (pieces, status) in [
        (MAX_PIECES, abi::BULK_FILLED),
        (MAX_PIECES + 1, abi::BULK_BAD_MEMORY),
    ] {
        let mut machine = with_memory("libc", 80);
        let cuts = (4 * PAGE..80 * PAGE).step_by(64);
        machine.world.memory = machine.world.memory.cut_at(cuts);
        describe(&machine, &[(4 * PAGE, 64 * pieces as u32)]);
        ring(&mut machine);
        assert_eq!(outcome(&machine).0, status);
    }
}

#[test]
fn transfer_ends_when_entropy_runs_out() {
    let mut machine = with_memory("host", 16);
    // A block for the first segment, and one of two for the second.
    machine.world.entropy = 0b011;
    describe(&machine, &[(4 * PAGE, 512), (5 * PAGE, 1024)]);
    // Not the guest's error.
    assert!(ring(&mut machine).is_empty());
    assert_eq!(outcome(&machine), (abi::BULK_NO_ENTROPY, 1024));
    let mut expected = [0; 512];
    for (n, address) in [(0, 4 * PAGE), (1, 5 * PAGE)] {
        qemu_pci::testing::entropy(n, &mut expected);
        assert_eq!(machine.world.memory.load(address, 512), expected);
    }
    assert_eq!(
        machine.world.memory.load(5 * PAGE + 512, 512),
        [FILLER; 512]
    );
    assert_eq!(counters(&machine), [(c"reads", 256), (c"seeds", 0)]);
}

/// It is the guest's own memory, and the descriptor's status comes last.
#[test]
fn segments_may_overlap_each_other_and_the_descriptor() {
    let (mut machine, mut single) = (with_memory("chacha20", 16), with("chacha20"));
    describe(
        &machine,
        &[(4 * PAGE, 8), (4 * PAGE + 4, 8), (DESCRIPTOR, 64)],
    );
    assert!(ring(&mut machine).is_empty());
    let expected = words(&mut single, 20);
    let memory = &machine.world.memory;
    assert_eq!(memory.load(4 * PAGE, 4), expected[..4]);
    assert_eq!(memory.load(4 * PAGE + 4, 8), expected[8..16]);
    assert_eq!(outcome(&machine), (abi::BULK_FILLED, 80));
    assert_eq!(memory.load(DESCRIPTOR + 16, 48), expected[32..]);
}

#[test]
fn without_the_engine_there_is_no_doorbell() {
    let mut machine = machine("bulk=off");
    machine.world.memory = memory(16, &[]);
    describe(&machine, &[(4 * PAGE, 8)]);
    let expected = ["4 bytes at 0xc: there is no register"];
    assert_eq!(ring(&mut machine), expected);
    assert_eq!(outcome(&machine), (0, 0));
    assert_eq!(machine.read(abi::BAR, DOORBELL, 4), 0);
    assert_eq!(machine.errors(), expected);
    assert_eq!(machine.read(abi::BAR, abi::REG_INFO as u64, 4), 0x524e_0200);
}
