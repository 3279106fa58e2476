// SPDX-License-Identifier: GPL-2.0-or-later

//! `read()` on the node, and what else can be done to a file.

use crate::watched;

fn read_with(generator: &str, bulk: &str, has_engine: &str) {
    watched::guest("")
        .option("--device", format!("my_rng,generator={generator}{bulk}"))
        .option("--smp", "2")
        .program("read")
        .run(&["/read", generator, has_engine])
        .tap();
}

#[test]
fn libc_numbers_are_read_in_every_way() {
    read_with("libc", "", "yes");
}

#[test]
fn chacha20_numbers_are_read_in_every_way() {
    read_with("chacha20", "", "yes");
}

#[test]
fn chacha8_numbers_are_read_in_every_way() {
    read_with("chacha8", "", "yes");
}

#[test]
fn xoshiro256pp_numbers_are_read_in_every_way() {
    read_with("xoshiro256pp", "", "yes");
}

#[test]
fn libc_numbers_are_read_without_a_bulk_engine() {
    read_with("libc", ",bulk=off", "no");
}

#[test]
fn xoshiro256pp_numbers_are_read_without_a_bulk_engine() {
    read_with("xoshiro256pp", ",bulk=off", "no");
}
