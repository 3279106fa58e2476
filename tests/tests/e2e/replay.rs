// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs that repeat: record and replay, `-seed`, and `-icount`.
//!
//! Most guests here are only a kernel: its self-test reads numbers and logs them, and its init ends at once.

use my_rng_e2e::answers::libc;
use my_rng_e2e::arch::{facts, usual_machine};
use my_rng_e2e::{Guest, Machine, log_text};

/// Boots to the end. Returns the numbers of the self-test.
fn boot(generator: &str, options: &[&str]) -> Vec<u32> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let console = folder.path().join("console");
    let guest = Machine::guest_with(
        usual_machine(),
        // Without KASLR and the processor's random numbers, the guest always takes the same count of random
        // numbers from QEMU: those of the device.
        "my_rng_selftest=1 loglevel=7 nokaslr rdinit=/bin/busybox -- false",
    )
    .device(&format!("my_rng,generator={generator}"))
    // The first serial port is a file: a recording does not contain the other end of a socket.
    .args(["-serial", &format!("file:{}", console.display())])
    .args(["-no-reboot", "-smp", "1", "-cpu", facts().plain_cpu])
    .args(options)
    .start();
    let (status, errors) = guest.wait();
    let console = log_text(&console);
    assert!(status.success(), "{errors}\n{console}");
    let numbers: Vec<u32> = console
        .lines()
        .filter_map(|line| line.split_once(" number ")?.1.split_once(": "))
        .filter_map(|(_, number)| number.trim().parse().ok())
        .collect();
    assert_eq!(numbers.len(), 10, "{errors}\n{console}");
    numbers
}

#[test]
fn a_replay_gives_the_recorded_numbers() {
    for generator in ["host", "libc"] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("recording");
        let run = |mode| {
            let icount = format!("shift=auto,rr={mode},rrfile={}", file.display());
            boot(generator, &["-icount", &icount])
        };
        let recorded = run("record");
        assert_eq!(run("replay"), recorded);
        if generator == "host" {
            // The self-test cannot seed it, so the two rounds differ.
            assert_ne!(recorded[..5], recorded[5..]);
        } else {
            assert_eq!(recorded[..5], libc(0x42));
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

/// With `-icount` QEMU counts instructions as time, so the guest always reads the same number of times until a timer
/// expires. An interrupt in the guest can take some of that time, so the program prints the maximum of many tries.
#[test]
fn timers_repeat_with_icount() {
    let most_reads = || -> u32 {
        let finished = Guest::new()
            .option("--accel", "tcg")
            .option("--smp", "1")
            .device("rust_edu")
            .qemu_args(["-icount", "shift=4,sleep=off"])
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
