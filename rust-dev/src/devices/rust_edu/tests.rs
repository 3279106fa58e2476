// SPDX-License-Identifier: GPL-2.0-or-later

use qemu_pci::register::Registers;
use qemu_pci::testing::{self, Delivery, Machine, Memory, Page};

use super::{
    BUFFER, BUFFER_SIZE, COMPUTED, Command, DMA_DONE, DMA_TIME, Event, FACTORIAL_TIME, Register,
    RustEdu, Status,
};

const ONES: u64 = 0xffff_ffff;

/// Where the test machine has memory: two pages, a page to read, a hole, and a page to write.
const MEMORY: u64 = 0x10_0000;
const PAGES: &[Page] = &[
    Page::Ram,
    Page::Ram,
    Page::ReadOnly,
    Page::Hole,
    Page::WriteOnly,
];

fn machine_with(options: &str) -> Machine<RustEdu> {
    let mut machine = Machine::with(options).unwrap();
    machine.world.memory = Memory::new(MEMORY, PAGES);
    machine
}

fn machine() -> Machine<RustEdu> {
    machine_with("")
}

fn read(machine: &mut Machine<RustEdu>, register: Register) -> u64 {
    machine.read(0, register.offset(), register.size().into())
}

fn write(machine: &mut Machine<RustEdu>, register: Register, value: u64) {
    machine.write(0, register.offset(), register.size().into(), value);
}

fn is_computing(machine: &mut Machine<RustEdu>) -> bool {
    read(machine, Register::STATUS) & 1 == 1
}

fn start_dma(
    machine: &mut Machine<RustEdu>,
    source: u64,
    destination: u64,
    count: u64,
    command: Command,
) {
    write(machine, Register::DMA_SOURCE, source);
    write(machine, Register::DMA_DESTINATION, destination);
    write(machine, Register::DMA_COUNT, count);
    write(
        machine,
        Register::DMA_COMMAND,
        (command | Command::START).bits(),
    );
}

/// Starts a DMA and waits for its end.
fn dma(
    machine: &mut Machine<RustEdu>,
    source: u64,
    destination: u64,
    count: u64,
    command: Command,
) {
    start_dma(machine, source, destination, count, command);
    machine.advance(DMA_TIME);
    assert_eq!(read(machine, Register::DMA_COMMAND), command.bits());
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// Takes what was done wrong, which is one thing.
fn error(machine: &mut Machine<RustEdu>) -> String {
    let errors = machine.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.concat()
}

#[test]
fn trace_events_file_is_up_to_date() {
    testing::check_trace_events::<RustEdu>("../qemu-8.2.9-overlay/hw/misc/rust-edu/trace-events");
}

#[test]
fn registers_are_zero_at_power_on() {
    let mut machine = machine();
    for register in Register::ALL.iter().copied() {
        let expected = match register {
            Register::IDENTIFICATION => 0x0100_00ed,
            Register::INTERRUPT_RAISE | Register::INTERRUPT_ACKNOWLEDGE => ONES,
            _ => 0,
        };
        assert_eq!(read(&mut machine, register), expected, "{register:?}");
    }
    assert_eq!(
        machine.errors(),
        [
            "4 bytes at 0x60: INTERRUPT_RAISE is write-only",
            "4 bytes at 0x64: INTERRUPT_ACKNOWLEDGE is write-only",
        ]
    );
}

#[test]
fn read_only_registers_cannot_be_written() {
    let mut machine = machine();
    write(&mut machine, Register::IDENTIFICATION, 0);
    write(&mut machine, Register::INTERRUPT_STATUS, 1);
    assert_eq!(
        machine.errors(),
        [
            "4 bytes at 0x0: IDENTIFICATION is read-only",
            "4 bytes at 0x24: INTERRUPT_STATUS is read-only",
        ]
    );
    assert_eq!(read(&mut machine, Register::IDENTIFICATION), 0x0100_00ed);
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), 0);
}

#[test]
fn liveness_gives_the_inverse() {
    let mut machine = machine();
    for value in [0, 1, 0x1234_5678, ONES] {
        write(&mut machine, Register::LIVENESS, value);
        assert_eq!(read(&mut machine, Register::LIVENESS), !value & ONES);
    }
}

