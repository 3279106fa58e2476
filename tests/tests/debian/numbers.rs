// SPDX-License-Identifier: GPL-2.0-or-later

//! Test suites for random numbers. From the same seed they get the same numbers, so their verdicts are known answers.

use my_rng_e2e::{Console, Machine};

use crate::{no_complaints, start};

/// rngtest tests so many blocks of 20,000 bits. A perfect generator fails about one in a thousand.
const BLOCKS: u32 = 1000;

/// A command that writes the stream of seed 0x42 until its reader has enough.
fn stream(node: &str) -> String {
    format!("my-rng --device {node} seed 0x42; my-rng --device {node} read 4000000000 --format raw")
}

/// The counts of rngtest: successes, failures, and the failures in Monobit, Poker, Runs, Long run and Continuous run.
pub fn rngtest(console: &mut Console, source: &str, blocks: u32) -> Vec<u32> {
    // Its status is 1 if a block has failed.
    let lines = console.run(&format!(
        "{source} | rngtest --blockcount={blocks} 2>&1 | grep FIPS"
    ));
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("rngtest: FIPS 140-2"))
        .map(|line| {
            let count = line.rsplit(": ").next().map(str::parse);
            count.expect("a count").expect("a number")
        })
        .collect()
}

/// Some tests of dieharder, with fewer samples than usual, and their verdicts.
const DIEHARDER: [(&str, &[&str]); 8] = [
    (
        "-d 0 -t 100 -p 20",
        &["diehard_birthdays|0|100|20|0.89598417|PASSED"],
    ),
    (
        "-d 2 -t 400 -p 10",
        &["diehard_rank_32x32|0|400|10|0.89255266|PASSED"],
    ),
    (
        "-d 15 -t 10000 -p 10",
        &[
            "diehard_runs|0|10000|10|0.23108156|PASSED",
            "diehard_runs|0|10000|10|0.15820762|PASSED",
        ],
    ),
    (
        "-d 100 -t 10000 -p 10",
        &["sts_monobit|1|10000|10|0.86596593|PASSED"],
    ),
    (
        "-d 101 -t 10000 -p 10",
        &["sts_runs|2|10000|10|0.26743326|PASSED"],
    ),
    (
        "-d 200 -n 3 -t 10000 -p 10",
        &["rgb_bitdist|3|10000|10|0.35579665|PASSED"],
    ),
    (
        "-d 204 -t 1000 -p 10",
        &["rgb_kstest_test|0|1000|10|0.94602094|PASSED"],
    ),
    (
        "-d 206 -t 500 -p 1",
        &["dab_dct|256|500|1|0.50098088|PASSED"],
    ),
];

/// The same for libc, whose highest bit is always 0.
const DIEHARDER_LIBC: [(&str, &[&str]); 2] = [
    (
        "-d 100 -t 10000 -p 10",
        &["sts_monobit|1|10000|10|0.00000002|FAILED"],
    ),
    (
        "-d 200 -n 3 -t 10000 -p 10",
        &["rgb_bitdist|3|10000|10|0.00000002|FAILED"],
    ),
];

fn dieharder(console: &mut Console, node: &str, test: &str) -> Vec<String> {
    let fields = [
        "test_name",
        "ntuple",
        "tsamples",
        "psamples",
        "pvalues",
        "assessment",
    ];
    let fields: String = fields.map(|field| format!(" -D {field}")).concat();
    // -g 200 reads from stdin, and -S seeds dieharder's own generator.
    let lines = console.run(&format!(
        "({}) | dieharder -g 200 -S 1{fields} {test}",
        stream(node)
    ));
    lines
        .iter()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join("|"))
        .collect()
}

#[test]
fn test_suites_give_known_verdicts() {
    let mut debian = start(
        Machine::debian("")
            .device("my_rng,generator=chacha20")
            .device("my_rng,generator=libc"),
    );
    let [chacha20, libc] = ["/dev/my_rng_driver", "/dev/my_rng_driver1"];
    let console = &mut debian.console;
    let source = format!("({})", stream(chacha20));
    assert_eq!(rngtest(console, &source, BLOCKS), [999, 1, 0, 1, 0, 0, 0]);
    let source = format!("({})", stream(libc));
    assert_eq!(
        rngtest(console, &source, BLOCKS),
        [1, 999, 701, 999, 37, 1, 0]
    );
    for (node, tests) in [(chacha20, &DIEHARDER[..]), (libc, &DIEHARDER_LIBC)] {
        for (test, verdicts) in tests {
            assert_eq!(dieharder(console, node, test), *verdicts, "{node} {test}");
        }
    }
    no_complaints(&mut debian);
    debian.quit();
}
