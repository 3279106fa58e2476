// SPDX-License-Identifier: GPL-2.0-or-later

use std::cell::RefCell;
use std::rc::Rc;

use crate::abi;
use crate::device::{Event, MyRng, Properties};
use crate::generator::Kind;
use crate::pci::{GuestMemory, Host, PciModel};

const PAGE: u64 = abi::BULK_PAGE as u64;
/// Where the tests have their descriptor.
const DESCRIPTOR: u64 = 2 * PAGE;
const DOORBELL: u64 = abi::REG_DOORBELL as u64;

type Bytes = Rc<RefCell<Vec<u8>>>;

/// A machine with memory from address 0 on, but for a hole.
struct Machine {
    bytes: Bytes,
    hole: core::ops::Range<u64>,
    /// What the device can write to but not read, as an IOMMU may have it.
    write_only: core::ops::Range<u64>,
    /// Memory is mapped in pieces that end at multiples of it. The descriptor is in one piece.
    piece: usize,
    /// How many pieces are mapped now, and how many were at most.
    mapped: Rc<RefCell<(usize, usize)>>,
    /// How many bytes of entropy there are.
    entropy: usize,
    events: Vec<Event>,
}

struct Mapped {
    bytes: Bytes,
    start: usize,
    length: usize,
    mapped: Rc<RefCell<(usize, usize)>>,
}

impl Machine {
    fn new(pages: usize) -> Self {
        Self {
            bytes: Rc::new(RefCell::new(vec![0xa5; pages * abi::BULK_PAGE])),
            hole: 0..PAGE,
            write_only: 0..0,
            piece: usize::MAX,
            mapped: Rc::default(),
            entropy: 0,
            events: Vec::new(),
        }
    }

    fn store(&self, address: u64, bytes: &[u8]) {
        let at = address as usize;
        self.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn load(&self, address: u64, length: usize) -> Vec<u8> {
        let at = address as usize;
        self.bytes.borrow()[at..at + length].to_vec()
    }

    fn describe(&self, segments: &[(u64, u32)]) {
        let count = segments.len() as u32;
        self.store(DESCRIPTOR, &[0, count, 0, 0].map(u32::to_le_bytes).concat());
        for (i, (address, length)) in segments.iter().take(abi::BULK_MAX_SEGMENTS).enumerate() {
            let at = DESCRIPTOR + (abi::BULK_SEGMENTS + i * abi::BULK_SEGMENT_SIZE) as u64;
            self.store(at, &address.to_le_bytes());
            self.store(at + 8, &u64::from(*length).to_le_bytes());
        }
    }

    /// Rings for the descriptor; what the device says of it. Nothing stays mapped.
    fn ring(&mut self, device: &mut MyRng) -> Result<(), String> {
        let result = device.write(self, DOORBELL, DESCRIPTOR / PAGE, 4);
        assert_eq!(self.mapped.borrow().0, 0);
        result.map_err(|refused| refused.to_string())
    }

    /// Status and bytes done, as the descriptor has them.
    fn outcome(&self) -> (u32, u32) {
        let word = |at| {
            let bytes = self.load(DESCRIPTOR + at as u64, 4);
            u32::from_le_bytes(bytes.try_into().unwrap())
        };
        (word(abi::BULK_STATUS), word(abi::BULK_DONE))
    }
}

impl Host<Event> for Machine {
    type Memory = Mapped;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        let all = self.bytes.borrow();
        let (start, end) = (address as usize, address as usize + bytes.len());
        let there = end <= all.len() && !self.hole.contains(&address);
        let can = there && !self.write_only.contains(&address);
        if can {
            bytes.copy_from_slice(&all[start..end]);
        }
        can
    }

