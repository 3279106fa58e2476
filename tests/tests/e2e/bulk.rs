// SPDX-License-Identifier: GPL-2.0-or-later

//! The bulk engine: memory that a file is mapped to and that the device fills, and large reads.

use std::fs;

use crate::watched;

fn bulk_with(generator: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    let bulk = watched::guest("")
        .option("--qemu-arg", "-d")
        .option("--qemu-arg", "guest_errors")
        .option("--qemu-arg", "-D")
        .option("--qemu-arg", &log)
        .option("--device", format!("my_rng,generator={generator}"))
        .option("--smp", "2")
        .program("bulk")
        .run(&["/bulk", generator])
        .success();
    assert_eq!(bulk.text(), "done\n");
    // Whatever a program does, the driver asks the device for nothing that it does not do.
    let log = fs::read_to_string(&log).unwrap_or_default();
    assert!(!log.contains("my_rng"), "{log}");
}

#[test]
fn the_words_of_libc_are_had_in_bulk() {
    bulk_with("libc");
}

#[test]
fn the_words_of_chacha20_are_had_in_bulk() {
    bulk_with("chacha20");
}

#[test]
fn the_words_of_chacha8_are_had_in_bulk() {
    bulk_with("chacha8");
}

#[test]
fn the_words_of_xoshiro256pp_are_had_in_bulk() {
    bulk_with("xoshiro256pp");
}
