// SPDX-License-Identifier: GPL-2.0-or-later

use qemu_pci::testing::{self, Machine};

use super::{Event, MEMORY, PORTS, RustTestdev};

/// The places in a header, and how each BAR's reads without the count.
const COUNT: u64 = 12;
const MEMORY_HEADER: &[u8] = b"\0\x01\0\0\0\x08\0\0\xfa\0\0\0\0\0\0\0mmio-no-eventfd\0";
const PORTS_HEADER: &[u8] = b"\0\x01\0\0\x83\0\0\0\xfa\0\0\0\0\0\0\0portio-no-eventfd\0";
const BARS: [(u8, u64, &[u8]); 2] = [(MEMORY, 2048, MEMORY_HEADER), (PORTS, 131, PORTS_HEADER)];

fn machine() -> Machine<RustTestdev> {
    Machine::with("").unwrap()
}

fn bytes(machine: &mut Machine<RustTestdev>, bar: u8, count: usize) -> Vec<u8> {
    (0..count as u64)
        .map(|at| machine.read(bar, at, 1) as u8)
        .collect()
}

fn count(machine: &mut Machine<RustTestdev>, bar: u8) -> u64 {
    machine.read(bar, COUNT, 4)
}

#[test]
fn trace_events_file_is_up_to_date() {
    testing::check_trace_events::<RustTestdev>(
        "../qemu-8.2.9-overlay/hw/misc/rust-testdev/trace-events",
    );
}

#[test]
fn a_header_describes_test_0() {
    for (bar, _, header) in BARS {
        let mut machine = machine();
        machine.write(bar, 0, 1, 0);
        assert_eq!(bytes(&mut machine, bar, header.len()), header);
        assert_eq!(machine.errors(), [""; 0]);
        assert_eq!(machine.events(), [Event::test(bar, 0)]);
    }
}

#[test]
fn a_header_is_zero_without_a_test() {
    for (bar, _, header) in BARS {
        let mut machine = machine();
        let zero = vec![0; header.len()];
        assert_eq!(bytes(&mut machine, bar, header.len()), zero);
        // Tests that use ioeventfd, and numbers of no test.
        for number in [1, 2, 3, 0x80, 0xff] {
            machine.write(bar, 0, 1, 0);
            machine.write(bar, 0, 1, number);
            assert_eq!(
                bytes(&mut machine, bar, header.len()),
                zero,
                "test {number}"
            );
        }
        assert_eq!(machine.errors(), [""; 0]);
    }
}

#[test]
fn writes_of_the_data_at_the_offset_are_counted() {
    for (bar, _, _) in BARS {
        let mut machine = machine();
        machine.write(bar, 0, 1, 0);
        let offset = machine.read(bar, 4, 4);
        let data = machine.read(bar, 8, 4);
        for n in 1..300 {
            machine.write(bar, offset, 1, data);
            assert_eq!(count(&mut machine, bar), n);
        }
        machine.write(bar, offset, 1, data ^ 1);
        assert_eq!(count(&mut machine, bar), 299);
        // Another byte is not wrong, it is only not counted.
        assert_eq!(machine.errors(), [""; 0]);
        machine.write(bar, 0, 1, 0);
        assert_eq!(count(&mut machine, bar), 0);
    }
}

#[test]
fn only_writes_at_the_offset_are_counted() {
    for (bar, offset, header) in BARS {
        let mut machine = machine();
        machine.write(bar, 0, 1, 0);
        let size = if bar == MEMORY { 4096 } else { 256 };
        for at in (1..size).filter(|at| *at != offset) {
            machine.write(bar, at, 1, 0xfa);
            let expected = match at < header.len() as u64 {
                true => format!("1 bytes at {at:#x}: the header is read-only"),
                false => format!("1 bytes at {at:#x}: there is no register"),
            };
            assert_eq!(machine.errors(), [expected]);
        }
        assert_eq!(count(&mut machine, bar), 0);
    }
}

#[test]
fn reads_beyond_the_header_give_zero() {
    for (bar, offset, header) in BARS {
        let mut machine = machine();
        machine.write(bar, 0, 1, 0);
        for at in [header.len() as u64, offset] {
            assert_eq!(machine.read(bar, at, 1), 0);
            let expected = format!("1 bytes at {at:#x}: there is no register");
            assert_eq!(machine.errors(), [expected]);
        }
    }
}

