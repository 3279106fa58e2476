// SPDX-License-Identifier: GPL-2.0-or-later

//! Trace events as QEMU reads them.

use core::fmt::Write;
use std::path::Path;

use crate::device::PciDevice;
use crate::event::{TraceEvent, TraceEvents};

/// Compares a device's `trace-events` file with the events of `D`. With `UPDATE_TRACE_EVENTS` in the environment, it
/// writes the file first. `path` is relative to the directory of the device's crate, where cargo runs tests.
///
/// # Panics
///
/// When the file differs or cannot be read or written.
#[track_caller]
pub fn check_trace_events<D: PciDevice>(path: impl AsRef<Path>) {
    let (path, expected) = (path.as_ref(), file::<D>());
    if std::env::var_os("UPDATE_TRACE_EVENTS").is_some() {
        if let Err(error) = std::fs::write(path, &expected) {
            panic!("{} cannot be written: {error}", path.display());
        }
    }
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    assert!(
        text == expected,
        "{} is not as {}'s events are; to write it, run this test with UPDATE_TRACE_EVENTS=1 in the environment. It \
         should be:\n{expected}\nand it is:\n{text}",
        path.display(),
        D::NAME.to_string_lossy(),
    );
}

/// What reads and writes have in common.
const ACCESS: TraceEvent = TraceEvent {
    name: "",
    arguments: &[
        ("bar", "unsigned"),
        ("offset", "u64"),
        ("size", "unsigned"),
        ("value", "u64"),
    ],
    format: "bar %u offset 0x%x size %u value 0x%x",
};

/// The text of `trace-events` for a device, as it should be.
#[must_use]
pub fn file<D: PciDevice>() -> String {
    let device = D::NAME.to_string_lossy();
    let standard = [
        TraceEvent {
            name: "read",
            ..ACCESS
        },
        TraceEvent {
            name: "write",
            ..ACCESS
        },
        TraceEvent {
            name: "reset",
            arguments: &[],
            format: "",
        },
        TraceEvent {
            name: "guest_error",
            arguments: &[("what", "text")],
            format: "%s",
        },
    ];
    let mut text = "# SPDX-License-Identifier: GPL-2.0-or-later\n\n".to_owned();
    for event in standard.iter().chain(D::Event::DECLARED) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{device}_{}", line(event));
    }
    text
}

/// An event in QEMU's notation, without the device's name in front.
fn line(event: &TraceEvent) -> String {
    let mut prototype = format!("{}(const char *path", event.name);
    let mut pieces = event.format.split('%');
    let mut text = format!("\"%s {}", pieces.next().unwrap_or_default());
    for ((name, kind), piece) in event.arguments.iter().zip(pieces) {
        let (c, width) = match *kind {
            "u8" => ("uint8_t ", "8"),
            "u16" => ("uint16_t ", "16"),
            "u32" => ("uint32_t ", "32"),
            "u64" => ("uint64_t ", "64"),
            "i8" => ("int8_t ", "8"),
            "i16" => ("int16_t ", "16"),
            "i32" => ("int32_t ", "32"),
            "i64" => ("int64_t ", "64"),
            "bool" => ("bool ", ""),
            "text" => ("const char *", ""),
            other => (other, ""),
        };
        let space = if c == *kind { " " } else { "" };
        let _ = write!(prototype, ", {c}{space}{name}");
        let (conversion, rest) = piece.split_at(piece.len().min(1));
        let _ = match width {
            "" => write!(text, "%{conversion}{rest}"),
            width => write!(text, "%\" PRI{conversion}{width} \"{rest}"),
        };
    }
    // Nothing between two pieces of text.
    format!("{prototype}) {}\"", text.trim_end()).replace(" \"\"", "")
}

#[cfg(test)]
mod tests {
    use super::{TraceEvent, line};

    #[test]
    fn events_are_written_as_qemu_reads_them() {
        let transfer = TraceEvent {
            name: "transfer",
            arguments: &[("descriptor", "u64"), ("status", "i8"), ("whole", "bool")],
            format: "at 0x%x: %d, %d bytes",
        };
        let seed = TraceEvent {
            name: "seed",
            arguments: &[("seed", "u32")],
            format: "seed 0x%x",
        };
        let lines: Vec<_> = [seed, transfer].iter().map(line).collect();
        assert_eq!(
            lines,
            [
                r#"seed(const char *path, uint32_t seed) "%s seed 0x%" PRIx32"#,
                r#"transfer(const char *path, uint64_t descriptor, int8_t status, bool whole) "%s at 0x%" PRIx64 ": %" PRId8 ", %d bytes""#,
            ]
        );
        let reset = TraceEvent {
            name: "reset",
            arguments: &[],
            format: "",
        };
        assert_eq!(line(&reset), r#"reset(const char *path) "%s""#);
    }
}
