// SPDX-License-Identifier: GPL-2.0-or-later

//! What migrations and snapshots carry: the fields of a device's VMState.

use core::ffi::CStr;
use core::slice;

/// A state, made by [`state!`](crate::state!). `default()` gives the values of fields that an older state lacks.
pub trait StateFields: Clone + Default + Send + 'static {
    /// The version that is saved. Raise it when you add fields.
    const VERSION: u8;
    /// The oldest version that can be loaded.
    const OLDEST: u8;

    /// Shows every field to `visitor`, always the same ones in the same order.
    fn visit(&mut self, visitor: &mut impl StateVisitor);
}

/// A number as VMState has it: unsigned and signed integers, and bool.
pub trait Scalar: Copy + Default + Send + sealed::Scalar + 'static {}

/// The types of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// A byte, 0 or 1.
    Bool,
    /// 8 bits.
    U8,
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
    /// 64 bits.
    U64,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
}

pub(crate) mod sealed {
    use super::ScalarKind;

    /// Only types for which all bytes that QEMU may write are valid.
    pub trait Scalar {
        const KIND: ScalarKind;
        fn to_bytes(self) -> [u8; 8];
        fn from_bytes(bytes: [u8; 8]) -> Self;
    }
}

macro_rules! scalar {
    ($($type:ident: $kind:ident,)*) => {
        $(impl Scalar for $type {}

        impl sealed::Scalar for $type {
            const KIND: ScalarKind = ScalarKind::$kind;

            fn to_bytes(self) -> [u8; 8] {
                (self as u64).to_be_bytes()
            }

            fn from_bytes(bytes: [u8; 8]) -> Self {
                u64::from_be_bytes(bytes) as Self
            }
        })*
    };
}

scalar! {
    u8: U8, u16: U16, u32: U32, u64: U64,
    i8: I8, i16: I16, i32: I32, i64: I64,
}

impl Scalar for bool {}

impl sealed::Scalar for bool {
    const KIND: ScalarKind = ScalarKind::Bool;

    fn to_bytes(self) -> [u8; 8] {
        u64::from(self).to_be_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        bytes != [0; 8]
    }
}

/// Goes over the fields of a state, to describe, write or read them.
pub trait StateVisitor {
    /// The next field is missing in states older than this version.
    fn since(&mut self, version: u8);

    /// A number, or an array of them.
    fn scalars<T: Scalar>(&mut self, name: &'static CStr, values: &mut [T]);

    /// A struct, or an array of them.
    fn structs<S: StateFields>(&mut self, name: &'static CStr, values: &mut [S]);

    /// Up to `N` numbers.
    fn bounded<T: Scalar, const N: usize>(
        &mut self,
        name: &'static CStr,
        value: &mut Bounded<T, N>,
    );

    /// A part that is saved only if it is present. Its full name is the state's name, `/`, and `name`.
    fn subsection<S: StateFields>(&mut self, name: &'static CStr, value: &mut Subsection<S>);
}

/// A type that a field of a state can have.
pub trait Field {
    /// Shows it to a visitor.
    fn visit(&mut self, name: &'static CStr, visitor: &mut impl StateVisitor);
}

impl<T: Scalar> Field for T {
    fn visit(&mut self, name: &'static CStr, visitor: &mut impl StateVisitor) {
        visitor.scalars(name, slice::from_mut(self));
    }
}

impl<T: Element, const N: usize> Field for [T; N] {
    fn visit(&mut self, name: &'static CStr, visitor: &mut impl StateVisitor) {
        T::visit_all(self, name, visitor);
    }
}

/// A type that an array of a state can have.
pub trait Element: Sized {
    /// Shows them to a visitor.
    fn visit_all(values: &mut [Self], name: &'static CStr, visitor: &mut impl StateVisitor);
}

impl<T: Scalar> Element for T {
    fn visit_all(values: &mut [Self], name: &'static CStr, visitor: &mut impl StateVisitor) {
        visitor.scalars(name, values);
    }
}

/// Up to `N` numbers.
///
/// # Invariants
///
/// `count` is at most `N`. QEMU saves that many values.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<T, const N: usize> {
    pub(crate) count: u32,
    pub(crate) values: [T; N],
}

impl<T: Scalar, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self {
            count: 0,
            values: [T::default(); N],
        }
    }
}

impl<T: Scalar, const N: usize> Bounded<T, N> {
    /// The numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.values
            .get(..self.count as usize)
            .unwrap_or(&self.values)
    }

    /// Adds a number. Returns false, without adding it, if it is full.
    #[must_use]
    pub fn push(&mut self, value: T) -> bool {
        let place = self.values.get_mut(self.count as usize);
        let room = place.is_some();
        if let Some(place) = place {
            *place = value;
            self.count += 1;
        }
        room
    }
}

impl<T: Scalar + PartialEq, const N: usize> PartialEq for Bounded<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Scalar + Eq, const N: usize> Eq for Bounded<T, N> {}

impl<T: Scalar, const N: usize> Field for Bounded<T, N> {
    fn visit(&mut self, name: &'static CStr, visitor: &mut impl StateVisitor) {
        visitor.bounded(name, self);
    }
}

/// A part of a state that is saved only if it is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subsection<S> {
    /// Whether it is present.
    pub present: bool,
    /// Its contents.
    pub value: S,
}

