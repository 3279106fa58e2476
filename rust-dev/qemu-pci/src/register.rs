// SPDX-License-Identifier: GPL-2.0-or-later

//! Registers, and what is wrong with an access.

use core::fmt;

use crate::device::Access;

/// What a guest may do with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read it.
    ReadOnly,
    /// Write it.
    WriteOnly,
    /// Both.
    ReadWrite,
}

/// Something that the guest did wrong. The access takes and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestError<E> {
    /// The access is not of the size, in bytes, of which this is the sum.
    Size(u8),
    /// It is not at a multiple of its size.
    Unaligned,
    /// No register is there.
    NoRegister,
    /// A write to this register, which is for reading.
    ReadOnly(&'static str),
    /// A read of this register, which is for writing.
    WriteOnly(&'static str),
    /// Something that only this device knows.
    Device(E),
}

impl<E> From<E> for GuestError<E> {
    fn from(error: E) -> Self {
        Self::Device(error)
    }
}

impl<E: fmt::Display> fmt::Display for GuestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(sizes) => {
                f.write_str("only accesses of ")?;
                let mut between = "";
                for size in [1, 2, 4, 8] {
                    if sizes & size != 0 {
                        write!(f, "{between}{size}")?;
                        between = " or ";
                    }
                }
                f.write_str(" bytes do anything")
            }
            Self::Unaligned => f.write_str("only aligned accesses do anything"),
            Self::NoRegister => f.write_str("there is no register"),
            Self::ReadOnly(name) => write!(f, "{name} is read-only"),
            Self::WriteOnly(name) => write!(f, "{name} is write-only"),
            Self::Device(error) => error.fmt(f),
        }
    }
}

/// A set of registers, made by [`registers!`](crate::registers!).
pub trait Registers: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// Where it starts in the BAR, in bytes.
    fn offset(self) -> u64;

    /// What the guest may do with it.
    fn mode(self) -> Mode;

    /// Its name.
    fn name(self) -> &'static str;

    /// The register at an offset.
    #[must_use]
    fn at(offset: u64) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|register| register.offset() == offset)
    }

    /// The register that the guest reads.
    ///
    /// # Errors
    ///
    /// When there is none, or it is write-only.
    fn read<E>(access: Access) -> Result<Self, GuestError<E>> {
        let register = Self::at(access.offset).ok_or(GuestError::NoRegister)?;
        match register.mode() {
            Mode::WriteOnly => Err(GuestError::WriteOnly(register.name())),
            Mode::ReadOnly | Mode::ReadWrite => Ok(register),
        }
    }

    /// The register that the guest writes.
    ///
    /// # Errors
    ///
    /// When there is none, or it is read-only.
    fn write<E>(access: Access) -> Result<Self, GuestError<E>> {
        let register = Self::at(access.offset).ok_or(GuestError::NoRegister)?;
        match register.mode() {
            Mode::ReadOnly => Err(GuestError::ReadOnly(register.name())),
            Mode::WriteOnly | Mode::ReadWrite => Ok(register),
        }
    }
}

/// Declares the registers of a BAR: an enum that implements [`Registers`].
///
/// ```
/// use qemu_pci::register::Registers;
///
/// qemu_pci::registers! {
///     /// The registers of BAR 0.
///     pub enum Register {
///         /// Counts.
///         COUNT: ReadOnly = 0x0,
///         /// Sets the count.
///         START: WriteOnly = 0x4,
///     }
/// }
/// assert_eq!(Register::at(4), Some(Register::START));
/// ```
#[macro_export]
macro_rules! registers {
    (
        $(#[$meta:meta])*
        $vis:vis enum $registers:ident {
            $($(#[$doc:meta])* $name:ident: $mode:ident = $offset:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $registers {
            $($(#[$doc])* $name,)*
        }

        impl $crate::register::Registers for $registers {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            #[inline]
            fn offset(self) -> u64 {
                match self {
                    $(Self::$name => $offset,)*
                }
            }

            #[inline]
            fn mode(self) -> $crate::Mode {
                match self {
                    $(Self::$name => $crate::Mode::$mode,)*
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            // A match on constants, which is faster than to search.
            #[inline]
            fn at(offset: u64) -> Option<Self> {
                $(if offset == $offset {
                    return Some(Self::$name);
                })*
                None
            }
        }
    };
}
