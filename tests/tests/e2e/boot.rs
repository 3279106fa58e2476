// SPDX-License-Identifier: GPL-2.0-or-later

//! The kernel's boot self-test, letter for letter.

use my_rng_e2e::{Guest, known_answers};

use crate::first_boot::{FIRST_BOOT, ids};

const RULE: &str = "------------------------------------------------------------------";
const BEGIN: &str = "BEGIN MY-RNG TEST";
const END: &str = "END MY-RNG TEST";

fn expected() -> Vec<String> {
    let answer = known_answers::LIBC
        .iter()
        .find(|answer| answer.seed == known_answers::SELFTEST_SEED)
        .expect("a known answer for the seed of the self-test");
    let rounds = (0..2).flat_map(|round| {
        answer
            .first
            .iter()
            .enumerate()
            .map(move |(number, word)| format!("Round {round} number {number}: {word}"))
    });
    [RULE, BEGIN, RULE]
        .map(str::to_owned)
        .into_iter()
        .chain(rounds)
        .chain([RULE, END, RULE].map(str::to_owned))
        .collect()
}

/// Another part of the kernel may speak in between: `tsc: Refined …`, `input: …`. Of the self-test's
/// own lines only the numbers and the error look like that.
fn of_another_part(message: &str) -> bool {
    message
        .split_once(": ")
        .is_some_and(|(speaker, _)| !speaker.starts_with("Round ") && speaker != "ERROR")
}

#[test]
fn the_self_test_is_logged_letter_for_letter() {
    let messages = FIRST_BOOT.messages();
    let begins: Vec<_> = (0..messages.len())
        .filter(|&index| messages[index] == BEGIN)
        .collect();
    assert_eq!(begins.len(), 1, "{}", FIRST_BOOT.report());
    let test: Vec<_> = messages[begins[0].saturating_sub(1)..]
        .iter()
        .filter(|message| !of_another_part(message))
        .take(expected().len())
        .collect();
    assert_eq!(test, expected().iter().collect::<Vec<_>>());
}

/// The kernel is told to keep its hands off the addresses that the device's registers stand at.
#[test]
fn registers_that_cannot_be_mapped_are_an_error_line() {
    let reserved = Guest::new()
        .switch("--selftest")
        .option("--append", "reserve=0x10000000,0xeec00000")
        .run(&["true"])
        .expect_code(0);
    let messages = reserved.messages();
    let test: Vec<_> = messages
        .iter()
        .skip_while(|message| **message != RULE)
        .filter(|message| !of_another_part(message))
        .take(7)
        .copied()
        .collect();
    let error = "ERROR: cannot map device registers";
    assert_eq!(
        test,
        [RULE, BEGIN, RULE, error, RULE, END, RULE],
        "{}",
        reserved.report()
    );
}

#[test]
fn the_kernel_parameter_turns_the_self_test_off() {
    // `vm/run` says `my_rng_selftest=0` by itself; here it is said over its `--selftest`.
    let off = Guest::new()
        .switch("--selftest")
        .option("--append", "my_rng_selftest=off")
        .run(&["my-rng", "read", "5"])
        .success();
    assert!(!off.console.contains("MY-RNG"), "{}", off.report());
    assert!(!off.console.contains("Round"), "{}", off.report());
    // Nobody has touched the device: the stream is at its start.
    assert_eq!(off.text(), crate::app::lines(&known_answers::LIBC[1].first));
}

#[test]
fn without_a_device_the_boot_goes_on_with_one_clear_line() {
    let without = Guest::new()
        .switch("--selftest")
        .option("--device", "edu")
        .sh("my-rng read || echo $?")
        .success();
    let lines: Vec<_> = without
        .messages()
        .into_iter()
        .filter(|message| message.contains("self-test") || message.contains("MY-RNG"))
        .collect();
    assert_eq!(lines.len(), 1, "{}", without.report());
    assert!(
        lines[0].contains("my_rng") && lines[0].contains(&ids()),
        "{}",
        lines[0]
    );
    // The app knows, too.
    assert_eq!(without.text(), "1\n");
    assert!(
        without
            .errors()
            .contains("start QEMU with `-device my_rng`"),
        "{}",
        without.report()
    );
}