/// Every size and place near the registers. `edu` takes 4 bytes everywhere, and 8 from 0x80 on.
#[test]
fn only_accesses_of_the_right_size_have_an_effect() {
    for offset in 0..0xa8 {
        for size in [1, 2, 4, 8] {
            let mut machine = machine();
            let before = machine.device.clone();
            let register = Register::at(offset)
                .filter(|it| size == 4 || u64::from(it.size()) == u64::from(size));
            machine.write(0, offset, size, 0x7f);
            let errors = machine.errors();
            let is_writable = register.is_some_and(|it| Register::write::<()>(access(it)).is_ok());
            assert_eq!(
                errors.is_empty(),
                is_writable,
                "{size} bytes at {offset:#x}: {errors:?}"
            );
            if !is_writable {
                assert_eq!(machine.device, before, "{size} bytes at {offset:#x}");
            }
            let value = machine.read(0, offset, size);
            let is_readable = register.is_some_and(|it| Register::read::<()>(access(it)).is_ok());
            assert_eq!(
                machine.errors().is_empty(),
                is_readable,
                "{size} bytes at {offset:#x}"
            );
            if !is_readable {
                let ones = u64::MAX >> (64 - size * 8);
                assert_eq!(value, ones, "{size} bytes at {offset:#x}");
            }
        }
    }
}

fn access(register: Register) -> qemu_pci::Access {
    qemu_pci::Access {
        bar: 0,
        offset: register.offset(),
        size: register.size().into(),
    }
}

#[test]
fn refused_accesses_say_what_is_wrong() {
    let mut machine = machine();
    machine.read(0, 0x04, 8);
    machine.read(0, 0x04, 2);
    machine.read(0, 0x82, 4);
    machine.read(0, 0x84, 4);
    machine.read(0, BUFFER, 4);
    assert_eq!(
        machine.errors(),
        [
            "8 bytes at 0x4: only aligned accesses do anything",
            "2 bytes at 0x4: only accesses of 4 or 8 bytes do anything",
            "4 bytes at 0x82: only aligned accesses do anything",
            "4 bytes at 0x84: there is no register",
            "4 bytes at 0x40000: there is no register",
        ]
    );
    machine.write(0, 0x20, 8, 0x80);
    assert_eq!(
        error(&mut machine),
        "8 bytes at 0x20: only accesses of 4 bytes do anything"
    );
    assert_eq!(read(&mut machine, Register::STATUS), 0);
}

#[test]
fn dma_registers_take_8_bytes_whole() {
    let mut machine = machine();
    let value = 0x0123_4567_89ab_cdef;
    for register in [
        Register::DMA_SOURCE,
        Register::DMA_DESTINATION,
        Register::DMA_COUNT,
    ] {
        write(&mut machine, register, value);
        assert_eq!(read(&mut machine, register), value);
        assert_eq!(machine.read(0, register.offset(), 4), value & ONES);
        // As with `edu`, 4 bytes are the whole register too.
        machine.write(0, register.offset(), 4, 5);
        assert_eq!(read(&mut machine, register), 5);
    }
    assert_eq!(machine.errors(), [""; 0]);
}

#[test]
fn factorial_is_there_after_its_time() {
    let mut machine = machine();
    for (n, result) in [
        (0, 1),
        (1, 1),
        (2, 2),
        (5, 120),
        (12, 479_001_600),
        (13, 1_932_053_504),
        (33, 0x8000_0000),
        (34, 0),
        (35, 0),
        (ONES, 0),
    ] {
        write(&mut machine, Register::FACTORIAL, n);
        assert!(is_computing(&mut machine));
        assert_eq!(machine.next_timer(), Some(FACTORIAL_TIME));
        machine.advance(FACTORIAL_TIME - 1);
        assert!(is_computing(&mut machine));
        assert_eq!(read(&mut machine, Register::FACTORIAL), n);
        machine.advance(1);
        assert!(!is_computing(&mut machine));
        assert_eq!(read(&mut machine, Register::FACTORIAL), result, "{n}!");
        assert_eq!(machine.next_timer(), None);
    }
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), 0);
    assert!(!machine.world.pin);
    assert_eq!(machine.errors(), [""; 0]);
}