#[test]
fn writes_without_a_test_are_not_counted() {
    for (bar, offset, _) in BARS {
        let mut machine = machine();
        machine.write(bar, offset, 1, 0xfa);
        machine.write(bar, 0, 1, 1);
        machine.write(bar, offset, 1, 0xfa);
        machine.write(bar, 0, 1, 0);
        assert_eq!(count(&mut machine, bar), 0);
    }
}

#[test]
fn one_test_runs_at_a_time() {
    let mut machine = machine();
    machine.write(MEMORY, 0, 1, 0);
    machine.write(MEMORY, 2048, 1, 0xfa);
    machine.write(PORTS, 131, 1, 0xfa);
    assert_eq!(count(&mut machine, MEMORY), 1);
    assert_eq!(count(&mut machine, PORTS), 0);
    machine.write(PORTS, 0, 1, 0);
    machine.write(PORTS, 131, 1, 0xfa);
    machine.write(MEMORY, 2048, 1, 0xfa);
    assert_eq!(count(&mut machine, PORTS), 1);
    assert_eq!(bytes(&mut machine, MEMORY, 16), [0; 16]);
    machine.write(MEMORY, 0, 1, 9);
    assert_eq!(count(&mut machine, PORTS), 0);
}

#[test]
fn long_accesses_are_several_of_one_byte() {
    for (bar, _, header) in BARS {
        let mut machine = machine();
        machine.write(bar, 0, 1, 0);
        assert_eq!(machine.read(bar, 16, 8).to_le_bytes(), header[16..24]);
        assert_eq!(machine.read(bar, 6, 4).to_le_bytes()[..4], header[6..10]);
    }
    // The first byte of these is the one that is counted.
    let mut machine = machine();
    machine.write(MEMORY, 0, 1, 0);
    machine.write(MEMORY, 2048, 4, 0x1122_33fa);
    assert_eq!(count(&mut machine, MEMORY), 1);
    assert_eq!(machine.errors().len(), 3);
}

#[test]
fn a_reset_ends_the_test() {
    let mut machine = machine();
    machine.write(MEMORY, 0, 1, 0);
    machine.write(MEMORY, 2048, 1, 0xfa);
    machine.reset();
    assert_eq!(machine.device, RustTestdev::default());
    assert_eq!(bytes(&mut machine, MEMORY, 16), [0; 16]);
}

#[test]
fn test_continues_after_migration() {
    for (bar, offset, _) in BARS {
        let mut source = machine();
        source.write(bar, 0, 1, 0);
        source.write(bar, offset, 1, 0xfa);
        let state = source.save();
        assert_eq!(state, [1, bar, 0, 0, 0, 1]);
        let mut destination = machine();
        destination.load(&state).unwrap();
        assert_eq!(destination.device, source.device);
        destination.write(bar, offset, 1, 0xfa);
        assert_eq!(count(&mut destination, bar), 2);
    }
    let mut machine = machine();
    machine.write(MEMORY, 0, 1, 0);
    machine.load(&self::machine().save()).unwrap();
    assert_eq!(machine.device, RustTestdev::default());
}

#[test]
fn impossible_states_are_refused() {
    let stray = "it counts for a test that is not running";
    for (state, error) in [
        (
            [1, 2, 0, 0, 0, 0],
            "its test is on BAR 2, where there are no tests",
        ),
        (
            [1, 0xff, 0, 0, 0, 0],
            "its test is on BAR 255, where there are no tests",
        ),
        ([0, 1, 0, 0, 0, 0], stray),
        ([0, 0, 0, 0, 0, 1], stray),
        ([0, 0, 0x80, 0, 0, 0], stray),
    ] {
        let mut machine = machine();
        machine.write(MEMORY, 0, 1, 0);
        let before = machine.device.clone();
        assert_eq!(machine.load(&state), Err(error.to_owned()));
        assert_eq!(machine.device, before);
    }
}

#[test]
fn the_count_starts_again_after_its_largest() {
    let mut machine = machine();
    machine.load(&[1, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
    machine.write(MEMORY, 2048, 1, 0xfa);
    assert_eq!(count(&mut machine, MEMORY), 0);
}