    fn map(&mut self, address: u64, length: usize) -> Option<Mapped> {
        let end = self.bytes.borrow().len() as u64;
        if address >= end || self.hole.contains(&address) {
            return None;
        }
        let next = if address < self.hole.start {
            self.hole.start
        } else {
            end
        };
        let mut length = length.min((next - address) as usize);
        if address != DESCRIPTOR {
            length = length.min(self.piece - address as usize % self.piece.max(1));
        }
        let mut mapped = self.mapped.borrow_mut();
        mapped.0 += 1;
        mapped.1 = mapped.1.max(mapped.0);
        Some(Mapped {
            bytes: self.bytes.clone(),
            start: address as usize,
            length,
            mapped: self.mapped.clone(),
        })
    }

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        let given = bytes.len() <= self.entropy;
        if given {
            self.entropy -= bytes.len();
            bytes.fill(0x77);
        }
        given
    }

    fn trace(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl GuestMemory for Mapped {
    fn size(&self) -> usize {
        self.length
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.length);
        let at = self.start + at;
        self.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn write_u64s(&mut self, at: usize, count: usize, mut next: impl FnMut() -> u64) {
        for i in 0..count {
            self.write(at + 8 * i, &next().to_le_bytes());
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.mapped.borrow_mut().0 -= 1;
    }
}

fn make(kind: Kind) -> MyRng {
    MyRng::new(&Properties {
        generator: kind.to_string(),
        ..Properties::default()
    })
    .unwrap()
}

/// So many words as reads of RNG give them, as bytes.
fn words(device: &mut MyRng, count: usize) -> Vec<u8> {
    let mut machine = Machine::new(0);
    (0..count)
        .flat_map(|_| (device.read(&mut machine, 0, 4).unwrap() as u32).to_le_bytes())
        .collect()
}

#[test]
fn a_transfer_is_so_many_reads_in_the_middle_of_others() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Host) {
        for piece in [usize::MAX, 1024, 4] {
            let (mut device, mut single) = (make(kind), make(kind));
            let mut machine = Machine::new(16);
            assert_eq!(words(&mut device, 3), words(&mut single, 3));
            let segments = [(8 * PAGE - 4, 12), (4 * PAGE + 8, 2000), (5 * PAGE, 4)];
            machine.describe(&segments);
            machine.piece = piece;
            let rung = machine.ring(&mut device);
            assert_eq!(rung, Ok(()), "{kind}");
            assert_eq!(machine.outcome(), (abi::BULK_FILLED, 2016));
            for (address, length) in segments {
                let expected = words(&mut single, length as usize / 4);
                assert!(machine.load(address, length as usize) == expected, "{kind}");
                assert_eq!(machine.load(address + u64::from(length), 4), [0xa5; 4]);
            }
            assert_eq!(device, single, "{kind}");
            assert_eq!(words(&mut device, 100), words(&mut single, 100));
            assert_eq!(
                machine.events,
                [Event::Transferred {
                    descriptor: DESCRIPTOR,
                    status: abi::BULK_FILLED,
                    bytes: 2016
                }]
            );
        }
    }
}

#[test]
fn the_longest_transfer_is_filled_and_a_longer_one_is_not() {
    let most = abi::BULK_MAX_BYTES as u32;
    let mut machine = Machine::new(128);
    let (mut device, mut single) = (make(Kind::ChaCha8), make(Kind::ChaCha8));
    machine.describe(&[(16 * PAGE, most)]);
    assert_eq!(machine.ring(&mut device), Ok(()));
    let expected = words(&mut single, abi::BULK_MAX_BYTES / 4);
    assert!(machine.load(16 * PAGE, abi::BULK_MAX_BYTES) == expected);

    machine.describe(&[(16 * PAGE, most), (8 * PAGE, 4)]);
    assert_eq!(
        machine.ring(&mut device).unwrap_err(),
        "4-byte write at offset 0xc: the descriptor at 0x2000 has segments of more than 262144 bytes \
         together"
    );
    assert_eq!(machine.outcome(), (abi::BULK_BAD_DESCRIPTOR, 0));
    // Lengths whose sum would go beyond what 32 bits hold.
    machine.describe(&[(0, u32::MAX - 3); 255]);
    machine.ring(&mut device).unwrap_err();
    assert_eq!(machine.outcome(), (abi::BULK_BAD_DESCRIPTOR, 0));
    assert_eq!(words(&mut device, 5), words(&mut single, 5));
}

