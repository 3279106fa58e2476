// SPDX-License-Identifier: GPL-2.0-or-later

//! Trace events.
//!
//! Every device has four: `NAME_read`, `NAME_write`, `NAME_reset` and `NAME_guest_error`. A device declares its own
//! with [`trace_events!`](crate::trace_events!). QEMU reads all of them from the text file
//! `hw/misc/NAME/trace-events`. A unit test of the device checks or writes that file:
//! [`check_trace_events`](crate::testing::check_trace_events).

use core::convert::Infallible;

/// A trace event of a device.
#[derive(Clone, Copy, Debug)]
pub struct TraceEvent {
    /// Its name, without the device's.
    pub name: &'static str,
    /// Name and type of each argument.
    pub arguments: &'static [(&'static str, &'static str)],
    /// The text, with `%x` or `%u` for each argument.
    pub format: &'static str,
}

/// The events of a device's own, made by [`trace_events!`](crate::trace_events!).
pub trait TraceEvents: Copy + core::fmt::Debug {
    /// All of them.
    const DECLARED: &'static [TraceEvent];

    /// Which of them this is, and its arguments.
    fn parts(&self) -> (usize, [u64; MAX_ARGUMENTS]);
}

/// The most arguments that an event can have.
pub const MAX_ARGUMENTS: usize = 6;

/// For a device without events of its own.
impl TraceEvents for Infallible {
    const DECLARED: &'static [TraceEvent] = &[];

    fn parts(&self) -> (usize, [u64; MAX_ARGUMENTS]) {
        match *self {}
    }
}

/// Fails to compile if an event has too many arguments, or a text for another number of them.
#[doc(hidden)]
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
pub const fn check(arguments: &[&str], format: &str) {
    assert!(
        arguments.len() <= MAX_ARGUMENTS,
        "an event has at most 6 arguments"
    );
    let (format, mut i, mut found) = (format.as_bytes(), 0, 0);
    while i < format.len() {
        if format[i] == b'%' {
            found += 1;
        }
        i += 1;
    }
    assert!(
        found == arguments.len(),
        "an event's text has one % for each argument"
    );
}

/// Declares a device's own trace events: an enum that implements [`TraceEvents`].
///
/// ```
/// qemu_pci::trace_events! {
///     /// The device's trace events.
///     pub enum Event {
///         /// The guest seeded it.
///         seed(seed: u32) = "seed 0x%x";
///     }
/// }
/// assert_eq!(Event::seed(5), Event::seed(5));
/// ```
///
/// The types of arguments are u8 to u64, i8 to i64 and bool. The text has `%x`, `%u` or `%d` for each of them. With
/// another number of them it does not compile:
///
/// ```compile_fail
/// qemu_pci::trace_events! {
///     /// The text lacks the seed.
///     pub enum Event {
///         /// The guest seeded it.
///         seed(seed: u32) = "seeded";
///     }
/// }
/// ```
#[macro_export]
macro_rules! trace_events {
    (
        $(#[$meta:meta])*
        $vis:vis enum $events:ident {
            $(
                $(#[$doc:meta])*
                $event:ident($($argument:ident: $type:ident),* $(,)?) = $format:literal;
            )*
        }
    ) => {
        $(#[$meta])*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $events {
            $($(#[$doc])* $event($($type),*),)*
        }

        impl $crate::event::TraceEvents for $events {
            const DECLARED: &'static [$crate::event::TraceEvent] = &[
                $($crate::event::TraceEvent {
                    name: stringify!($event),
                    arguments: &[$((stringify!($argument), stringify!($type))),*],
                    format: $format,
                },)*
            ];

            fn parts(&self) -> (usize, [u64; $crate::event::MAX_ARGUMENTS]) {
                #[allow(non_camel_case_types)]
                enum Index {
                    $($event,)*
                }
                match *self {
                    $(Self::$event($($argument),*) => {
                        let mut arguments = [0; $crate::event::MAX_ARGUMENTS];
                        let given = [$($argument as u64),*];
                        const { $crate::event::check(&[$(stringify!($argument)),*], $format) };
                        for (place, value) in arguments.iter_mut().zip(given) {
                            *place = value;
                        }
                        (Index::$event as usize, arguments)
                    })*
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::TraceEvents;

    crate::trace_events! {
        /// Two.
        pub enum Event {
            /// One.
            seed(seed: u32) = "seed 0x%x";
            /// Another.
            transfer(descriptor: u64, status: i8, whole: bool) = "at 0x%x: %d, %d bytes";
        }
    }

    #[test]
    fn event_has_index_and_arguments() {
        assert_eq!(Event::seed(5).parts(), (0, [5, 0, 0, 0, 0, 0]));
        let parts = Event::transfer(7, -1, true).parts();
        assert_eq!(parts, (1, [7, u64::MAX, 1, 0, 0, 0]));
    }
}
