// SPDX-License-Identifier: GPL-2.0-or-later

//! `one_register`: a PCI device with one register, which counts its reads.

use qemu_pci::prelude::*;

qemu_pci::properties! {
    /// What the user sets.
    pub struct Properties {
        /// How far each read counts
        step: u32 = 1,
    }
}

qemu_pci::state! {
    /// What migrations and snapshots carry.
    pub struct State { count: u32, }
}

qemu_pci::registers! {
    enum Register { COUNT: ReadOnly = 0x0, }
}

/// The device.
pub struct OneRegister {
    step: u32,
    count: u32,
}

qemu_pci::device! { one_register: OneRegister { properties: Properties, state: State, } }

impl PciDevice for OneRegister {
    const DESCRIPTION: &'static CStr = c"A register that counts";
    // An id that no other device of QEMU's has.
    const IDENTITY: Identity = Identity::new(0x1234, 0xcafc);
    const BARS: &'static [Bar] = &[Bar::memory(0, 16)];

    fn new(Properties { step }: Properties) -> Result<Self, String> {
        Ok(Self { step, count: 0 })
    }

    fn reset(&mut self) {
        self.count = 0;
    }

    fn read(&mut self, _: &mut impl Host<Self>, access: Access) -> Result<u64, GuestError> {
        let Register::COUNT = Register::read(access)?;
        self.count = self.count.wrapping_add(self.step);
        Ok(self.count.into())
    }

    fn save(&self) -> State {
        State { count: self.count }
    }

    fn load(&mut self, state: &State) -> Result<(), String> {
        self.count = state.count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use qemu_pci::testing::{Machine, check_trace_events};

    use super::OneRegister;

    fn machine(options: &str) -> Machine<OneRegister> {
        Machine::with(options).unwrap()
    }

    #[test]
    fn each_read_counts() {
        let mut machine = machine("step=7");
        assert_eq!([0; 3].map(|_| machine.read(0, 0, 4)), [7, 14, 21]);
        machine.reset();
        assert_eq!(machine.read(0, 0, 4), 7);
        assert!(machine.errors().is_empty());
    }

    #[test]
    fn other_accesses_read_as_0_and_are_logged() {
        let mut machine = machine("");
        assert_eq!(machine.read(0, 4, 4), 0);
        assert_eq!(machine.read(0, 0, 2), 0);
        machine.write(0, 0, 4, 1);
        assert_eq!(machine.errors().len(), 3);
        assert_eq!(machine.read(0, 0, 4), 1);
    }

    #[test]
    fn migrated_device_keeps_its_count() {
        let (mut source, mut destination) = (machine(""), machine(""));
        source.read(0, 0, 4);
        destination.load(&source.save()).unwrap();
        assert_eq!(destination.read(0, 0, 4), 2);
    }

    #[test]
    fn trace_events_file_is_up_to_date() {
        check_trace_events::<OneRegister>("examples/one_register/trace-events");
    }
}
