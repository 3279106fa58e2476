// SPDX-License-Identifier: GPL-2.0-or-later

use core::convert::Infallible;

use super::{Event, MyCounter, Settings};
use crate::pci::listed::Listed;
use crate::pci::{Host, PciModel, Properties, State};

/// A machine that only takes notes.
#[derive(Default)]
struct Machine {
    events: Vec<Event>,
}

impl Host<Event> for Machine {
    // It has no memory.
    type Memory = Infallible;

    fn read(&mut self, _address: u64, _bytes: &mut [u8]) -> bool {
        false
    }

    fn map(&mut self, _address: u64, _length: usize) -> Option<Infallible> {
        None
    }

    fn random(&mut self, _bytes: &mut [u8]) -> bool {
        false
    }

    fn trace(&mut self, event: Event) {
        self.events.push(event);
    }
}

fn made(start: u32, step: u32) -> MyCounter {
    MyCounter::new(&Settings { start, step }).unwrap()
}

fn counts<const N: usize>(device: &mut MyCounter) -> [u64; N] {
    [(); N].map(|()| device.read(&mut Machine::default(), 0, 4).unwrap())
}

#[test]
fn counts_in_steps_from_the_start_and_again_after_a_reset() {
    assert_eq!(counts(&mut made(0, 1)), [0, 1, 2]);
    let mut device = made(40, 2);
    assert_eq!(counts(&mut device), [40, 42, 44]);
    device.reset();
    assert_eq!(counts(&mut device), [40, 42]);
    assert_eq!((MyCounter::COUNTERS[0].get)(&device), 5);
}

#[test]
fn goes_on_after_the_end() {
    let mut machine = Machine::default();
    let mut device = made(u32::MAX, 3);
    assert_eq!(device.read(&mut machine, 0, 4), Ok(u32::MAX.into()));
    assert_eq!(machine.events, [Event::Wrapped(2)]);
    assert_eq!(device.read(&mut machine, 0, 4), Ok(2));
    assert_eq!(machine.events, [Event::Wrapped(2)]);
}

#[test]
fn every_other_access_is_refused_and_changes_nothing() {
    let mut device = made(40, 2);
    for (offset, size) in [(0, 1), (0, 2), (2, 4), (4, 4), (u64::MAX, 4)] {
        let refused = device.read(&mut Machine::default(), offset, size);
        assert_eq!(refused, Err("a read that is not of the 4 bytes of COUNT"));
    }
    for (offset, size) in [(0, 4), (0, 1), (4, 4)] {
        let refused = device.write(&mut Machine::default(), offset, 7, size);
        assert_eq!(refused, Err("a write, but COUNT is read-only"));
    }
    assert_eq!(device, made(40, 2));
}

#[test]
fn a_saved_device_goes_on_elsewhere() {
    let mut source = made(40, 2);
    assert_eq!(counts(&mut source), [40, 42]);
    let mut destination = made(40, 2);
    destination.load(&source.save()).unwrap();
    assert_eq!(counts(&mut destination), [44, 46]);
    destination.reset();
    assert_eq!(counts(&mut destination), [40]);
}

#[test]
fn a_step_of_0_is_refused() {
    let still = Settings { start: 1, step: 0 };
    assert!(MyCounter::new(&still).is_err());
}

#[test]
fn another_device_s_state_is_refused() {
    let mut device = made(40, 2);
    for other in [made(40, 3), made(41, 2)] {
        assert!(device.load(&other.save()).is_err());
        assert_eq!(device, made(40, 2));
    }
}

#[test]
fn all_settings_and_the_whole_state_are_shown() {
    let (mut settings, mut listed) = (Settings::default(), Listed::default());
    settings.visit(&mut listed);
    assert_eq!(listed.0, ["start=0", "step=1"]);
    assert_eq!(settings, Settings { start: 1, step: 2 });

    let (mut device, mut listed) = (made(40, 2), Listed::default());
    device.visit(&mut listed);
    assert_eq!(listed.0, ["start=40", "step=2", "count=40"]);
    assert_eq!(device, made(41, 3));
}