#[test]
fn what_is_wrong_is_told_and_takes_nothing() {
    let fine = (4 * PAGE, 8);
    let mut machine = Machine::new(16);
    machine.hole = 12 * PAGE..13 * PAGE;
    let mut device = make(Kind::ChaCha20);
    let untouched = device.save();
    let mut errors = 0;
    let not_memory = "it is not in memory that the device can write to";
    let shape = "its address or length is no multiple of 4, or it has no bytes or no end";
    let bad = |index: usize, why: &str| format!("has a bad segment {index}: {why}");
    for (segments, status, why) in [
        (
            vec![],
            abi::BULK_BAD_DESCRIPTOR,
            "has 0 segments, and can have 1 to 255".to_owned(),
        ),
        (
            vec![fine; 256],
            abi::BULK_BAD_DESCRIPTOR,
            "has 256 segments, and can have 1 to 255".to_owned(),
        ),
        (
            vec![fine, (4 * PAGE, 0)],
            abi::BULK_BAD_DESCRIPTOR,
            bad(1, shape),
        ),
        (
            vec![(4 * PAGE + 2, 4)],
            abi::BULK_BAD_DESCRIPTOR,
            bad(0, shape),
        ),
        (vec![(4 * PAGE, 6)], abi::BULK_BAD_DESCRIPTOR, bad(0, shape)),
        // It would go on at address 0.
        (
            vec![fine, fine, (u64::MAX - 3, 8)],
            abi::BULK_BAD_DESCRIPTOR,
            bad(2, shape),
        ),
        (
            vec![fine, (u64::MAX - 3, 4)],
            abi::BULK_BAD_MEMORY,
            bad(1, not_memory),
        ),
        // Into the hole, across it, and beyond the end.
        (
            vec![(12 * PAGE, 4)],
            abi::BULK_BAD_MEMORY,
            bad(0, not_memory),
        ),
        (
            vec![fine, (11 * PAGE, 3 * 4096)],
            abi::BULK_BAD_MEMORY,
            bad(1, not_memory),
        ),
        (
            vec![fine, (15 * PAGE, 4100)],
            abi::BULK_BAD_MEMORY,
            bad(1, not_memory),
        ),
    ] {
        machine.describe(&segments);
        let before = machine.load(3 * PAGE, 13 * 4096);
        let told = format!("4-byte write at offset 0xc: the descriptor at 0x2000 {why}");
        assert_eq!(machine.ring(&mut device), Err(told));
        assert_eq!(machine.outcome(), (status, 0));
        assert!(machine.load(3 * PAGE, 13 * 4096) == before, "{why}");
        errors += 1;
        assert_eq!(device.save(), untouched);
        assert_eq!(
            (device.counts.reads, device.counts.guest_errors),
            (0, errors)
        );
    }
    for reserved in [12, 28, 44] {
        machine.describe(&[fine, fine]);
        machine.store(DESCRIPTOR + reserved, &[1]);
        let told = machine.ring(&mut device).unwrap_err();
        assert!(told.contains("reserved field"), "{told}");
        assert_eq!(machine.outcome(), (abi::BULK_BAD_DESCRIPTOR, 0));
    }
}

#[test]
fn a_descriptor_that_is_not_in_memory_gets_no_status() {
    let mut machine = Machine::new(16);
    let mut device = make(Kind::Libc);
    let before = machine.load(0, 16 * 4096);
    // At the hole, beyond the end, and where the multiplication would overflow in 32 bits.
    for page in [0, 16, 0x0010_0002, u64::from(u32::MAX)] {
        let told = device.write(&mut machine, DOORBELL, page, 4).unwrap_err();
        assert_eq!(
            told.to_string(),
            format!(
                "4-byte write at offset 0xc: the descriptor at {:#x} is not in memory that the device can \
                 read and write",
                page * PAGE
            )
        );
    }
    // One that is only partly there.
    machine.hole = DESCRIPTOR + PAGE - 4..DESCRIPTOR + PAGE;
    machine.ring(&mut device).unwrap_err();
    // One that the device can write to, but not read.
    machine.hole = 0..0;
    machine.write_only = DESCRIPTOR..DESCRIPTOR + PAGE;
    machine.ring(&mut device).unwrap_err();
    assert!(machine.load(0, 16 * 4096) == before);
    assert_eq!(machine.mapped.borrow().0, 0);
    assert_eq!(device.counts.guest_errors, 6);
}

/// The most that an IOMMU can make of a transfer.
#[test]
fn all_segments_may_lie_across_the_ends_of_pages() {
    let mut machine = Machine::new(80);
    let (mut device, mut single) = (make(Kind::ChaCha8), make(Kind::ChaCha8));
    machine.piece = abi::BULK_PAGE;
    let mut segments = [(5 * PAGE - 4, 8); abi::BULK_MAX_SEGMENTS];
    segments[0].1 = abi::BULK_MAX_BYTES as u32 - 254 * 8;
    machine.describe(&segments);
    assert_eq!(machine.ring(&mut device), Ok(()));
    assert_eq!(
        machine.outcome(),
        (abi::BULK_FILLED, abi::BULK_MAX_BYTES as u32)
    );
    // 65 of the first, 2 of each other, and the descriptor's.
    assert_eq!(machine.mapped.borrow().1, 65 + 254 * 2 + 1);
    words(&mut single, abi::BULK_MAX_BYTES / 4);
    assert_eq!(words(&mut device, 5), words(&mut single, 5));
}

