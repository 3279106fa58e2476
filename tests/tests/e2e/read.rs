// SPDX-License-Identifier: GPL-2.0-or-later

//! `read()` on the node, and what else can be done to a file.

use crate::watched;

fn read_with(generator: &str) {
    let read = watched::guest("")
        .option("--device", format!("my_rng,generator={generator}"))
        .option("--smp", "2")
        .program("read")
        .run(&["/read", generator])
        .success();
    assert_eq!(read.text(), "done\n");
}

#[test]
fn the_words_of_libc_can_be_read_in_every_way() {
    read_with("libc");
}

#[test]
fn the_words_of_chacha20_can_be_read_in_every_way() {
    read_with("chacha20");
}
