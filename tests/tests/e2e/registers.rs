// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers, accessed from the guest's user space through sysfs, without the driver.

use std::fs;
use std::path::Path;

use my_rng_e2e::arch::facts;
use my_rng_e2e::{Finished, Guest, abi};

use crate::first_boot::SECTIONS;

/// Has QEMU write guest errors to a file.
pub fn log_errors(guest: Guest, log: &Path) -> Guest {
    let log = log.to_str().expect("a path that is text");
    guest.qemu_args(["-d", "guest_errors", "-D", log])
}

/// How many of the device's errors are in that file.
pub fn logged_errors(log: &Path) -> usize {
    let log = fs::read_to_string(log).expect("QEMU's log");
    log.lines().filter(|line| line.contains("my_rng")).count()
}

/// The sum of the numbers that the checks printed after this label.
fn sum(finished: &Finished, label: &str) -> usize {
    let numbers = finished
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.strip_prefix(label))
        .map(|number| number.trim().parse::<usize>().expect("a number"));
    numbers.sum()
}

#[test]
fn accesses_of_every_size_at_every_offset_follow_the_registers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    let swept = log_errors(Guest::new(), &log)
        // The program counts errors by how this accelerator splits accesses.
        .option("--accel", "tcg")
        .switch("--no-module")
        .program("access")
        // Not every machine's firmware enables devices.
        .sh(&format!(
            "{SECTIONS} echo 1 >$(device)/enable
             /access $(device)/resource0 {:#x} {:#x}",
            abi::REG_INFO,
            abi::info(abi::GENERATOR_LIBC) | abi::INFO_BULK | abi::INFO_FAILURES
        ))
        .tap();
    assert!(sum(&swept, "accesses: ") > facts().accesses);
    assert_eq!(logged_errors(&log), sum(&swept, "guest errors: "));
}

/// A hostile guest, or a broken driver.
#[test]
fn doorbell_refuses_bad_descriptors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    let rung = log_errors(Guest::new(), &log)
        .switch("--no-module")
        .option("--smp", "2")
        .option("--mem", "256M")
        .option("--device", "my_rng")
        .option("--device", "my_rng")
        .program("doorbell")
        .sh(&format!(
            "exec /doorbell $(grep -l 0xcafe /sys/bus/pci/devices/*/device | cut -d / -f 6) {}",
            (facts().memory >> 20) + 256
        ))
        .tap();
    assert!(sum(&rung, "rings: ") > 4_000);
    assert_eq!(logged_errors(&log), sum(&rung, "guest errors: "));
}
