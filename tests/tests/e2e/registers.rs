// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers, accessed from the guest's user space through sysfs, without the driver.

use std::fs;

use my_rng_e2e::{Finished, Guest, abi};

use crate::first_boot::SECTIONS;

/// The number after this label in what the program printed.
fn count(finished: &Finished, label: &str) -> usize {
    finished
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {label}: {}", finished.report()))
}

#[test]
fn every_access_size_at_every_offset() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    let swept = Guest::new()
        // The program counts errors as this accelerator cuts the accesses.
        .option("--accel", "tcg")
        .switch("--no-module")
        .option("--qemu-arg", "-d")
        .option("--qemu-arg", "guest_errors")
        .option("--qemu-arg", "-D")
        .option("--qemu-arg", &log)
        .program("access")
        .sh(&format!(
            "{SECTIONS} /access $(device)/resource0 {:#x} {:#x}",
            abi::REG_INFO,
            abi::info(abi::GENERATOR_LIBC) | abi::INFO_BULK | abi::INFO_FAILURES
        ))
        .success();
    assert!(count(&swept, "accesses: ") > 32_000);
    let log = fs::read_to_string(&log).expect("QEMU's log");
    let logged = log.lines().filter(|line| line.contains("my_rng")).count();
    assert_eq!(logged, count(&swept, "guest errors: "));
}

/// Rung by somebody who means no good, or whose driver is broken.
#[test]
fn a_doorbell_that_is_rung_for_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    let rung = Guest::new()
        .switch("--no-module")
        .option("--smp", "2")
        .option("--mem", "256M")
        .option("--device", "my_rng")
        .option("--device", "my_rng")
        .option("--qemu-arg", "-d")
        .option("--qemu-arg", "guest_errors")
        .option("--qemu-arg", "-D")
        .option("--qemu-arg", &log)
        .program("doorbell")
        .sh("exec /doorbell $(grep -l 0xcafe /sys/bus/pci/devices/*/device | cut -d / -f 6) 256")
        .success();
    assert!(count(&rung, "rings: ") > 4_000);
    let log = fs::read_to_string(&log).expect("QEMU's log");
    let logged = log.lines().filter(|line| line.contains("my_rng")).count();
    assert_eq!(logged, count(&rung, "guest errors: "));
}
