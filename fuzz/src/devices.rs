// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `devices`: any device of the kit, in a machine with a random guest. There is no oracle. A device must not
//! panic and must respect the kit's limits. A device that has loaded a state must behave like the one that saved it.

use arbitrary::Arbitrary;
use my_rng_dev::devices::{
    my_rng::MyRng, rust_edu::RustEdu, rust_sampler::RustSampler, rust_testdev::RustTestdev,
};
use qemu_pci::PciDevice;
use qemu_pci::device::SHORTEST_DELAY;
use qemu_pci::event::TraceEvents as _;
use qemu_pci::property::{Described, PropertySet as _, Size, Value};
use qemu_pci::testing::{Delivery, Machine, Memory, Page};

use crate::check_text;
use crate::pair::{PAGE, START};

/// The devices.
const DEVICES: &[fn(&Life)] = &[
    live::<MyRng>,
    live::<RustEdu>,
    live::<RustSampler>,
    live::<RustTestdev>,
];

/// The input: what happens to a device.
#[derive(Arbitrary, Clone, Debug)]
pub struct Life {
    device: u8,
    /// The properties' values, in order.
    properties: [Setting; 4],
    /// Four kinds of pages, two bits each.
    pages: u32,
    scattered: bool,
    /// Which requests for entropy are answered.
    entropy: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Setting {
    Default,
    /// The n-th name of an enum, or a small number.
    Near(u8),
    Any(u64),
}

#[derive(Arbitrary, Clone, Debug)]
enum Step {
    Read(Location),
    Write(Location, Operand),
    /// The guest writes to its memory.
    Store(u16, Operand),
    /// The time in nanoseconds advances.
    Advance(u16),
    /// Time passes until the next timer is due.
    Due,
    Reset,
    /// The guest chooses how interrupts are delivered.
    Deliver(bool),
    /// The device is saved, and a twin loads its state.
    Travel,
    /// The device's own state is loaded, with some bytes changed.
    Edited(Vec<(u8, u8)>),
    /// Random bytes are loaded as a state.
    Arrive(Vec<u8>),
}

/// A part of a BAR: which BAR, where in it, and how many bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Location {
    bar: u8,
    offset: Offset,
    size: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Offset {
    Word(u8),
    Byte(u8),
    Any(u32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Operand {
    Small(u8),
    /// An address in memory.
    Address(u16),
    /// The number of a page.
    Page(u8),
    /// A power of two.
    Bit(u8),
    Any(u64),
}

impl Operand {
    fn get(self) -> u64 {
        match self {
            Self::Small(value) => value.into(),
            Self::Address(offset) => START + u64::from(offset),
            Self::Page(page) => START / PAGE + u64::from(page % 16),
            Self::Bit(bit) => 1 << (bit % 64),
            Self::Any(value) => value,
        }
    }
}

impl Location {
    /// The access's place in the device's BARs; `None` if it has no BARs.
    fn of<D: PciDevice>(self) -> Option<(u8, u64, u32)> {
        let bar = D::BARS.get(usize::from(self.bar).checked_rem(D::BARS.len())?)?;
        let offset = match self.offset {
            Offset::Word(word) => u64::from(word) * 4,
            Offset::Byte(offset) => offset.into(),
            Offset::Any(offset) => offset.into(),
        };
        let size = 1 << (self.size % 4);
        // QEMU does not pass on accesses that extend beyond the BAR.
        let starts = bar.size.saturating_sub(size - 1);
        Some((bar.index, offset.checked_rem(starts)?, size as u32))
    }
}

impl Setting {
    /// The value that a property gets.
    fn value(self, property: &Described) -> Value {
        let number = match self {
            Self::Default => return property.default.clone(),
            Self::Near(number) => number.into(),
            Self::Any(number) => number,
        };
        match property.default {
            Value::Bool(_) => Value::Bool(number % 2 == 1),
            Value::U8(_) => Value::U8(number as u8),
            Value::U16(_) => Value::U16(number as u16),
            Value::U32(_) => Value::U32(number as u32),
            Value::U64(_) => Value::U64(number),
            Value::I32(_) => Value::I32(number as i32),
            Value::I64(_) => Value::I64(number as i64),
            Value::Size(_) => Value::Size(Size(number)),
            Value::Text(_) => {
                let count = property.names.len();
                let name = (number as usize).checked_rem(count);
                let name = name.and_then(|index| property.names.get(index));
                Value::Text(name.map_or_else(|| number.to_string(), |name| (*name).to_owned()))
            }
        }
    }
}

/// The maximum number of steps, and of virtual time. More take longer and find little more.
const STEPS: usize = 100;
const LONGEST_STEP: u64 = 1_000_000_000;

/// Creates the device and executes all steps.
pub fn run(life: &Life) {
    let index = usize::from(life.device) % DEVICES.len();
    if let Some(live) = DEVICES.get(index) {
        live(life);
    }
}

fn live<D: PciDevice>(life: &Life) {
    let values: Vec<_> = D::Properties::describe()
        .iter()
        .zip(life.properties.iter().cycle())
        .map(|(property, setting)| setting.value(property))
        .collect();
    let mut machines = match Machines::<D>::new(life, values) {
        Ok(machines) => machines,
        Err(error) => return check_text(&error),
    };
    for step in life.steps.iter().take(STEPS) {
        machines.take(step);
        machines.compare();
    }
    machines.travel();
    machines.compare_states();
}

/// A machine, and a twin whose device has loaded the state of the first one's.
struct Machines<D: PciDevice> {
    values: Vec<Value>,
    one: Machine<D>,
    twin: Option<Machine<D>>,
}

impl<D: PciDevice> Machines<D> {
    fn new(life: &Life, values: Vec<Value>) -> Result<Self, String> {
        let mut one = Machine::<D>::new(D::Properties::from_values(values.clone())?)?;
        let page = |n: u32| match life.pages >> (2 * n) & 3 {
            0 => Page::Hole,
            1 => Page::Ram,
            2 => Page::ReadOnly,
            _ => Page::WriteOnly,
        };
        let count = (u32::BITS - life.pages.leading_zeros()).div_ceil(2);
        let memory = Memory::new(START, &(0..count).map(page).collect::<Vec<_>>());
        one.world.memory = if life.scattered {
            memory.scattered()
        } else {
            memory
        };
        one.world.entropy = life.entropy;
        Ok(Self {
            values,
            one,
            twin: None,
        })
    }

    /// Does the same in both machines.
    fn both(&mut self, act: impl Fn(&mut Machine<D>)) {
        act(&mut self.one);
        if let Some(twin) = &mut self.twin {
            act(twin);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Read(location) => {
                if let Some((bar, offset, size)) = location.of::<D>() {
                    let value = self.one.read(bar, offset, size);
                    assert!(
                        size == 8 || value >> (8 * size) == 0,
                        "{value:#x} in {size} bytes"
                    );
                    if let Some(twin) = &mut self.twin {
                        assert_eq!(twin.read(bar, offset, size), value);
                    }
                }
            }
            Step::Write(location, operand) => {
                if let Some((bar, offset, size)) = location.of::<D>() {
                    self.both(|machine| machine.write(bar, offset, size, operand.get()));
                }
            }
            Step::Store(at, operand) => self.both(|machine| {
                let address = START + u64::from(*at) / 8 * 8;
                let memory = &machine.world.memory;
                if memory.piece(address, 8, |page| page != Page::Hole) == 8 {
                    memory.store(address, &operand.get().to_le_bytes());
                }
            }),
            Step::Advance(nanoseconds) => self.advance((*nanoseconds).into()),
            Step::Due => {
                if let Some(delay) = self.one.next_timer() {
                    self.advance(delay.min(LONGEST_STEP));
                }
            }
            Step::Reset => self.both(Machine::reset),
            Step::Deliver(messages) => self.both(|machine| {
                machine.world.delivery = if *messages {
                    Delivery::Messages
                } else {
                    Delivery::Pin
                };
            }),
            Step::Travel => self.travel(),
            Step::Edited(edits) => {
                let mut state = self.one.save();
                for (at, value) in edits {
                    if let Some(byte) = state.get_mut(usize::from(*at)) {
                        *byte = *value;
                    }
                }
                self.arrive(&state);
            }
            Step::Arrive(state) => self.arrive(state),
        }
    }

    fn advance(&mut self, nanoseconds: u64) {
        // One that is already due, and one per shortest delay.
        let most = D::TIMERS as u64 * (nanoseconds / SHORTEST_DELAY + 2);
        self.both(|machine| {
            let before = machine.world.timer_runs;
            machine.advance(nanoseconds);
            assert!(
                machine.world.timer_runs - before <= most,
                "timers run too often"
            );
        });
    }

    /// Makes the twin: a machine that is the same, with a device that loads this one's state.
    fn travel(&mut self) {
        self.compare_states();
        let state = self.one.save();
        let properties = D::Properties::from_values(self.values.clone()).expect("good before");
        let mut twin = Machine::<D>::new(properties).expect("good before");
        let (here, there) = (&self.one.world, &mut twin.world);
        there.memory = here.memory.copy();
        (there.now, there.pin, there.delivery) = (here.now, here.pin, here.delivery);
        (there.entropy, there.asked) = (here.entropy, here.asked);
        if let Err(error) = twin.load(&state) {
            panic!("a state that was saved is refused: {error}");
        }
        check_same(&twin.save(), &state);
        self.twin = Some(twin);
    }

    /// Loads a state. If it is refused, nothing may have changed.
    fn arrive(&mut self, state: &[u8]) {
        let before = self.one.save();
        match self.one.load(state) {
            Ok(()) => {
                self.twin = None;
                self.travel();
            }
            Err(error) => {
                check_text(&error);
                check_same(&self.one.save(), &before);
            }
        }
    }

    /// Compares what a guest and a user see of both machines.
    fn compare(&mut self) {
        let (errors, events) = (self.one.errors(), self.one.events());
        errors.iter().for_each(|error| check_text(error));
        let messages = core::mem::take(&mut self.one.world.messages);
        let Some(twin) = &mut self.twin else {
            return;
        };
        assert_eq!(twin.errors(), errors);
        let parts = |events: &[D::Event]| events.iter().map(|it| it.parts()).collect::<Vec<_>>();
        assert_eq!(parts(&twin.events()), parts(&events));
        assert_eq!(core::mem::take(&mut twin.world.messages), messages);
        assert_eq!(twin.world.pin, self.one.world.pin);
        assert_eq!(twin.world.asked, self.one.world.asked);
    }

    /// Compares the states and the memory of both machines. That takes longer.
    fn compare_states(&self) {
        if let Some(twin) = &self.twin {
            check_same(&twin.save(), &self.one.save());
            assert!(twin.world.memory.is_like(&self.one.world.memory), "memory");
        }
    }
}

/// Compares states, which are too long to be shown.
#[track_caller]
fn check_same(one: &[u8], other: &[u8]) {
    let at = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    assert!(one == other, "two states are the same up to byte {at} only");
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;
    use core::ffi::CStr;

    use qemu_pci::{Access, Bar, Declare, GuestError, Host, Identity, PciDevice};

    use super::{DEVICES, Life, Location, Offset, Operand, Setting, Step, live, run};

    #[test]
    fn every_listed_device_is_fuzzed() {
        let list = include_str!("../../rust-dev/src/devices.rs");
        let listed = list.lines().filter(|line| line.starts_with("pub mod "));
        assert_eq!(
            DEVICES.len(),
            listed.count(),
            "add the new device to DEVICES"
        );
    }

    const LOCATION: Location = Location {
        bar: 0,
        offset: Offset::Word(0),
        size: 2,
    };

    fn life(steps: Vec<Step>) -> Life {
        Life {
            device: 0,
            properties: [Setting::Default; 4],
            pages: 0b1101,
            scattered: false,
            entropy: 0,
            steps,
        }
    }

    #[test]
    fn every_device_takes_every_step() {
        let steps = vec![
            Step::Write(LOCATION, Operand::Small(3)),
            Step::Travel,
            Step::Read(LOCATION),
            Step::Store(8, Operand::Any(7)),
            Step::Deliver(true),
            Step::Advance(9),
            Step::Due,
            Step::Edited(vec![(0, 1), (5, 0xff)]),
            Step::Arrive(vec![1, 2]),
            Step::Reset,
        ];
        for device in 0..DEVICES.len() as u8 {
            run(&Life {
                device,
                ..life(steps.clone())
            });
        }
    }

    qemu_pci::state! {
        /// The state of [`Faulty`].
        pub struct Count {
            count: u32,
        }
    }

    /// Counts writes, but not with this many.
    #[derive(Clone, Debug)]
    struct Faulty<const FAULT: usize>(u32);

    /// Its load forgets the count.
    const FORGETS: usize = 0;
    /// Its load changes it, and refuses the state then.
    const CHANGES: usize = 1;
    /// A count above 2 is an error with control characters.
    const WRITES_ESCAPES: usize = 2;
    const NONE: usize = 3;

    impl<const FAULT: usize> Declare for Faulty<FAULT> {
        const NAME: &'static CStr = c"faulty";
        type Properties = ();
        type State = Count;
        type Event = Infallible;
        type Error = &'static str;
    }

    impl<const FAULT: usize> PciDevice for Faulty<FAULT> {
        const DESCRIPTION: &'static CStr = c"For tests";
        const IDENTITY: Identity = Identity::new(0x1234, 1);
        const BARS: &'static [Bar] = &[Bar::memory(0, 16)];

        fn new((): ()) -> Result<Self, String> {
            Ok(Self(0))
        }

        fn reset(&mut self) {
            self.0 = 0;
        }

        fn read(
            &mut self,
            _host: &mut impl Host<Self>,
            _access: Access,
        ) -> Result<u64, GuestError<&'static str>> {
            Ok(self.0.into())
        }

        fn write(
            &mut self,
            _host: &mut impl Host<Self>,
            _access: Access,
            _value: u64,
        ) -> Result<(), GuestError<&'static str>> {
            self.0 += 1;
            if FAULT == WRITES_ESCAPES && self.0 > 2 {
                return Err("\x1b".into());
            }
            Ok(())
        }

        fn save(&self) -> Count {
            Count { count: self.0 }
        }

        fn load(&mut self, state: &Count) -> Result<(), String> {
            match FAULT {
                FORGETS => {}
                CHANGES if state.count > 0xffff => {
                    self.0 = 9;
                    return Err("it is too large".to_owned());
                }
                _ => self.0 = state.count,
            }
            Ok(())
        }
    }

    fn write() -> Step {
        Step::Write(LOCATION, Operand::Small(0))
    }

    #[test]
    fn a_device_without_fault_passes() {
        let steps = vec![
            write(),
            Step::Travel,
            write(),
            write(),
            Step::Edited(vec![(0, 1)]),
        ];
        live::<Faulty<NONE>>(&life(steps));
    }

    #[test]
    #[should_panic = "two states are the same up to byte 3 only"]
    fn device_that_forgets_state_is_detected() {
        live::<Faulty<FORGETS>>(&life(vec![write()]));
    }

    #[test]
    #[should_panic = "two states are the same up to byte 3 only"]
    fn refused_load_that_changes_the_device_is_detected() {
        live::<Faulty<CHANGES>>(&life(vec![Step::Edited(vec![(0, 1)])]));
    }

    #[test]
    #[should_panic = "is not a text for a terminal"]
    fn error_with_control_characters_is_detected() {
        live::<Faulty<WRITES_ESCAPES>>(&life(vec![write(), write(), write()]));
    }
}
