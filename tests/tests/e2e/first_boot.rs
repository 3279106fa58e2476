// SPDX-License-Identifier: GPL-2.0-or-later

//! A boot that several tests look at: with the self-test, one device and the driver.

use std::sync::LazyLock;

use my_rng_e2e::lspci::ids;
use my_rng_e2e::{Finished, Guest};

/// That boot, made when a test first needs it.
pub static FIRST_BOOT: LazyLock<Finished> = LazyLock::new(|| {
    Guest::new()
        .switch("--selftest")
        .sh(&format!(
            "{SECTIONS}
             section driven; lspci -v -d {ids}
             section config; od -An -v -t x1 -N 64 $(device)/config
             section resource; head -n 1 $(device)/resource
             section nodes; ls /dev/my_rng*
             rmmod my_rng
             section free; lspci -v -d {ids}
             section nodes left; ls /dev/my_rng* || true",
            ids = ids()
        ))
        .success()
});

/// Shell functions: `section NAME` begins a part of the output that [`section`] finds; `device`
/// names the device's folder in sysfs.
pub const SECTIONS: &str = r#"
    section() { printf '=== %s\n' "$*"; }
    device() { dirname $(grep -l 0xcafe /sys/bus/pci/devices/*/device | head -n 1); }
"#;

/// The lines of a section of what a script printed.
pub fn section<'a>(finished: &'a Finished, name: &str) -> Vec<&'a str> {
    let mut lines = finished.text().lines();
    assert!(
        lines.any(|line| line.strip_prefix("=== ") == Some(name)),
        "no section {name}: {}",
        finished.report()
    );
    lines
        .take_while(|line| !line.starts_with("=== "))
        .filter(|line| !line.is_empty())
        .collect()
}