#[test]
fn factorial_takes_no_number_while_it_computes() {
    let mut machine = machine();
    write(&mut machine, Register::FACTORIAL, 4);
    machine.advance(FACTORIAL_TIME / 2);
    write(&mut machine, Register::FACTORIAL, 5);
    assert_eq!(error(&mut machine), "4 bytes at 0x8: FACTORIAL is in use");
    machine.advance(FACTORIAL_TIME / 2);
    assert!(!is_computing(&mut machine));
    assert_eq!(read(&mut machine, Register::FACTORIAL), 24);
}

#[test]
fn status_takes_its_interrupt_bit_only() {
    let mut machine = machine();
    write(&mut machine, Register::STATUS, ONES);
    assert_eq!(read(&mut machine, Register::STATUS), 0x80);
    write(&mut machine, Register::FACTORIAL, 4);
    write(&mut machine, Register::STATUS, 0);
    assert_eq!(read(&mut machine, Register::STATUS), 0x01);
    write(&mut machine, Register::STATUS, 0x80);
    assert_eq!(read(&mut machine, Register::STATUS), 0x81);
    machine.advance(FACTORIAL_TIME);
    assert_eq!(read(&mut machine, Register::STATUS), 0x80);
}

#[test]
fn factorial_raises_an_interrupt_if_asked_at_its_end() {
    let mut machine = machine();
    write(&mut machine, Register::FACTORIAL, 4);
    write(&mut machine, Register::STATUS, 0x80);
    machine.advance(FACTORIAL_TIME - 1);
    assert!(!machine.world.pin);
    machine.advance(1);
    assert!(machine.world.pin);
    assert_eq!(
        read(&mut machine, Register::INTERRUPT_STATUS),
        COMPUTED.into()
    );
    write(
        &mut machine,
        Register::INTERRUPT_ACKNOWLEDGE,
        COMPUTED.into(),
    );
    assert!(!machine.world.pin);

    write(&mut machine, Register::FACTORIAL, 5);
    write(&mut machine, Register::STATUS, 0);
    machine.advance(FACTORIAL_TIME);
    assert_eq!(read(&mut machine, Register::FACTORIAL), 120);
    assert!(!machine.world.pin);
}

#[test]
fn the_pin_stays_up_until_all_bits_are_acknowledged() {
    let mut machine = machine();
    write(&mut machine, Register::INTERRUPT_RAISE, 0);
    assert!(!machine.world.pin);
    write(&mut machine, Register::INTERRUPT_RAISE, 0x8000_0002);
    write(&mut machine, Register::INTERRUPT_RAISE, 0x4);
    assert!(machine.world.pin);
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), 0x8000_0006);
    write(&mut machine, Register::INTERRUPT_ACKNOWLEDGE, 0x8000_0004);
    assert!(machine.world.pin);
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), 0x2);
    write(&mut machine, Register::INTERRUPT_ACKNOWLEDGE, ONES);
    assert!(!machine.world.pin);
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), 0);
    assert!(machine.world.messages.is_empty());
}

/// As with `edu`, every reason sends a message, and an acknowledgement none.
#[test]
fn messages_are_sent_for_each_reason() {
    let mut machine = machine();
    machine.world.delivery = Delivery::Messages;
    write(&mut machine, Register::INTERRUPT_RAISE, 0);
    assert!(machine.world.messages.is_empty());
    write(&mut machine, Register::INTERRUPT_RAISE, 3);
    assert_eq!(machine.world.messages, [0]);
    write(&mut machine, Register::INTERRUPT_RAISE, 0);
    assert_eq!(machine.world.messages, [0, 0]);
    write(&mut machine, Register::INTERRUPT_ACKNOWLEDGE, 1);
    write(&mut machine, Register::INTERRUPT_ACKNOWLEDGE, 2);
    assert_eq!(machine.world.messages, [0, 0]);

    write(&mut machine, Register::STATUS, 0x80);
    write(&mut machine, Register::FACTORIAL, 4);
    dma(&mut machine, MEMORY, BUFFER, 4, Command::INTERRUPT);
    assert_eq!(machine.world.messages, [0, 0, 0, 0]);
    let both = u64::from(COMPUTED | DMA_DONE);
    assert_eq!(read(&mut machine, Register::INTERRUPT_STATUS), both);
    assert!(!machine.world.pin);
}

