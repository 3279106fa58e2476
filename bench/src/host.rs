// SPDX-License-Identifier: GPL-2.0-or-later

//! What the figures were measured on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// The host's part of the description.
pub fn describe(qemu: &Path) -> BTreeMap<String, String> {
    let unknown = || "unknown".to_owned();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| value(&text, "model name"))
        .unwrap_or_else(unknown);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = [
        ("processor", Some(format!("{processor}, {cores} cores"))),
        (
            "host",
            kernel.map(|release| format!("Linux {}", version(&release))),
        ),
        (
            "QEMU",
            said(Command::new(qemu).arg("--version"))
                .map(|line| line.trim_start_matches("QEMU emulator version ").to_owned()),
        ),
        ("rustc", Some(env!("BENCH_RUSTC").to_owned())),
        (
            "commit",
            said(Command::new("git").current_dir(source).args([
                "describe",
                "--always",
                "--dirty=, with changes",
            ])),
        ),
    ];
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.unwrap_or_else(unknown)))
        .collect()
}

/// The first line of what a command prints.
fn said(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

/// A kernel's version, without what its builder has added.
fn version(release: &str) -> &str {
    release.trim().split('-').next().unwrap_or_default()
}

/// The value of a line `key : value`.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_version_is_a_number() {
        assert_eq!(super::version("6.12.9-my-own\n"), "6.12.9");
    }

    #[test]
    fn the_processor_is_found() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n";
        assert_eq!(
            super::value(text, "model name").as_deref(),
            Some("A CPU @ 2 GHz")
        );
        assert_eq!(super::value(text, "flags"), None);
    }
}
