// SPDX-License-Identifier: GPL-2.0-or-later

//! A state as the bytes of a migration stream: big-endian, one field after another.

use core::ffi::CStr;
use core::slice;

use crate::state::{Bounded, Scalar, StateFields, StateVisitor, Subsection};

/// What introduces a subsection.
const SUBSECTION: u8 = 5;

/// Writes the fields, and after them the subsections.
struct Writer {
    bytes: Vec<u8>,
    subsections: Vec<u8>,
}

impl StateVisitor for Writer {
    fn since(&mut self, _version: u8) {}

    fn scalars<T: Scalar>(&mut self, _name: &'static CStr, values: &mut [T]) {
        for value in values {
            let bytes = value.to_bytes();
            let (_, bytes) = bytes.split_at(8 - size_of::<T>());
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn structs<S: StateFields>(&mut self, _name: &'static CStr, values: &mut [S]) {
        for value in values {
            value.visit(self);
        }
    }

    fn bounded<T: Scalar, const N: usize>(
        &mut self,
        name: &'static CStr,
        value: &mut Bounded<T, N>,
    ) {
        self.scalars(name, &mut [value.count]);
        for mut value in value.as_slice().iter().copied() {
            self.scalars(name, slice::from_mut(&mut value));
        }
    }

    fn subsection<S: StateFields>(&mut self, name: &'static CStr, value: &mut Subsection<S>) {
        if value.present {
            let name = name.to_bytes();
            self.subsections.extend([SUBSECTION, name.len() as u8]);
            self.subsections.extend(name);
            self.subsections.extend(u32::from(S::VERSION).to_be_bytes());
            self.subsections.extend(write(value.value.clone()));
        }
    }
}

/// The bytes of a state. A subsection has its own name only, without that of the whole state.
#[must_use]
pub fn write<S: StateFields>(mut state: S) -> Vec<u8> {
    let mut writer = Writer {
        // Most states fit; fuzzing saves many.
        bytes: Vec::with_capacity(256),
        subsections: Vec::new(),
    };
    state.visit(&mut writer);
    writer.bytes.append(&mut writer.subsections);
    writer.bytes
}

/// Reads the fields that a version has.
struct Reader<'a> {
    rest: &'a [u8],
    version: u8,
    since: u8,
    error: Option<&'static str>,
    /// Whether this is the second pass, which reads the subsections.
    subsections: bool,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> [u8; 8] {
        let mut number = [0; 8];
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) => {
                number.split_at_mut(8 - length).1.copy_from_slice(bytes);
                self.rest = rest;
            }
            None => self.error = Some("it ends too early"),
        }
        number
    }

    fn skips(&self) -> bool {
        self.subsections || self.since > self.version || self.error.is_some()
    }
}

impl StateVisitor for Reader<'_> {
    fn since(&mut self, version: u8) {
        self.since = version;
    }

    fn scalars<T: Scalar>(&mut self, _name: &'static CStr, values: &mut [T]) {
        for value in values {
            if !self.skips() {
                *value = T::from_bytes(self.take(size_of::<T>()));
            }
        }
    }

    fn structs<S: StateFields>(&mut self, _name: &'static CStr, values: &mut [S]) {
        for value in values {
            if !self.skips() {
                value.visit(self);
            }
        }
    }

    fn bounded<T: Scalar, const N: usize>(
        &mut self,
        name: &'static CStr,
        value: &mut Bounded<T, N>,
    ) {
        if self.skips() {
            return;
        }
        let mut count = 0_u32;
        self.scalars(name, slice::from_mut(&mut count));
        match value.values.get_mut(..count as usize) {
            Some(values) => {
                value.count = count;
                self.scalars(name, values);
            }
            None => self.error = Some("a count is above its bound"),
        }
    }

    fn subsection<S: StateFields>(&mut self, name: &'static CStr, value: &mut Subsection<S>) {
        let head = [&[SUBSECTION, name.count_bytes() as u8], name.to_bytes()].concat();
        if !self.subsections || self.error.is_some() {
            return;
        }
        let Some(rest) = self.rest.strip_prefix(head.as_slice()) else {
            return;
        };
        self.rest = rest;
        let version = u64::from_be_bytes(self.take(4));
        match u8::try_from(version).map(|version| read::<S>(version, self.rest)) {
            Ok(Ok((loaded, rest))) => {
                (value.value, value.present) = (loaded, true);
                self.rest = rest;
            }
            _ => self.error = Some("a subsection is not as it can be"),
        }
    }
}