#[test]
fn dma_copies_in_both_directions_after_its_time() {
    let mut machine = machine();
    let bytes = pattern(BUFFER_SIZE);
    machine.world.memory.store(MEMORY, &bytes);
    let count = BUFFER_SIZE as u64;
    start_dma(&mut machine, MEMORY, BUFFER, count, Command::empty());
    assert_eq!(machine.next_timer(), Some(DMA_TIME));
    machine.advance(DMA_TIME - 1);
    assert_eq!(
        read(&mut machine, Register::DMA_COMMAND),
        Command::START.bits()
    );
    assert_eq!(machine.device.buffer, [0; BUFFER_SIZE]);
    machine.advance(1);
    assert_eq!(read(&mut machine, Register::DMA_COMMAND), 0);
    assert_eq!(machine.device.buffer[..], bytes);

    // To memory that is in two pages.
    let to = MEMORY + 100;
    start_dma(&mut machine, BUFFER, to, count, Command::TO_MEMORY);
    machine.advance(DMA_TIME - 1);
    assert_eq!(machine.world.memory.load(to + 4096 - 100, 100), [0; 100]);
    machine.advance(1);
    assert_eq!(machine.world.memory.load(to, BUFFER_SIZE), bytes);
    assert_eq!(machine.world.memory.load(to + count, 4), [0; 4]);
    assert_eq!(
        machine.events(),
        [
            Event::dma(MEMORY, count, false, true),
            Event::dma(to, count, true, true)
        ]
    );
    assert_eq!(machine.errors(), [""; 0]);
    assert!(!machine.world.pin);
}

#[test]
fn dma_copies_a_part_of_the_buffer() {
    let mut machine = machine();
    let bytes = pattern(100);
    machine.world.memory.store(MEMORY + 3, &bytes);
    dma(
        &mut machine,
        MEMORY + 3,
        BUFFER + 4096 - 100,
        100,
        Command::empty(),
    );
    let (before, part) = machine.device.buffer.split_at(4096 - 100);
    assert_eq!((before, part), (&[0; 4096 - 100][..], &bytes[..]));
    dma(
        &mut machine,
        BUFFER + 4096 - 50,
        MEMORY + 500,
        50,
        Command::TO_MEMORY,
    );
    assert_eq!(
        machine.world.memory.load(MEMORY + 500, 51),
        [&bytes[50..], &[0]].concat()
    );
    assert_eq!(machine.errors(), [""; 0]);
}

#[test]
fn dma_of_zero_bytes_completes() {
    let mut machine = machine();
    for at in [BUFFER, BUFFER + 4096] {
        dma(&mut machine, MEMORY, at, 0, Command::INTERRUPT);
        assert!(machine.world.pin);
        write(
            &mut machine,
            Register::INTERRUPT_ACKNOWLEDGE,
            DMA_DONE.into(),
        );
        assert!(!machine.world.pin);
    }
    assert_eq!(machine.errors(), [""; 0]);
}

#[test]
fn dma_raises_its_interrupt_if_asked() {
    let mut machine = machine();
    start_dma(&mut machine, MEMORY, BUFFER, 8, Command::INTERRUPT);
    machine.advance(DMA_TIME - 1);
    assert!(!machine.world.pin);
    machine.advance(1);
    assert!(machine.world.pin);
    assert_eq!(
        read(&mut machine, Register::INTERRUPT_STATUS),
        DMA_DONE.into()
    );
    // The bit that asks for it stays.
    assert_eq!(
        read(&mut machine, Register::DMA_COMMAND),
        Command::INTERRUPT.bits()
    );
}

#[test]
fn dma_registers_are_fixed_while_it_runs() {
    let mut machine = machine();
    start_dma(&mut machine, MEMORY, BUFFER, 8, Command::empty());
    machine.advance(DMA_TIME / 2);
    for register in [
        Register::DMA_SOURCE,
        Register::DMA_DESTINATION,
        Register::DMA_COUNT,
        Register::DMA_COMMAND,
    ] {
        let before = read(&mut machine, register);
        write(&mut machine, register, 7);
        assert_eq!(
            error(&mut machine),
            format!(
                "8 bytes at {:#x}: {register:?} is in use",
                register.offset()
            )
        );
        assert_eq!(read(&mut machine, register), before);
    }
    // The other half of the time, not another whole one.
    assert_eq!(machine.next_timer(), Some(DMA_TIME / 2));
    // The rest of the device works.
    write(&mut machine, Register::LIVENESS, 0);
    assert_eq!(read(&mut machine, Register::LIVENESS), ONES);
    machine.advance(DMA_TIME / 2);
    assert_eq!(read(&mut machine, Register::DMA_COMMAND), 0);
}

