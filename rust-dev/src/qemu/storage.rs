// SPDX-License-Identifier: GPL-2.0-or-later

//! Fields that QEMU reads and writes by their address.
//!
//! QEMU knows a device's properties, and the fields of its migrated state, as numbers and pointers at
//! offsets in the instance. They are kept behind the instance's fixed part, laid out here, and are
//! copied to and from the model's own structs: what QEMU writes there is never taken for a Rust value
//! before it was looked at, and nothing of the model's can be written over.

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::mem::size_of;
use core::{ptr, slice};

/// As what QEMU keeps a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Switches: 8 bits, of which one is set in what is on.
    Bool,
    /// Numbers of 8 bits.
    U8,
    /// Numbers of 32 bits.
    U32,
    /// Numbers of 64 bits.
    U64,
    /// Pointers to NUL-terminated texts, or null.
    Text,
}

impl Kind {
    /// The size of one, in bytes, which is also its alignment.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 => size_of::<u8>(),
            Self::U32 => size_of::<u32>(),
            Self::U64 => size_of::<u64>(),
            Self::Text => size_of::<*const c_char>(),
        }
    }
}

/// A field's place.
#[derive(Debug)]
struct Slot {
    name: &'static CStr,
    kind: Kind,
    count: usize,
    offset: usize,
}

/// The fields that a model has shown, each with its place.
///
/// It is made once for each model: the storage is as large as it says, QEMU is told of the fields that it
/// has, and these are what is copied. A model that shows others later is not believed.
#[derive(Debug)]
pub struct Plan {
    slots: Vec<Slot>,
    end: usize,
}

/// Goes along a plan, field by field.
pub struct Walk<'a>(slice::Iter<'a, Slot>);

impl Plan {
    /// Without fields; they begin at `start` bytes into the instance.
    pub const fn new(start: usize) -> Self {
        Self {
            slots: Vec::new(),
            end: start,
        }
    }

    /// Adds a field of `count` numbers or pointers.
    pub fn add(&mut self, name: &'static CStr, kind: Kind, count: usize) {
        let offset = self.end.next_multiple_of(kind.size());
        self.end = offset + kind.size() * count;
        self.slots.push(Slot {
            name,
            kind,
            count,
            offset,
        });
    }

    /// Where the last field ends, in bytes from the start of the instance.
    pub const fn end(&self) -> usize {
        self.end
    }

    /// From the first field on.
    pub fn walk(&self) -> Walk<'_> {
        Walk(self.slots.iter())
    }
}

impl Walk<'_> {
    /// The place of the next field. A panic, which ends QEMU, if that is not the one which is asked for.
    pub fn next(&mut self, name: &'static CStr, kind: Kind, count: usize) -> usize {
        match self.0.next() {
            Some(slot) if (slot.name, slot.kind, slot.count) == (name, kind, count) => slot.offset,
            _ => panic!("{name:?}: the fields that a model shows must always be the same ones"),
        }
    }
}

/// A number as QEMU keeps it: any bytes of its size are one.
pub trait Number: Copy {
    /// Its kind.
    const KIND: Kind;
}

impl Number for u8 {
    const KIND: Kind = Kind::U8;
}

impl Number for u32 {
    const KIND: Kind = Kind::U32;
}

impl Number for u64 {
    const KIND: Kind = Kind::U64;
}

/// The bytes of one instance.
///
/// # Invariants
///
/// `start` is aligned as an instance is, to 8 at the least, and `end` bytes from it are alive for `'a` and
/// initialized; from `first` on nobody holds a reference to them, and nobody else touches them while
/// this exists.
#[derive(Clone, Copy)]
pub struct Storage<'a> {
    start: *mut u8,
    first: usize,
    end: usize,
    device: PhantomData<&'a ()>,
}

impl Storage<'_> {
    /// The part of an instance from `first` to `end` bytes.
    ///
    /// # Safety
    ///
    /// As the invariants of the type say.
    pub const unsafe fn new(start: *mut u8, first: usize, end: usize) -> Self {
        // INVARIANT: by the caller's word.
        Self {
            start,
            first,
            end,
            device: PhantomData,
        }
    }

    /// The address of the number of type `T` at `offset`; a panic, which ends QEMU, where it is not
    /// within the storage.
    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset >= self.first
                && offset
                    .checked_add(size_of::<T>())
                    .is_some_and(|end| end <= self.end)
                && offset % size_of::<T>() == 0,
            "a plan that is of another storage"
        );
        self.start.wrapping_add(offset).cast()
    }

    /// Reads a number.
    pub fn read<T: Number>(&self, offset: usize) -> T {
        let at = self.at::<T>(offset);
        // SAFETY: `at` is within the storage, which is initialized, and aligned, as the storage is and
        // as the offset is; any bytes are a number.
        unsafe { ptr::read(at) }
    }

    /// Writes a number.
    pub fn write<T: Number>(&self, offset: usize, value: T) {
        let at = self.at::<T>(offset);
        // SAFETY: as in `read`; nobody holds a reference to it.
        unsafe { ptr::write(at, value) };
    }

    /// Reads the text that the pointer at `offset` leads to; nothing where it is null.
    ///
    /// # Safety
    ///
    /// The pointer is null or leads to a NUL-terminated text.
    pub unsafe fn read_text(&self, offset: usize) -> Option<String> {
        let at = self.at::<*const c_char>(offset);
        // SAFETY: as in `read`; what is there is a pointer by the caller's word.
        let text = unsafe { ptr::read(at) };
        if text.is_null() {
            return None;
        }
        // SAFETY: by the caller's word, and the storage's owner leaves it alone meanwhile.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Plan, Storage};

    fn plan() -> Plan {
        let mut plan = Plan::new(24);
        plan.add(c"byte", Kind::U8, 1);
        plan.add(c"word", Kind::U32, 1);
        plan.add(c"longs", Kind::U64, 2);
        plan.add(c"bytes", Kind::U8, 3);
        plan.add(c"none", Kind::U32, 0);
        plan
    }

    #[test]
    fn places_are_aligned_and_apart() {
        let plan = plan();
        let mut walk = plan.walk();
        assert_eq!(walk.next(c"byte", Kind::U8, 1), 24);
        assert_eq!(walk.next(c"word", Kind::U32, 1), 28);
        assert_eq!(walk.next(c"longs", Kind::U64, 2), 32);
        assert_eq!(walk.next(c"bytes", Kind::U8, 3), 48);
        assert_eq!(walk.next(c"none", Kind::U32, 0), 52);
        assert_eq!(plan.end(), 52);
    }

    #[test]
    #[should_panic(expected = "must always be the same ones")]
    fn a_field_of_another_kind_is_not_believed() {
        plan().walk().next(c"byte", Kind::Text, 1);
    }

    #[test]
    #[should_panic(expected = "must always be the same ones")]
    fn more_fields_than_before_are_not_believed() {
        Plan::new(0).walk().next(c"byte", Kind::U8, 1);
    }

    #[test]
    fn numbers_keep_their_value() {
        let mut bytes = [0_u64; 4];
        // SAFETY: the array is alive, initialized and aligned, and used through the storage alone.
        let storage = unsafe { Storage::new(bytes.as_mut_ptr().cast(), 8, 32) };
        storage.write(8, 0x0123_4567_89ab_cdef_u64);
        storage.write(16, 0xdead_beef_u32);
        storage.write(31, 0xff_u8);
        assert_eq!(storage.read::<u64>(8), 0x0123_4567_89ab_cdef);
        assert_eq!(storage.read::<u32>(16), 0xdead_beef);
        assert_eq!(storage.read::<u8>(31), 0xff);
    }
}
