// SPDX-License-Identifier: GPL-2.0-or-later

//! What belongs to a device: its name, and its types.

use core::ffi::CStr;
use core::fmt::Display;

use crate::event::TraceEvents;
use crate::property::PropertySet;
use crate::state::StateFields;

/// A device's name and the types that belong to it, made by [`device!`](crate::device!).
pub trait Declare: Send + Sized + 'static {
    /// The name of the QOM type. Log lines and trace events begin with it.
    const NAME: &'static CStr;
    /// What the user sets.
    type Properties: PropertySet;
    /// The saved state.
    type State: StateFields;
    /// Its own trace events.
    type Event: TraceEvents;
    /// Its own guest errors. A guest can cause any number of them, so the text is made only if somebody reads it.
    type Error: Display;
}

/// Declares a device: its name, its type, and the types that belong to it.
///
/// ```ignore
/// qemu_pci::device! {
///     my_rng: MyRng {
///         properties: MyRngProperties,
///         state: MyRngState,
///         events: MyRngEvent,
///         errors: MyRngError,
///     }
/// }
/// ```
///
/// Each of the four lines is optional; keep this order. The names of the C functions that the device's shim uses
/// begin with the device's name.
#[macro_export]
macro_rules! device {
    ($name:ident: $device:ty $({
        $(properties: $properties:ty,)?
        $(state: $state:ty,)?
        $(events: $event:ty,)?
        $(errors: $error:ty,)?
    })?) => {
        impl $crate::Declare for $device {
            const NAME: &'static ::core::ffi::CStr = $crate::c_name!($name);
            type Properties = $crate::or!([$($($properties)?)?] ());
            type State = $crate::or!([$($($state)?)?] ());
            type Event = $crate::or!([$($($event)?)?] ::core::convert::Infallible);
            type Error = $crate::or!([$($($error)?)?] ::core::convert::Infallible);
        }

        #[cfg(feature = "qemu")]
        $crate::hooks!($name, $device);
    };
}

/// The first type, or the second if the first is left out.
#[doc(hidden)]
#[macro_export]
macro_rules! or {
    ([] $default:ty) => {
        $default
    };
    ([$given:ty] $default:ty) => {
        $given
    };
}

/// A name as a C string.
#[doc(hidden)]
#[macro_export]
macro_rules! c_name {
    ($name:ident) => {
        const {
            match ::core::ffi::CStr::from_bytes_with_nul(
                concat!(stringify!($name), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            }
        }
    };
}