#[test]
fn a_command_without_start_does_nothing() {
    let mut machine = machine();
    for command in [0, 2, 4, 6, !1] {
        write(&mut machine, Register::DMA_COMMAND, command);
        assert_eq!(read(&mut machine, Register::DMA_COMMAND), 0);
        assert_eq!(machine.next_timer(), None);
    }
    // Bits that mean nothing are not kept.
    write(&mut machine, Register::DMA_COMMAND, u64::MAX);
    assert_eq!(read(&mut machine, Register::DMA_COMMAND), 7);
}

#[test]
fn dma_outside_the_buffer_copies_nothing_and_ends() {
    let end = BUFFER + BUFFER_SIZE as u64;
    for (at, count) in [
        (BUFFER, 4097),
        (BUFFER + 1, 4096),
        (BUFFER - 1, 2),
        (BUFFER - 1, 0),
        (end, 1),
        (end + 1, 0),
        (0, 4),
        (BUFFER, u64::MAX),
        (BUFFER + 4, u64::MAX - 3),
        (u64::MAX, 1),
        (u64::MAX - 3, 8),
    ] {
        for direction in [Command::empty(), Command::TO_MEMORY] {
            let mut machine = machine();
            machine.device.buffer.fill(0xaa);
            machine.world.memory.store(MEMORY, &pattern(8192));
            let memory = machine.world.memory.copy();
            let (source, destination) = match direction {
                Command::TO_MEMORY => (at, MEMORY),
                _ => (MEMORY, at),
            };
            let command = direction | Command::INTERRUPT;
            dma(&mut machine, source, destination, count, command);
            assert_eq!(
                error(&mut machine),
                "timer 1: the DMA is not within the buffer"
            );
            assert_eq!(machine.device.buffer, [0xaa; BUFFER_SIZE]);
            assert!(machine.world.memory.is_like(&memory));
            // A driver that waits for the interrupt goes on.
            assert!(machine.world.pin);
            assert_eq!(
                read(&mut machine, Register::INTERRUPT_STATUS),
                DMA_DONE.into()
            );
        }
    }
}

#[test]
fn dma_without_memory_ends_with_an_error() {
    let read_only = MEMORY + 2 * 4096;
    let hole = MEMORY + 3 * 4096;
    let write_only = MEMORY + 4 * 4096;
    for (address, to_memory) in [
        (hole, false),
        (hole, true),
        (read_only, true),
        (write_only, false),
        (hole - 4, false),
        (0, false),
        (0, true),
    ] {
        let mut machine = machine();
        let (source, destination, command) = match to_memory {
            true => (BUFFER, address, Command::TO_MEMORY | Command::INTERRUPT),
            false => (address, BUFFER, Command::INTERRUPT),
        };
        dma(&mut machine, source, destination, 8, command);
        assert_eq!(
            error(&mut machine),
            "timer 1: there is no memory at the address of the DMA"
        );
        assert_eq!(machine.events(), [Event::dma(address, 8, to_memory, false)]);
        assert!(machine.world.pin);
    }
    let mut machine = machine();
    dma(&mut machine, read_only, BUFFER, 8, Command::empty());
    dma(&mut machine, BUFFER, write_only, 8, Command::TO_MEMORY);
    assert_eq!(machine.errors(), [""; 0]);
}

