// SPDX-License-Identifier: GPL-2.0-or-later

//! The bulk engine: memory that a file is mapped to and that the device fills, and large reads.

use crate::registers::{log_errors, logged_errors};
use crate::watched;

fn bulk_with(generator: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("qemu.log");
    log_errors(watched::guest(""), &log)
        .option("--device", format!("my_rng,generator={generator}"))
        .option("--smp", "2")
        .program("bulk")
        .run(&["/bulk", generator])
        .tap();
    // Whatever a program does, the driver makes no guest errors.
    assert_eq!(logged_errors(&log), 0);
}

#[test]
fn libc_numbers_in_bulk() {
    bulk_with("libc");
}

#[test]
fn chacha20_numbers_in_bulk() {
    bulk_with("chacha20");
}

#[test]
fn chacha8_numbers_in_bulk() {
    bulk_with("chacha8");
}

#[test]
fn xoshiro256pp_numbers_in_bulk() {
    bulk_with("xoshiro256pp");
}
