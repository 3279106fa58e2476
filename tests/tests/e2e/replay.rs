// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs that repeat: recorded and replayed, and under `-seed`.
//!
//! The guest is the kernel alone: its self-test reads numbers from the device and logs them, and its init
//! ends at once.

use std::path::Path;

use my_rng_e2e::{Guest, Machine, known_answers};

/// Boots to the end; the numbers of the self-test.
fn boot(generator: &str, options: &[&str]) -> Vec<u32> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let console = folder.path().join("console");
    let guest = Machine::guest_with(
        "pc",
        // With KASLR and the processor's random numbers out of the way the guest takes as many random
        // numbers of QEMU's each time: those of the device.
        "my_rng_selftest=1 loglevel=7 nokaslr rdinit=/bin/busybox -- false",
    )
    .device(&format!("my_rng,generator={generator}"))
    // The first serial port is a file: what a socket's other end does is no part of a recording.
    .args(["-serial", &format!("file:{}", console.display())])
    .args(["-no-reboot", "-smp", "1", "-cpu", "qemu64"])
    .args(options)
    .start();
    let (status, errors) = guest.wait();
    let console = std::fs::read(&console).expect("the console");
    let console = String::from_utf8_lossy(&console);
    assert!(status.success(), "{errors}\n{console}");
    let numbers: Vec<u32> = console
        .lines()
        .filter_map(|line| line.split_once(" number ")?.1.split_once(": "))
        .filter_map(|(_, number)| number.trim().parse().ok())
        .collect();
    assert_eq!(numbers.len(), 10, "{errors}\n{console}");
    numbers
}

fn record_or_replay(mode: &str, file: &Path, generator: &str) -> Vec<u32> {
    let icount = format!("shift=auto,rr={mode},rrfile={}", file.display());
    boot(generator, &["-icount", &icount])
}

#[test]
fn a_replay_gives_the_recorded_numbers() {
    for generator in ["host", "libc"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("recording");
        let recorded = record_or_replay("record", &file, generator);
        assert_eq!(record_or_replay("replay", &file, generator), recorded);
        if generator == "host" {
            // The self-test's seeding is refused, so the two rounds differ.
            assert_ne!(recorded[..5], recorded[5..]);
        } else {
            assert_eq!(recorded[..5], known_answers::LIBC[2].first);
        }
    }
}

#[test]
fn two_runs_with_a_seed_give_the_same_numbers() {
    for generator in ["host", "chacha20"] {
        let first = boot(generator, &["-seed", "42"]);
        assert_eq!(boot(generator, &["-seed", "42"]), first);
        if generator == "host" {
            assert_ne!(first[..5], first[5..]);
            assert_ne!(boot(generator, &["-seed", "43"]), first);
        }
    }
}

/// With `-icount` a number of instructions is a time, so the reads until a timer is due are always as many. The guest's
/// own interrupts take some of the instructions away now and then: the most of many tries is what counts.
#[test]
fn timers_repeat_where_instructions_are_the_clock() {
    let most_reads = || -> u32 {
        let finished = Guest::new()
            .option("--accel", "tcg")
            .option("--smp", "1")
            .option("--device", "rust_edu")
            .option("--qemu-arg", "-icount")
            .option("--qemu-arg", "shift=4,sleep=off")
            .switch("--no-module")
            .program("timer")
            .sh("for d in /sys/bus/pci/devices/*; do
                     if [ $(cat $d/device) = 0x11e8 ]; then echo 1 >$d/enable; exec /timer $d/resource0; fi
                 done; exit 1")
            .success();
        let text = finished.text();
        text.trim().parse().expect("a number of reads")
    };
    let reads = most_reads();
    assert!(reads > 10, "{reads}");
    assert_eq!(most_reads(), reads);
}