#[test]
fn dma_addresses_are_cut_to_the_mask() {
    let bytes = pattern(64);
    let mut machine = machine();
    machine.world.memory.store(MEMORY, &bytes);
    dma(&mut machine, 1 << 28 | MEMORY, BUFFER, 64, Command::empty());
    assert_eq!(machine.device.buffer[..64], bytes);
    assert_eq!(
        error(&mut machine),
        "timer 1: the address of the DMA was cut to dma_mask"
    );
    dma(
        &mut machine,
        BUFFER,
        1 << 63 | (MEMORY + 4096),
        64,
        Command::TO_MEMORY,
    );
    assert_eq!(machine.world.memory.load(MEMORY + 4096, 64), bytes);
    assert_eq!(
        error(&mut machine),
        "timer 1: the address of the DMA was cut to dma_mask"
    );
    // The mask does not apply to the place in the buffer.
    let mut machine = machine_with("dma_mask=0x100fff");
    dma(&mut machine, MEMORY, BUFFER, 64, Command::empty());
    assert_eq!(machine.errors(), [""; 0]);
    dma(&mut machine, MEMORY + 4096, BUFFER, 64, Command::empty());
    assert_eq!(
        error(&mut machine),
        "timer 1: the address of the DMA was cut to dma_mask"
    );
}

#[test]
fn dma_reaches_as_far_as_the_mask() {
    let far = 1 << 40;
    let mut machine: Machine<RustEdu> = Machine::with("dma_mask=0xffffffffffffffff").unwrap();
    machine.world.memory = Memory::new(far, &[Page::Ram]);
    machine.world.memory.store(far, &pattern(16));
    dma(&mut machine, far, BUFFER, 16, Command::empty());
    assert_eq!(machine.device.buffer[..16], pattern(16));
    assert_eq!(machine.errors(), [""; 0]);
}

/// What a device with everything in use does from some point on.
fn go_on(machine: &mut Machine<RustEdu>) -> Vec<u64> {
    let mut seen = Vec::new();
    while machine.next_timer().is_some() || seen.is_empty() {
        let next = machine.next_timer().unwrap_or_default();
        seen.push(next);
        machine.advance(next);
        for register in Register::ALL.iter().copied() {
            seen.push(read(machine, register));
        }
        seen.push(machine.world.pin.into());
        machine.errors();
    }
    seen
}

/// A machine in the middle of a factorial and of a DMA, with every register in use.
fn busy_machine() -> Machine<RustEdu> {
    let mut machine = machine();
    machine.world.memory.store(MEMORY, &pattern(4096));
    dma(&mut machine, MEMORY, BUFFER, 4096, Command::empty());
    write(&mut machine, Register::LIVENESS, 0x1234_5678);
    write(&mut machine, Register::INTERRUPT_RAISE, 0x10);
    write(&mut machine, Register::STATUS, 0x80);
    let command = Command::TO_MEMORY | Command::INTERRUPT;
    start_dma(&mut machine, BUFFER + 8, MEMORY + 4096, 4000, command);
    machine.advance(DMA_TIME - FACTORIAL_TIME);
    write(&mut machine, Register::FACTORIAL, 10);
    machine.advance(FACTORIAL_TIME / 4);
    assert_eq!(read(&mut machine, Register::STATUS), 0x81);
    machine
}

#[test]
fn a_reset_in_the_middle_gives_a_new_device() {
    for options in ["", "dma_mask=0xffff"] {
        let mut machine = machine_with(options);
        let new = machine.device.clone();
        write(&mut machine, Register::LIVENESS, 5);
        write(&mut machine, Register::STATUS, 0x80);
        write(&mut machine, Register::INTERRUPT_RAISE, 2);
        machine.device.buffer.fill(3);
        start_dma(&mut machine, MEMORY, BUFFER, 4, Command::INTERRUPT);
        write(&mut machine, Register::FACTORIAL, 10);
        machine.reset();
        assert_eq!(machine.device, new);
        assert!(!machine.world.pin);
        assert_eq!(machine.next_timer(), None);
        machine.advance(10 * DMA_TIME);
        assert_eq!(machine.device, new);
        assert!(!machine.world.pin);
        assert_eq!(machine.errors(), [""; 0]);
    }
}

#[test]
fn migration_works_during_a_dma_and_a_factorial() {
    let mut source = busy_machine();
    let bytes = source.save();
    let mut destination = machine();
    destination.world.memory = source.world.memory.copy();
    destination.world.now = source.world.now;
    destination.world.pin = source.world.pin;
    destination.load(&bytes).unwrap();
    assert_eq!(destination.device, source.device);
    assert_eq!(destination.next_timer(), source.next_timer());
    let seen = go_on(&mut source);
    assert_eq!(go_on(&mut destination), seen);
    assert_eq!(read(&mut destination, Register::FACTORIAL), 3_628_800);
    let raised = u64::from(0x10 | COMPUTED | DMA_DONE);
    assert_eq!(read(&mut destination, Register::INTERRUPT_STATUS), raised);
    assert!(destination.world.memory.is_like(&source.world.memory));
    let copied = destination.world.memory.load(MEMORY + 4096, 4000);
    assert_eq!(copied, pattern(4096)[8..4008]);
    // The source has gone on too, so both had a timer of their own.
    assert_eq!(destination.save(), source.save());
}

