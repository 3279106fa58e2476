// SPDX-License-Identifier: GPL-2.0-or-later

//! `my_counter`, the example of a device: `docs/new-device.md` goes through it, from here to QEMU.

use core::ffi::CStr;

use crate::pci::{Counter, Host, Identity, MemoryBar, PciModel};
use crate::pci::{Properties, PropertyVisitor, State, StateVisitor};

#[cfg(test)]
mod tests;

/// The one register: a read gives the count and moves it on by a step.
const COUNT: u64 = 0x0;

/// The device. All of it travels, but for `reads`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MyCounter {
    settings: Settings,
    count: u32,
    reads: u64,
}

/// What the user sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    start: u32,
    step: u32,
}

/// What happens inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The count went past its end, and goes on at this number.
    Wrapped(u32),
}

impl Default for Settings {
    fn default() -> Self {
        Self { start: 0, step: 1 }
    }
}

impl Properties for Settings {
    fn visit(&mut self, visitor: &mut impl PropertyVisitor) {
        visitor.u32(c"start", c"The first count", &mut self.start);
        visitor.u32(c"step", c"From one count to the next", &mut self.step);
    }
}

impl State for MyCounter {
    const VERSION: u8 = 1;
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.u32(c"start", &mut self.settings.start);
        visitor.u32(c"step", &mut self.settings.step);
        visitor.u32(c"count", &mut self.count);
    }
}

impl PciModel for MyCounter {
    const NAME: &'static CStr = c"my_counter";
    const DESCRIPTION: &'static CStr = c"Example: a register that counts";
    const IDENTITY: Identity = Identity {
        vendor_id: 0x1234,
        device_id: 0xc0de,
        revision: 1,
        class: 0x00ff,
    };
    const BAR: MemoryBar = MemoryBar { index: 0, size: 16 };
    const COUNTERS: &'static [Counter<Self>] = &[Counter {
        name: c"reads",
        description: c"How many counts the guest has taken",
        get: |device| device.reads,
    }];

    type Properties = Settings;
    type State = Self;
    type PropertyError = &'static str;
    type StateError = &'static str;
    type GuestError = &'static str;
    type Event = Event;

    fn new(settings: &Settings) -> Result<Self, &'static str> {
        if settings.step == 0 {
            return Err("step: 0 would never count; give another number");
        }
        Ok(Self {
            settings: settings.clone(),
            count: settings.start,
            reads: 0,
        })
    }

    fn reset(&mut self) {
        self.count = self.settings.start;
    }

    fn read(
        &mut self,
        host: &mut impl Host<Event>,
        offset: u64,
        size: u32,
    ) -> Result<u64, &'static str> {
        if (offset, size) != (COUNT, 4) {
            return Err("a read that is not of the 4 bytes of COUNT");
        }
        let (next, wrapped) = self.count.overflowing_add(self.settings.step);
        if wrapped {
            host.trace(Event::Wrapped(next));
        }
        self.reads += 1;
        Ok(core::mem::replace(&mut self.count, next).into())
    }

    fn write(
        &mut self,
        _host: &mut impl Host<Event>,
        _offset: u64,
        _value: u64,
        _size: u32,
    ) -> Result<(), &'static str> {
        Err("a write, but COUNT is read-only")
    }

    fn save(&self) -> Self {
        self.clone()
    }

    fn load(&mut self, state: &Self) -> Result<(), &'static str> {
        if state.settings != self.settings {
            return Err("its start or step is another: give both sides the same");
        }
        self.count = state.count;
        Ok(())
    }
}
