// SPDX-License-Identifier: GPL-2.0-or-later

//! The description of the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Describes the host, QEMU and this checkout.
pub fn describe(qemu: &Path) -> BTreeMap<String, String> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let read = |path| fs::read_to_string(path).ok();
    let entries = [
        (
            "processor",
            read("/proc/cpuinfo")
                .and_then(|text| Some(format!("{}, {cores} cores", processor(&text)?))),
        ),
        (
            "host",
            read("/proc/sys/kernel/osrelease")
                .map(|release| format!("Linux {}", version(&release))),
        ),
        (
            "QEMU",
            first_line(Command::new(qemu).arg("--version"))
                .map(|line| line.replace("QEMU emulator version ", "")),
        ),
        ("rustc", Some(env!("BENCH_RUSTC").to_owned())),
        (
            "commit",
            first_line(
                Command::new("git")
                    .current_dir(env!("CARGO_MANIFEST_DIR"))
                    .args(["describe", "--always", "--dirty=, with changes"]),
            ),
        ),
    ];
    entries
        .map(|(key, value)| {
            (
                key.to_owned(),
                value.unwrap_or_else(|| "unknown".to_owned()),
            )
        })
        .into()
}

/// The first line that a command prints.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

/// The version of a kernel, without the suffix of who built it.
fn version(release: &str) -> &str {
    release.trim().split('-').next().unwrap_or_default()
}

/// The name of the processor in /proc/cpuinfo.
fn processor(text: &str) -> Option<&str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.trim())
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
        assert_eq!(super::processor(text), Some("A CPU @ 2 GHz"));
        assert_eq!(super::processor("flags\t: fpu\n"), None);
    }
}