#[test]
fn a_state_is_the_same_after_a_load() {
    let source = busy_machine();
    let bytes = source.save();
    let mut machine = machine();
    machine.world.now = source.world.now;
    machine.load(&bytes).unwrap();
    assert_eq!(machine.save(), bytes);
    // Mask, registers, buffer, and two timers.
    assert_eq!(bytes.len(), 8 + 4 * 4 + 4 * 8 + BUFFER_SIZE + 2 * 8);
}

#[test]
fn a_state_of_another_mask_is_refused() {
    let bytes = machine_with("dma_mask=0xfff").save();
    let mut machine = busy_machine();
    let before = machine.save();
    assert_eq!(
        machine.load(&bytes),
        Err("it has dma_mask=0xfff: give both the same".to_owned())
    );
    assert_eq!(machine.save(), before);
}

#[test]
fn unknown_bits_in_a_state_are_refused() {
    let good = machine().device;
    for bit in 0..64 {
        for state in [
            RustEdu {
                status: Status::from_bits_retain(1_u32.checked_shl(bit).unwrap_or_default()),
                ..good.clone()
            },
            RustEdu {
                command: Command::from_bits_retain(1 << bit),
                ..good.clone()
            },
        ] {
            let mut bytes = testing::write_state(state.clone());
            for runs in [
                state.status.contains(Status::COMPUTING),
                state.command.contains(Command::START),
            ] {
                bytes.extend(if runs { [0; 8] } else { [0xff; 8] });
            }
            let mut machine = machine();
            let result = machine.load(&bytes);
            let is_known = Status::from_bits(state.status.bits()).is_some()
                && Command::from_bits(state.command.bits()).is_some();
            match is_known {
                true => assert_eq!((result, &machine.device), (Ok(()), &state)),
                false => {
                    let error = "its STATUS or DMA_COMMAND has unknown bits".to_owned();
                    assert_eq!((result, &machine.device), (Err(error), &good));
                }
            }
        }
    }
}

#[test]
fn a_state_whose_timers_contradict_it_is_refused() {
    let off = u64::MAX;
    for (status, command, timers, error) in [
        (0x81, 7, [5, 6], None),
        (0, 6, [off, off], None),
        (
            0x80,
            0,
            [5, off],
            Some("its timer 0 runs, but nothing waits for it"),
        ),
        (
            0,
            6,
            [off, 6],
            Some("its timer 1 runs, but nothing waits for it"),
        ),
        (
            0x01,
            0,
            [off, off],
            Some("its timer 0 does not run, but something waits for it"),
        ),
        (
            0x01,
            1,
            [5, off],
            Some("its timer 1 does not run, but something waits for it"),
        ),
    ] {
        let state = RustEdu {
            status: Status::from_bits_retain(status),
            command: Command::from_bits_retain(command),
            ..machine().device
        };
        let mut bytes = testing::write_state(state.clone());
        bytes.extend(timers.map(u64::to_be_bytes).concat());
        let mut machine = machine();
        let expected = match error {
            Some(error) => (Err(error.to_owned()), machine.device.clone()),
            None => (Ok(()), state),
        };
        assert_eq!((machine.load(&bytes), machine.device), expected);
    }
}

#[test]
fn timer_beyond_the_longest_delay_is_refused() {
    let mut source = machine();
    start_dma(&mut source, MEMORY, BUFFER, 8, Command::empty());
    let mut bytes = source.save();
    let at = bytes.len() - 8;
    assert_eq!(bytes[at..], DMA_TIME.to_be_bytes());
    assert_eq!(machine().load(&bytes), Ok(()));
    bytes.splice(at.., (DMA_TIME + 1).to_be_bytes());
    assert_eq!(
        machine().load(&bytes),
        Err("its timer 1 is due later than any timer can be".to_owned())
    );
}
