// SPDX-License-Identifier: GPL-2.0-or-later

//! Registers, and guest errors.

use core::convert::Infallible;
use core::fmt;

use crate::access::Access;

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

/// Why an access is refused. A refused access changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestError<E = Infallible> {
    /// The access does not have one of these sizes in bytes, given as their sum.
    Size(u8),
    /// The offset is not a multiple of the size.
    Unaligned,
    /// No register is there.
    NoRegister,
    /// A write to this read-only register.
    ReadOnly(&'static str),
    /// A read of this write-only register.
    WriteOnly(&'static str),
    /// A write to this register while the device is using it.
    Busy(&'static str),
    /// An error of the device's own.
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
            Self::Busy(name) => write!(f, "{name} is in use"),
            Self::Device(error) => error.fmt(f),
        }
    }
}

/// The description of a register.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// Where it starts in the BAR, in bytes.
    pub offset: u64,
    /// The longest access to it, in bytes.
    pub size: u8,
    /// What the guest may do with it.
    pub mode: Mode,
}

/// A set of registers, made by [`registers!`](crate::registers!).
pub trait Registers: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// Its description.
    fn describe(self) -> Description;

    /// Where it starts in the BAR, in bytes.
    fn offset(self) -> u64 {
        self.describe().offset
    }

    /// The longest access to it, in bytes.
    fn size(self) -> u8 {
        self.describe().size
    }

    /// What the guest may do with it.
    fn mode(self) -> Mode {
        self.describe().mode
    }

    /// Its name.
    fn name(self) -> &'static str {
        self.describe().name
    }

    /// The register at an offset.
    #[must_use]
    fn at(offset: u64) -> Option<Self>;

    /// The register that the guest accesses.
    ///
    /// # Errors
    ///
    /// When there is none at this offset, or it is shorter than the access.
    fn accessed<E>(access: Access) -> Result<Self, GuestError<E>> {
        let register = Self::at(access.offset).ok_or(GuestError::NoRegister)?;
        match access.size <= register.size().into() {
            true => Ok(register),
            false => Err(GuestError::Size(register.size())),
        }
    }

    /// The register that the guest reads.
    ///
    /// # Errors
    ///
    /// As for [`accessed`](Self::accessed), and when it is write-only.
    fn read<E>(access: Access) -> Result<Self, GuestError<E>> {
        let register = Self::accessed(access)?;
        match register.mode() {
            Mode::WriteOnly => Err(GuestError::WriteOnly(register.name())),
            Mode::ReadOnly | Mode::ReadWrite => Ok(register),
        }
    }

    /// The register that the guest writes.
    ///
    /// # Errors
    ///
    /// As for [`accessed`](Self::accessed), and when it is read-only.
    fn write<E>(access: Access) -> Result<Self, GuestError<E>> {
        let register = Self::accessed(access)?;
        match register.mode() {
            Mode::ReadOnly => Err(GuestError::ReadOnly(register.name())),
            Mode::WriteOnly | Mode::ReadWrite => Ok(register),
        }
    }
}

