// SPDX-License-Identifier: GPL-2.0-or-later

//! `rust_testdev`: QEMU's test device `pci-testdev`, written again. Its specification is
//! `docs/specs/pci-testdev.rst` in QEMU's tree.
//!
//! A memory BAR and a BAR of I/O ports each begin with a header. The guest writes the number of a test there, and
//! reads where to write what; the device counts these writes. Test 0 (no-eventfd) is on both BARs. The others of
//! `pci-testdev` use ioeventfd, which this device lacks: their width is 0, which says that there is no such test.
//! BAR 2 (`membar=`) is left out too.

#[cfg(test)]
mod tests;

use qemu_pci::prelude::*;

/// Where the guest writes the number of a test.
const TEST: u64 = 0;
/// The number of the test that there is, and the byte that it counts.
const NO_EVENTFD: u64 = 0;
const DATA: u8 = 0xfa;

/// The BARs. Programs may rely on the offsets and names, which are those of `pci-testdev`.
const MEMORY: u8 = 0;
const MEMORY_OFFSET: u32 = 2048;
const PORTS: u8 = 1;
const PORTS_OFFSET: u32 = 131;

qemu_pci::state! {
    /// What travels.
    pub struct State {
        is_running: bool,
        bar: u8,
        count: u32,
    }
}

qemu_pci::trace_events! {
    /// What can be traced.
    pub enum Event {
        /// The guest chose a test.
        test(bar: u8, number: u8) = "bar %u test %u";
    }
}

/// The device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RustTestdev {
    /// The BAR on which a test is running. There is one at a time.
    running: Option<u8>,
    /// How many writes it has counted.
    count: u32,
}

qemu_pci::device! {
    rust_testdev: RustTestdev {
        state: State,
        events: Event,
    }
}

/// What the header of a BAR says beside the count: where to write, and the name.
fn test_on(bar: u8) -> (u32, &'static CStr) {
    match bar {
        MEMORY => (MEMORY_OFFSET, c"mmio-no-eventfd"),
        _ => (PORTS_OFFSET, c"portio-no-eventfd"),
    }
}

/// A byte of the header of a test. Its fields: test number, width and padding; offset; data; count; name.
fn header(bar: u8, count: u32, at: u64) -> Option<u8> {
    let (offset, name) = test_on(bar);
    let width = 1;
    let fields = [
        [0, width, 0, 0],
        offset.to_le_bytes(),
        [DATA, 0, 0, 0],
        count.to_le_bytes(),
    ];
    let mut bytes = fields.as_flattened().iter().chain(name.to_bytes_with_nul());
    bytes.nth(usize::try_from(at).ok()?).copied()
}

impl PciDevice for RustTestdev {
    const DESCRIPTION: &'static CStr = c"PCI test device in Rust, like pci-testdev";
    const IDENTITY: Identity = Identity::new(0x1b36, 0x0005);
    const BARS: &'static [Bar] = &[
        Bar::memory(MEMORY, 4096).with(qemu_pci::Rules::BYTES),
        Bar::io(PORTS, 256),
    ];

    fn new((): ()) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn read(
        &mut self,
        _host: &mut impl Host<Self>,
        access: Access,
    ) -> Result<u64, GuestError<Self::Error>> {
        let byte = header(access.bar, self.count, access.offset).ok_or(GuestError::NoRegister)?;
        // Without a test the header is all 0.
        Ok(if self.running == Some(access.bar) {
            byte.into()
        } else {
            0
        })
    }

    fn write(
        &mut self,
        host: &mut impl Host<Self>,
        access: Access,
        value: u64,
    ) -> Result<(), GuestError<Self::Error>> {
        let Access { bar, offset, .. } = access;
        if offset == TEST {
            self.running = (value == NO_EVENTFD).then_some(bar);
            self.count = 0;
            host.trace(Event::test(bar, value as u8));
            return Ok(());
        }
        if offset != u64::from(test_on(bar).0) {
            return Err(match header(bar, 0, offset) {
                Some(_) => GuestError::ReadOnly("the header"),
                None => GuestError::NoRegister,
            });
        }
        if self.running == Some(bar) && value == DATA.into() {
            self.count = self.count.wrapping_add(1);
        }
        Ok(())
    }

    fn save(&self) -> State {
        State {
            is_running: self.running.is_some(),
            bar: self.running.unwrap_or_default(),
            count: self.count,
        }
    }

    fn load(&mut self, state: &State) -> Result<(), String> {
        let running = match (state.is_running, state.bar) {
            (true, MEMORY | PORTS) => Some(state.bar),
            (true, bar) => {
                return Err(format!(
                    "its test is on BAR {bar}, where there are no tests"
                ));
            }
            (false, 0) if state.count == 0 => None,
            (false, _) => return Err("it counts for a test that is not running".to_owned()),
        };
        (self.running, self.count) = (running, state.count);
        Ok(())
    }
}