impl<S: StateFields> Field for Subsection<S> {
    fn visit(&mut self, name: &'static CStr, visitor: &mut impl StateVisitor) {
        visitor.subsection(name, self);
    }
}

/// For a device without a saved state.
impl StateFields for () {
    const VERSION: u8 = 1;
    const OLDEST: u8 = 1;

    fn visit(&mut self, _visitor: &mut impl StateVisitor) {}
}

/// The most subsections that a state can have.
pub const MAX_SUBSECTIONS: usize = 4;

/// Declares a state: a struct that implements [`StateFields`].
///
/// ```
/// qemu_pci::state! {
///     /// The saved state.
///     #[derive(Debug, PartialEq)]
///     pub struct Saved: version 2, oldest 1 {
///         count: u32,
///         table: [u8; 4],
///         limit: u32 [since 2] = 100,
///     }
/// }
/// assert_eq!(Saved::default().limit, 100);
/// ```
///
/// A field with `[since 2]` is missing in states of version 1; it has its default then, and 0 if none is given.
///
/// The types of fields are bool, integers of 8 to 64 bits, types of [`bits!`](crate::bits!), arrays, other structs of
/// this macro, [`Bounded`] and [`Subsection`]. Only the outermost struct has versions and subsections.
#[macro_export]
macro_rules! state {
    (
        $(#[$meta:meta])*
        $vis:vis struct $state:ident $(: version $version:literal $(, oldest $oldest:literal)?)? {
            $(
                $(#[$doc:meta])*
                $field_vis:vis $field:ident: $type:ty $([since $since:literal])? $(= $default:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        $vis struct $state {
            $($(#[$doc])* $field_vis $field: $type,)*
        }

        impl Default for $state {
            fn default() -> Self {
                Self {
                    $($field: $crate::state_default!($($default)?),)*
                }
            }
        }

        impl $crate::state::StateFields for $state {
            const VERSION: u8 = $crate::state_version!([$($version)?] 1);
            const OLDEST: u8 = $crate::state_version!([$($($oldest)?)?] Self::VERSION);

            fn visit(&mut self, visitor: &mut impl $crate::state::StateVisitor) {
                $(
                    visitor.since(const {
                        let since = $crate::state_version!([$($since)?] Self::OLDEST);
                        assert!(since <= Self::VERSION, "a field is newer than the state's version");
                        since
                    });
                    $crate::state::Field::visit(&mut self.$field, $crate::c_name!($field), visitor);
                )*
            }
        }

        impl $crate::state::Field for $state {
            fn visit(
                &mut self,
                name: &'static ::core::ffi::CStr,
                visitor: &mut impl $crate::state::StateVisitor,
            ) {
                visitor.structs(name, ::core::slice::from_mut(self));
            }
        }

        impl $crate::state::Element for $state {
            fn visit_all(
                values: &mut [Self],
                name: &'static ::core::ffi::CStr,
                visitor: &mut impl $crate::state::StateVisitor,
            ) {
                visitor.structs(name, values);
            }
        }
    };
}

/// The default of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! state_default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// The given version, or a default.
#[doc(hidden)]
#[macro_export]
macro_rules! state_version {
    ([] $default:expr) => {
        $default
    };
    ([$given:literal] $default:expr) => {
        $given
    };
}