/// The host should give no such piece.
#[test]
fn a_piece_without_bytes_or_that_ends_within_a_word_is_refused() {
    for piece in [0, 6] {
        let mut machine = Machine::new(16);
        let mut device = make(Kind::Libc);
        machine.piece = piece;
        machine.describe(&[(4 * PAGE, 8)]);
        machine.ring(&mut device).unwrap_err();
        assert_eq!(machine.outcome(), (abi::BULK_BAD_MEMORY, 0));
        assert_eq!(machine.load(4 * PAGE, 8), [0xa5; 8]);
        // It and the descriptor: no other is asked for.
        assert_eq!(machine.mapped.borrow().1, 2);
    }
}

#[test]
fn pieces_that_are_too_many_are_refused() {
    let mut machine = Machine::new(80);
    // No IOMMU has pages so small.
    machine.describe(&[(4 * PAGE, 1 << 18)]);
    let outcome = {
        let _descriptor = machine.map(DESCRIPTOR, abi::BULK_PAGE).unwrap();
        let mut page = super::Descriptor([0; abi::BULK_PAGE]);
        assert!(machine.read(DESCRIPTOR, &mut page.0));
        let segments = page.segments().unwrap();
        machine.piece = 64;
        super::map(&mut machine, &segments).map(|pieces| pieces.len())
    };
    assert_eq!(
        outcome,
        Err(super::Reason::Segment(0, super::SegmentReason::NotMemory))
    );
    assert_eq!(machine.mapped.borrow().1, super::MAX_PIECES + 1);
}

#[test]
fn what_the_host_has_is_written_and_no_more() {
    let mut machine = Machine::new(16);
    let mut device = make(Kind::Host);
    machine.entropy = 1100;
    machine.describe(&[(4 * PAGE, 512), (5 * PAGE, 1024)]);
    // Not the guest's error.
    assert_eq!(machine.ring(&mut device), Ok(()));
    assert_eq!(machine.outcome(), (abi::BULK_NO_ENTROPY, 1024));
    assert_eq!(machine.load(4 * PAGE, 512), [0x77; 512]);
    assert_eq!(machine.load(5 * PAGE, 512), [0x77; 512]);
    assert_eq!(machine.load(5 * PAGE + 512, 512), [0xa5; 512]);
    assert_eq!((device.counts.reads, device.counts.guest_errors), (256, 0));
}

/// It is the guest's own memory, and the descriptor's status comes last.
#[test]
fn segments_may_lie_over_each_other_and_over_the_descriptor() {
    let mut machine = Machine::new(16);
    let (mut device, mut single) = (make(Kind::ChaCha20), make(Kind::ChaCha20));
    machine.describe(&[(4 * PAGE, 8), (4 * PAGE + 4, 8), (DESCRIPTOR, 64)]);
    assert_eq!(machine.ring(&mut device), Ok(()));
    let expected = words(&mut single, 20);
    assert_eq!(machine.load(4 * PAGE, 4), expected[..4]);
    assert_eq!(machine.load(4 * PAGE + 4, 8), expected[8..16]);
    assert_eq!(machine.outcome(), (abi::BULK_FILLED, 80));
    assert_eq!(machine.load(DESCRIPTOR + 16, 48), expected[32..]);
}

#[test]
fn without_the_engine_there_is_no_doorbell() {
    let mut machine = Machine::new(16);
    let properties = Properties {
        bulk: false,
        ..Properties::default()
    };
    let mut device = MyRng::new(&properties).unwrap();
    machine.describe(&[(4 * PAGE, 8)]);
    assert_eq!(
        machine.ring(&mut device).unwrap_err(),
        "4-byte write at offset 0xc: there is no register"
    );
    assert_eq!(machine.outcome(), (0, 0));
    assert_eq!(
        device
            .read(&mut machine, DOORBELL, 4)
            .unwrap_err()
            .to_string(),
        "4-byte read at offset 0xc: there is no register"
    );
    assert_eq!(device.read(&mut machine, 8, 4), Ok(0x524e_0200));

    let told = device.load(&make(Kind::Libc).save()).unwrap_err();
    assert_eq!(
        told.to_string(),
        "it is of a device with bulk=on, and this one has bulk=off: give both sides the same"
    );
    let told = make(Kind::Libc).load(&device.save()).unwrap_err();
    assert_eq!(
        told.to_string(),
        "it is of a device with bulk=off, and this one has bulk=on: give both sides the same"
    );
}
