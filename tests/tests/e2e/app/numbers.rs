// SPDX-License-Identifier: GPL-2.0-or-later

//! The numbers that the app prints, in all formats.

use my_rng_e2e::Guest;
use my_rng_e2e::answers::{libc, lines, rounds};
use my_rng_e2e::known_answers::LIBC;

use super::of_generator;
use crate::first_boot::{SECTIONS, section};

#[test]
fn the_app_without_arguments_prints_the_classic_rounds() {
    let checked = Guest::new().run(&["my-rng"]).success();
    assert_eq!(checked.text(), rounds(&libc(0)).join("\n") + "\n");
    assert!(checked.stderr.is_empty(), "{}", checked.report());
}

/// The raw format also shows that bytes pass through `vm/run` unchanged.
#[test]
fn numbers_are_the_known_answers_up_to_the_millionth() {
    let script: String = LIBC
        .iter()
        .map(|answer| {
            format!(
                "my-rng seed {}; my-rng read 1000 --format raw
                 my-rng read 999000 | tail -n 1 >&2\n",
                answer.seed
            )
        })
        .collect();
    let read = Guest::new().sh(&script).success();
    assert_eq!(read.stdout.len(), LIBC.len() * 4000);
    for (answer, bytes) in LIBC.iter().zip(read.stdout.chunks(4000)) {
        let words = bytes.chunks_exact(4);
        let words = words.map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")));
        let words: Vec<_> = words.collect();
        assert_eq!(words[..5], answer.first, "seed {:#x}", answer.seed);
        assert_eq!(words[999], answer.thousandth, "seed {:#x}", answer.seed);
    }
    assert_eq!(read.errors(), lines(&LIBC.map(|answer| answer.millionth)));
}

/// Known answers for many bytes of the stream of seed 0x42.
struct Digests {
    generator: &'static str,
    mebibyte: &'static str,
    /// Of the first 1000003 bytes.
    odd: &'static str,
    /// The word after those.
    next: u32,
}

const DIGESTS: [Digests; 2] = [
    // Made with glibc's `rand`.
    Digests {
        generator: "libc",
        mebibyte: "204e0feab9b42b1132acf75787d78f4d5562211640d8565fb810a4bedcebf3cd  -",
        odd: "d3d57b483e60fb6224e3f060c4498985b3c9021ef2dae432b1e78a6f6e468f49  -",
        next: 1380851074,
    },
    // Made with OpenSSL.
    Digests {
        generator: "chacha20",
        mebibyte: "ea4882ac2e9820b1d6346dda5443eed00c14dbbdcc83bf46a64483ffff78f117  -",
        odd: "a3f425ebf96ab4ba12676c71e5108595f5a07104c218731a36932ee7f25086ec  -",
        next: 1084519204,
    },
];

#[test]
fn many_bytes_have_known_digests() {
    // Around a number, a block of 512 bytes of the driver, and a block of the app.
    const SIZES: [usize; 11] = [1, 2, 3, 4, 5, 511, 513, 65535, 65536, 65537, 65541];
    let sizes = SIZES.map(|size| size.to_string()).join(" ");
    for digests in &DIGESTS {
        let said = of_generator(digests.generator)
            .sh(&format!(
                "{SECTIONS}
                 section mebibyte; my-rng read --seed 0x42 --bytes 1M | sha256sum
                 section same; my-rng read --seed 0x42 --bytes 1024KiB --format raw | sha256sum
                 section count; my-rng read --seed 66 262144 --format raw | sha256sum
                 section hex; my-rng read --seed 0x42 --bytes 1M --format hex | cut -c 3- |
                     sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/\\4\\3\\2\\1/' | xxd -r -p | sha256sum
                 section odd; my-rng read --seed 0x42 --bytes 1000003 | sha256sum
                 section next; my-rng read
                 section none; my-rng read --bytes 0 | wc -c
                 section sizes
                 for size in {sizes}; do
                     my-rng read --bytes $size >/bytes
                     test $(wc -c </bytes) = $size
                 done
                 my-rng info | grep words"
            ))
            .success();
        for name in ["mebibyte", "same", "count", "hex"] {
            assert_eq!(section(&said, name), [digests.mebibyte], "{name}");
        }
        assert_eq!(section(&said, "odd"), [digests.odd]);
        assert_eq!(section(&said, "next"), [digests.next.to_string()]);
        assert_eq!(section(&said, "none"), ["0"]);
        // Each read took as many numbers as it needed.
        let of_sizes: usize = SIZES.iter().map(|size| size.div_ceil(4)).sum();
        let words = 4 * 262144 + 250001 + 1 + of_sizes;
        assert_eq!(section(&said, "sizes"), [format!("words:      {words}")]);
        assert!(said.stderr.is_empty(), "{}", said.report());
    }
}

#[test]
fn a_seed_can_be_given_with_a_run_and_numbers_printed_as_json() {
    let answer = &LIBC[2];
    let said = Guest::new()
        .sh(&format!(
            "{SECTIONS}
             section classic; my-rng --seed {seed}
             section read; my-rng read 5 --seed {seed}
             section json; my-rng read --seed {seed} 5 --format json
             section none; my-rng read 0 --format json
             section thousand; my-rng read --seed {seed} 1000 --format json",
            seed = answer.seed
        ))
        .success();
    assert_eq!(section(&said, "classic"), rounds(&answer.first));
    assert_eq!(
        section(&said, "read"),
        answer.first.map(|word| word.to_string())
    );
    let numbers = |name| -> Vec<u32> {
        let text = section(&said, name).concat();
        serde_json::from_str(&text).expect("an array of numbers")
    };
    assert_eq!(numbers("json"), answer.first);
    assert!(numbers("none").is_empty());
    assert_eq!(numbers("thousand").last(), Some(&answer.thousandth));
}
