// SPDX-License-Identifier: GPL-2.0-or-later

//! A state as the bytes of its fields, big-endian and one after the other as QEMU writes them.

use core::ffi::CStr;

use my_rng_dev::device::SavedState;
use my_rng_dev::pci::{State, StateVisitor};

use crate::oracle::Fields;

/// How many bytes the fields take.
pub const LENGTH: usize = 1 + 1 + 4 + 4 + 8 + 31 * 4 + 4;

/// The names by which a state of another version of the device is read: never to change while the
/// state's version stays.
pub const NAMES: [&CStr; 7] = [
    c"generator",
    c"bulk",
    c"initial_seed",
    c"seed",
    c"position",
    c"table",
    c"failures",
];

struct Writer {
    names: Vec<&'static CStr>,
    bytes: Vec<u8>,
}

impl StateVisitor for Writer {
    fn u8(&mut self, name: &'static CStr, value: &mut u8) {
        self.names.push(name);
        self.bytes.push(*value);
    }

    fn u32(&mut self, name: &'static CStr, value: &mut u32) {
        self.names.push(name);
        self.bytes.extend(value.to_be_bytes());
    }

    fn u64(&mut self, name: &'static CStr, value: &mut u64) {
        self.names.push(name);
        self.bytes.extend(value.to_be_bytes());
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.names.push(name);
        self.bytes
            .extend(values.iter().flat_map(|value| value.to_be_bytes()));
    }
}

/// The bytes of what a device saved, and with them the check that its fields are the ones they were.
#[must_use]
pub fn write(mut state: SavedState) -> Vec<u8> {
    let mut writer = Writer {
        names: Vec::new(),
        bytes: Vec::new(),
    };
    state.visit(&mut writer);
    assert_eq!(SavedState::VERSION, 2);
    assert_eq!(writer.names, NAMES);
    assert_eq!(writer.bytes.len(), LENGTH);
    writer.bytes
}

/// Gives out bytes, and 0 when they are all given.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        for byte in &mut taken {
            if let Some((first, rest)) = self.0.split_first() {
                *byte = *first;
                self.0 = rest;
            }
        }
        taken
    }
}

impl StateVisitor for Reader<'_> {
    fn u8(&mut self, _name: &'static CStr, value: &mut u8) {
        *value = u8::from_be_bytes(self.take());
    }

    fn u32(&mut self, _name: &'static CStr, value: &mut u32) {
        *value = u32::from_be_bytes(self.take());
    }

    fn u64(&mut self, _name: &'static CStr, value: &mut u64) {
        *value = u64::from_be_bytes(self.take());
    }

    fn u32_array(&mut self, _name: &'static CStr, values: &mut [u32]) {
        for value in values {
            *value = u32::from_be_bytes(self.take());
        }
    }
}

/// The state that a device finds in the bytes.
#[must_use]
pub fn read(bytes: &[u8]) -> SavedState {
    let mut state = SavedState::default();
    state.visit(&mut Reader(bytes));
    state
}

impl From<SavedState> for Fields {
    fn from(state: SavedState) -> Self {
        Self {
            generator: state.generator,
            bulk: state.bulk,
            initial_seed: state.initial_seed,
            seed: state.place.seed,
            position: state.place.position,
            table: state.place.table,
            failures: state.failures,
        }
    }
}

impl Fields {
    /// The fields that the bytes are by the specification.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        Self {
            generator: u8::from_be_bytes(reader.take()),
            bulk: u8::from_be_bytes(reader.take()),
            initial_seed: u32::from_be_bytes(reader.take()),
            seed: u32::from_be_bytes(reader.take()),
            position: u64::from_be_bytes(reader.take()),
            table: [(); 31].map(|()| u32::from_be_bytes(reader.take())),
            failures: u32::from_be_bytes(reader.take()),
        }
    }

    /// The bytes of the fields.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.generator, self.bulk];
        bytes.extend(self.initial_seed.to_be_bytes());
        bytes.extend(self.seed.to_be_bytes());
        bytes.extend(self.position.to_be_bytes());
        for word in self.table {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(self.failures.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{LENGTH, read, write};
    use crate::oracle::Fields;

    #[test]
    fn bytes_come_back() {
        let bytes: Vec<u8> = (1..=LENGTH as u8).collect();
        assert_eq!(write(read(&bytes)), bytes);
        assert_eq!(Fields::from_bytes(&bytes).to_bytes(), bytes);
        assert_eq!(Fields::from(read(&bytes)), Fields::from_bytes(&bytes));
    }

    #[test]
    fn what_is_missing_is_zero() {
        let state = read(&[2, 1, 0, 0, 0, 5, 1]);
        assert_eq!((state.generator, state.bulk, state.initial_seed), (2, 1, 5));
        assert_eq!(state.place.seed, 0x0100_0000);
        assert_eq!(state.place.position, 0);
    }
}
