// SPDX-License-Identifier: GPL-2.0-or-later

//! `read()` on the node, and what else can be done to a file.

use crate::watched;

fn read_with(generator: &str, bulk: bool) {
    let (property, engine) = if bulk {
        ("", "yes")
    } else {
        (",bulk=off", "no")
    };
    let read = watched::guest("")
        .option(
            "--device",
            format!("my_rng,generator={generator}{property}"),
        )
        .option("--smp", "2")
        .program("read")
        .run(&["/read", generator, engine])
        .success();
    assert_eq!(read.text(), "done\n");
}

#[test]
fn the_words_of_libc_can_be_read_in_every_way() {
    read_with("libc", true);
}

#[test]
fn the_words_of_chacha20_can_be_read_in_every_way() {
    read_with("chacha20", true);
}

#[test]
fn the_words_of_chacha8_can_be_read_in_every_way() {
    read_with("chacha8", true);
}

#[test]
fn the_words_of_xoshiro256pp_can_be_read_in_every_way() {
    read_with("xoshiro256pp", true);
}

/// From the registers alone.
#[test]
fn the_words_of_libc_can_be_read_without_a_bulk_engine() {
    read_with("libc", false);
}

#[test]
fn the_words_of_xoshiro256pp_can_be_read_without_a_bulk_engine() {
    read_with("xoshiro256pp", false);
}
