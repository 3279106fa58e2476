// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU generates an inline C function for each trace event. Rust cannot call those, so this writes C functions that
//! can be called.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::{Qemu, Result, out_dir};

/// Where a crate lists its devices.
const LIST: &str = "src/devices.rs";

pub fn compile() -> Result<()> {
    println!("cargo::rerun-if-changed={LIST}");
    let qemu = Qemu::find()?;
    let list = read(Path::new(LIST))?;
    let mut files = Vec::new();
    for device in devices(&list) {
        let folder = device.replace('_', "-");
        let events = qemu
            .source
            .join("hw/misc")
            .join(folder)
            .join("trace-events");
        println!("cargo::rerun-if-changed={}", events.display());
        let file = out_dir()?.join(format!("{device}_trace.c"));
        fs::write(&file, functions(device, &read(&events)?))
            .map_err(|error| format!("{} could not be written: {error}", file.display()))?;
        files.push(file);
    }
    match files[..] {
        [] => Ok(()),
        _ => qemu.compile("trace_events", &files),
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        format!(
            "{} could not be read ({error}): lay the overlay on QEMU's source again",
            path.display()
        )
    })
}

/// The devices that a crate lists, a line each.
fn devices(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
}

/// The C functions for a device with these events: one for each event that every device has, and one for all the
/// device's own, by their index.
fn functions(device: &str, events: &str) -> String {
    let upper = device.to_uppercase();
    let mut own = String::new();
    let names = events.lines().filter_map(|line| {
        let (name, rest) = line
            .strip_prefix(device)?
            .strip_prefix('_')?
            .split_once('(')?;
        Some((name, rest.split_once(')')?.0.matches(',').count()))
    });
    let is_own = |name: &str| !["read", "write", "reset", "guest_error"].contains(&name);
    for (index, (name, count)) in names.filter(|it| is_own(it.0)).enumerate() {
        let arguments: String = (0..count).map(|i| format!(", arguments[{i}]")).collect();
        // Writing to a string does not fail.
        let _ = write!(
            own,
            "    case {index}:\n        trace_{device}_{name}(path{arguments});\n        break;\n"
        );
    }
    format!(
        r#"#include "qemu/osdep.h"
#include "trace/trace-hw_misc_{device}.h"

void {device}_trace_read(const char *path, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{{
    trace_{device}_read(path, bar, offset, size, value);
}}

void {device}_trace_write(const char *path, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{{
    trace_{device}_write(path, bar, offset, size, value);
}}

void {device}_trace_reset(const char *path)
{{
    trace_{device}_reset(path);
}}

void {device}_trace_guest_error(const char *path, const char *what)
{{
    trace_{device}_guest_error(path, what);
}}

bool {device}_guest_error_is_traced(void)
{{
    return trace_event_get_state_backends(TRACE_{upper}_GUEST_ERROR);
}}

void {device}_trace_event(const char *path, size_t event, const uint64_t *arguments)
{{
    switch (event) {{
{own}    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::{devices, functions};

    #[test]
    fn devices_are_read_from_the_list_of_modules() {
        let list =
            "//! The devices.\n\npub mod one;\npub mod the_other;\n#[cfg(test)]\nmod tests;\n";
        assert!(devices(list).eq(["one", "the_other"]));
    }

    #[test]
    fn events_are_numbered_by_their_order_in_the_file() {
        let events = "# SPDX\n\nx_read(const char *path, unsigned bar) \"%s\"\nx_reset(const char *path) \"%s\"\n\
            x_seed(const char *path, uint32_t seed) \"%s, %s)\"\nx_done(const char *path) \"%s\"\n";
        let c = functions("x", events);
        assert!(
            c.contains("case 0:\n        trace_x_seed(path, arguments[0]);\n"),
            "{c}"
        );
        assert!(c.contains("case 1:\n        trace_x_done(path);\n"), "{c}");
        assert!(!c.contains("case 2"), "{c}");
    }
}