/// Fails to compile if two registers, given by offset and size, share a byte.
#[doc(hidden)]
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
pub const fn check(registers: &[(u64, u8)]) {
    let mut i = 0;
    while i < registers.len() {
        let mut j = 0;
        while j < i {
            let ((one, one_size), (other, other_size)) = (registers[i], registers[j]);
            assert!(
                one >= other + other_size as u64 || other >= one + one_size as u64,
                "two registers share a byte"
            );
            j += 1;
        }
        i += 1;
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
///
/// A register has 4 bytes, unless another size stands behind its name, as in `ADDRESS[8]: ReadWrite = 0x8`. Longer
/// accesses are refused. Registers that share a byte do not compile:
///
/// ```compile_fail
/// qemu_pci::registers! {
///     /// The second begins within the first.
///     pub enum Register {
///         /// 8 bytes.
///         ADDRESS[8]: ReadWrite = 0x0,
///         /// 4 bytes.
///         COUNT: ReadOnly = 0x4,
///     }
/// }
/// ```
#[macro_export]
macro_rules! registers {
    (
        $(#[$meta:meta])*
        $vis:vis enum $registers:ident {
            $($(#[$doc:meta])* $name:ident $([$size:literal])?: $mode:ident = $offset:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $registers {
            $($(#[$doc])* $name,)*
        }

        const _: () = $crate::register::check(&[
            $(($offset, $crate::register_size!($($size)?)),)*
        ]);

        impl $crate::register::Registers for $registers {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            #[inline]
            fn describe(self) -> $crate::register::Description {
                match self {
                    $(Self::$name => $crate::register::Description {
                        name: stringify!($name),
                        offset: $offset,
                        size: $crate::register_size!($($size)?),
                        mode: $crate::Mode::$mode,
                    },)*
                }
            }

            // Comparisons with constants, which are faster than a search.
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

/// The size of a register, in bytes.
#[doc(hidden)]
#[macro_export]
macro_rules! register_size {
    () => {
        4
    };
    ($size:literal) => {
        $size
    };
}

/// Declares the bits of a register, as a type of the crate `bitflags`. It can be the type of a field of a saved state;
/// such a field can arrive with unknown bits, so check it with `T::all().contains(bits)`.
///
/// ```
/// qemu_pci::bits! {
///     /// The register STATUS.
///     pub struct Status: u32 {
///         /// The device is working.
///         BUSY = 0x1,
///     }
/// }
/// assert_eq!(Status::from_bits_truncate(3), Status::BUSY);
/// ```
#[macro_export]
macro_rules! bits {
    (
        $(#[$meta:meta])*
        $vis:vis struct $bits:ident: $type:ty {
            $($(#[doc = $doc:literal])* $name:ident = $value:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $bits($type);

        $crate::bitflags::bitflags! {
            impl $bits: $type {
                $($(#[doc = $doc])* const $name = $value;)*
            }
        }

        impl $crate::state::Field for $bits {
            fn visit(
                &mut self,
                name: &'static ::core::ffi::CStr,
                visitor: &mut impl $crate::state::StateVisitor,
            ) {
                $crate::state::Field::visit(&mut self.0, name, visitor);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::Registers;
    use crate::access::Access;
    use crate::register::{GuestError, Mode};
    use crate::testing::{read_state, write_state};

    crate::registers! {
        /// A short one and a long one.
        pub enum Register {
            /// 4 bytes.
            COUNT: ReadOnly = 0x0,
            /// 8 bytes.
            ADDRESS[8]: WriteOnly = 0x8,
        }
    }

    crate::bits! {
        /// Two bits.
        pub struct Status: u16 {
            /// One.
            BUSY = 0x1,
            /// The other.
            FAILED = 0x100,
        }
    }

    crate::state! {
        /// A register in a state.
        #[derive(Debug, PartialEq)]
        pub struct Saved {
            status: Status,
        }
    }

    #[test]
    fn a_register_takes_no_longer_accesses() {
        let access = |offset, size| Access {
            bar: 0,
            offset,
            size,
        };
        type Result = core::result::Result<Register, GuestError<&'static str>>;
        let read: Result = Register::read(access(0, 4));
        assert_eq!(read, Ok(Register::COUNT));
        let long: Result = Register::read(access(0, 8));
        assert_eq!(long, Err(GuestError::Size(4)));
        for size in [4, 8] {
            let write: Result = Register::write(access(8, size));
            assert_eq!(write, Ok(Register::ADDRESS));
        }
        let nowhere: Result = Register::write(access(4, 4));
        assert_eq!(nowhere, Err(GuestError::NoRegister));
    }

    #[test]
    fn a_register_is_accessed_by_its_mode() {
        let access = |offset| Access {
            bar: 0,
            offset,
            size: 4,
        };
        type Result = core::result::Result<Register, GuestError<&'static str>>;
        let read: Result = Register::read(access(8));
        assert_eq!(read, Err(GuestError::WriteOnly("ADDRESS")));
        let write: Result = Register::write(access(0));
        assert_eq!(write, Err(GuestError::ReadOnly("COUNT")));
        assert_eq!(Register::COUNT.mode(), Mode::ReadOnly);
    }

    #[test]
    fn bits_travel_with_unknown_ones() {
        let state = Saved {
            status: Status::FAILED,
        };
        let bytes = write_state(state.clone());
        assert_eq!(bytes, [1, 0]);
        assert_eq!(read_state(1, &bytes), Ok((state, &[][..])));
        let (state, _) = read_state::<Saved>(1, &[0x41, 0]).unwrap();
        assert_eq!(state.status.bits(), 0x4100);
        assert!(!Status::all().contains(state.status));
    }
}
