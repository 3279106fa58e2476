// SPDX-License-Identifier: GPL-2.0-or-later

use qemu_pci::register::Registers;
use qemu_pci::testing::{Delivery, Machine, Memory, Page, check_trace_events};

use super::{Event, Register, RustSampler};

fn machine(options: &str) -> Machine<RustSampler> {
    Machine::with(options).unwrap()
}

fn read(machine: &mut Machine<RustSampler>, register: Register) -> u64 {
    machine.read(0, register.offset(), 4)
}

fn write(machine: &mut Machine<RustSampler>, register: Register, value: u64) {
    let size = if value > u32::MAX.into() { 8 } else { 4 };
    machine.write(0, register.offset(), size, value);
}

#[test]
fn trace_events_file_is_up_to_date() {
    check_trace_events::<RustSampler>("../qemu-8.2.9-overlay/hw/misc/rust-sampler/trace-events");
}

#[test]
fn interrupts_go_where_the_guest_wants_them() {
    let mut machine = machine("");
    write(&mut machine, Register::INTERRUPT, 3);
    assert!(machine.world.pin && machine.world.messages.is_empty());
    write(&mut machine, Register::LOWER, 0);
    assert!(!machine.world.pin);
    machine.world.delivery = Delivery::Messages;
    write(&mut machine, Register::INTERRUPT, 3);
    assert!(!machine.world.pin);
    assert_eq!(machine.world.messages, [3]);
    write(&mut machine, Register::INTERRUPTS, 0b1_1011);
    assert_eq!(machine.world.messages, [3, 0, 1, 3]);
    write(&mut machine, Register::INTERRUPT, 4);
    assert_eq!(
        machine.errors(),
        ["4 bytes at 0x0: there is no such vector"]
    );
}

/// As in QEMU, which lowers the pin when the guest enables messages.
#[test]
fn the_pin_stays_low_while_messages_are_enabled() {
    let mut machine = machine("");
    write(&mut machine, Register::INTERRUPT, 0);
    assert!(machine.world.pin);
    machine.world.delivery = Delivery::Messages;
    write(&mut machine, Register::LIMIT, 0);
    assert!(!machine.world.pin);
}

#[test]
fn the_end_of_a_reset_acts_on_the_machine() {
    let mut machine = machine("");
    machine.reset();
    assert!(machine.world.pin);
}

#[test]
fn a_stopped_timer_does_not_run() {
    let mut machine = machine("");
    write(&mut machine, Register::DELAY, 1_000_000);
    write(&mut machine, Register::STOP, 0);
    machine.advance(2_000_000);
    assert_eq!(read(&mut machine, Register::RUNS), 0);
    write(&mut machine, Register::DELAY, 0);
    machine.advance(10_000);
    assert_eq!(read(&mut machine, Register::RUNS), 1);
}

#[test]
fn timer_that_restarts_itself_lets_time_pass() {
    let mut machine = machine("");
    write(&mut machine, Register::REPEAT, 2);
    write(&mut machine, Register::DELAY, 0);
    machine.advance(10_000);
    assert_eq!(read(&mut machine, Register::RUNS), 1);
    machine.advance(20_000);
    assert_eq!(read(&mut machine, Register::RUNS), 3);
    machine.advance(1_000_000);
    assert_eq!(read(&mut machine, Register::RUNS), 3);
    assert_eq!(
        machine.events(),
        [
            Event::ran(1, 10_000),
            Event::ran(2, 20_000),
            Event::ran(3, 30_000)
        ]
    );
}

#[test]
fn memory_is_mapped_in_both_directions() {
    let mut machine = machine("");
    machine.world.memory = Memory::new(0, &[Page::ReadOnly, Page::Ram, Page::Hole]);
    machine.world.memory.store(4096, &[1, 2, 3, 4, 5, 6, 7, 8]);
    for (address, copied) in [(4096, 1), (0, 0), (8184, 0), (4096 - 8, 1)] {
        write(&mut machine, Register::COPY, address);
        assert_eq!(read(&mut machine, Register::COPIED), copied, "{address}");
    }
    assert_eq!(machine.world.memory.load(4104, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(machine.world.memory.load(4096, 8), [0; 8]);
}

#[test]
fn unaligned_accesses_of_every_size_reach_a_bar_that_takes_them() {
    let mut machine = machine("");
    machine.write(2, 1, 8, 0x0807_0605_0403_0201);
    assert_eq!(machine.read(2, 3, 4), 0x0605_0403);
    assert_eq!(machine.read(2, 8, 1), 8);
    assert_eq!(machine.read(2, 15, 2), 0xffff);
    assert_eq!(machine.read(4, 2, 4), 0x0504_0302);
    assert_eq!(
        machine.errors(),
        ["2 bytes at 0xf: beyond the scratch memory"]
    );
}

#[test]
fn older_states_can_be_loaded() {
    let mut source = machine("");
    for number in 0..5 {
        write(&mut source, Register::PUSH, number);
    }
    assert_eq!(source.errors(), ["4 bytes at 0x20: the queue is full"]);
    write(&mut source, Register::LIMIT, 7);
    write(&mut source, Register::DELAY, 50_000);
    let state = source.save();
    let mut destination = machine("");
    destination.load(&state).unwrap();
    assert_eq!(read(&mut destination, Register::LENGTH), 4);
    assert_eq!(read(&mut destination, Register::LIMIT), 7);
    assert_eq!(destination.next_timer(), Some(50_000));

    // Version 1 had no `limit`, which stands before the timer.
    let (fields, timer) = state.split_at(state.len() - 8);
    let old = [&fields[..fields.len() - 4], timer].concat();
    destination.load_version(1, &old).unwrap();
    assert_eq!(read(&mut destination, Register::LIMIT), 100);

    write(&mut source, Register::RARE, 9);
    destination.load(&source.save()).unwrap();
    assert_eq!(read(&mut destination, Register::RARE), 9);
    // A subsection that is not there is not the one that came before.
    destination.load(&state).unwrap();
    assert_eq!(read(&mut destination, Register::RARE), 0);
}

#[test]
fn device_with_refused_properties_is_not_created() {
    assert_eq!(
        Machine::<RustSampler>::with("x-refuse=not today").unwrap_err(),
        "not today"
    );
    assert_eq!(
        Machine::<RustSampler>::with("interrupts=all").unwrap_err(),
        "interrupts: there is no 'all'; it is one of pin, msi, msix and msix-only"
    );
}