/// The state that a device of this version finds in the bytes, and the bytes after it.
///
/// # Errors
///
/// When QEMU would refuse them.
pub fn read<S: StateFields>(version: u8, bytes: &[u8]) -> Result<(S, &[u8]), String> {
    if !(S::OLDEST..=S::VERSION).contains(&version) {
        return Err(format!(
            "version {version} is not one of {} to {}",
            S::OLDEST,
            S::VERSION
        ));
    }
    let mut state = S::default();
    let mut reader = Reader {
        rest: bytes,
        version,
        since: S::OLDEST,
        error: None,
        subsections: false,
    };
    state.visit(&mut reader);
    reader.subsections = true;
    state.visit(&mut reader);
    match reader.error {
        Some(error) => Err(error.to_owned()),
        None => Ok((state, reader.rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::state::{Bounded, Subsection};

    crate::state! {
        /// A pair.
        #[derive(Debug, PartialEq)]
        pub struct Pair {
            low: u8,
            high: u16,
        }
    }

    crate::state! {
        /// Rarely there.
        #[derive(Debug, PartialEq)]
        pub struct Rare {
            value: u32,
        }
    }

    crate::state! {
        /// One of each.
        #[derive(Debug, PartialEq)]
        pub struct All: version 2, oldest 1 {
            is_on: bool,
            small: i8,
            table: [u16; 2],
            pair: Pair,
            pairs: [Pair; 2],
            queue: Bounded<u32, 3>,
            limit: u32 [since 2] = 100,
            rare: Subsection<Rare>,
        }
    }

    fn all() -> All {
        let mut queue = Bounded::default();
        assert!(queue.push(7) && queue.push(8));
        let pair = |low| Pair { low, high: 0x102 };
        All {
            is_on: true,
            small: -2,
            table: [3, 4],
            pair: pair(5),
            pairs: [pair(6), pair(7)],
            queue,
            limit: 9,
            rare: Subsection::default(),
        }
    }

    const BYTES: &[u8] = &[
        1, 0xfe, 0, 3, 0, 4, 5, 1, 2, 6, 1, 2, 7, 1, 2, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8,
    ];

    #[test]
    fn a_state_is_written_field_by_field() {
        let bytes = [BYTES, &[0, 0, 0, 9]].concat();
        assert_eq!(write(all()), bytes);
        assert_eq!(read(2, &bytes), Ok((all(), &[][..])));
        assert_eq!(read::<All>(2, &[&bytes[..], &[1]].concat()).unwrap().1, [1]);
    }

    #[test]
    fn older_state_lacks_newer_fields() {
        let expected = All {
            limit: 100,
            ..all()
        };
        assert_eq!(read(1, BYTES), Ok((expected, &[][..])));
    }

    #[test]
    fn subsection_is_saved_only_if_present() {
        let rare = Subsection {
            present: true,
            value: Rare { value: 0x0102_0304 },
        };
        let state = All { rare, ..all() };
        let bytes = write(state.clone());
        assert!(bytes.ends_with(b"\x05\x04rare\0\0\0\x01\x01\x02\x03\x04"));
        assert_eq!(read(2, &bytes), Ok((state, &[][..])));
    }

    #[test]
    fn malformed_states_are_refused() {
        let with_count = |count| {
            let mut bytes = write(all());
            bytes[18] = count;
            bytes.extend([0; 8]);
            bytes
        };
        assert!(read::<All>(2, &with_count(3)).is_ok());
        assert_eq!(
            read::<All>(2, &with_count(4)).unwrap_err(),
            "a count is above its bound"
        );
        assert_eq!(read::<All>(2, BYTES).unwrap_err(), "it ends too early");
        assert_eq!(
            read::<All>(3, BYTES).unwrap_err(),
            "version 3 is not one of 1 to 2"
        );
        assert_eq!(
            read::<All>(0, BYTES).unwrap_err(),
            "version 0 is not one of 1 to 2"
        );
    }
}
