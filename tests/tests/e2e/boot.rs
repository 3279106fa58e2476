// SPDX-License-Identifier: GPL-2.0-or-later

//! The kernel's self-test at boot, letter for letter.

use my_rng_e2e::answers::{framed, libc, lines, self_test};
use my_rng_e2e::arch::has_machine;
use my_rng_e2e::lspci::ids;
use my_rng_e2e::{Finished, Guest};

use crate::first_boot::FIRST_BOOT;

/// So many messages from the start of the self-test. Other parts of the kernel may print in between, such as
/// `tsc: Refined …`. Of the self-test's own lines, only the numbers and the error look like that.
fn messages_of_self_test(guest: &Finished, count: usize) -> Vec<&str> {
    let is_of_self_test = |message: &&str| {
        message
            .split_once(": ")
            .is_none_or(|(start, _)| start.starts_with("Round ") || start == "ERROR")
    };
    guest
        .messages()
        .into_iter()
        .skip_while(|message| !message.starts_with("-----"))
        .filter(is_of_self_test)
        .take(count)
        .collect()
}

#[test]
fn the_self_test_is_logged_letter_for_letter() {
    let expected = self_test();
    let messages = messages_of_self_test(&FIRST_BOOT, expected.len());
    assert_eq!(messages, expected, "{}", FIRST_BOOT.report());
    let messages = FIRST_BOOT.messages();
    let begins = messages
        .iter()
        .filter(|message| message.starts_with("BEGIN"));
    assert_eq!(begins.count(), 1, "{}", FIRST_BOOT.report());
}

/// The kernel may not use the addresses of the device's registers.
#[test]
fn registers_that_cannot_be_mapped_are_an_error_line() {
    // Where the kernel itself gives the device its addresses, it gives none that it may not use.
    if !has_machine("pc") {
        return;
    }
    let reserved = Guest::new()
        .switch("--selftest")
        .option("--append", "reserve=0x10000000,0xeec00000")
        .run(&["true"])
        .expect_code(0);
    let expected = framed(vec!["ERROR: cannot map device registers".to_owned()]);
    let messages = messages_of_self_test(&reserved, expected.len());
    assert_eq!(messages, expected, "{}", reserved.report());
}

#[test]
fn the_kernel_parameter_turns_the_self_test_off() {
    // Without `--selftest`, `vm/run` itself would add `my_rng_selftest=0`.
    let off = Guest::new()
        .switch("--selftest")
        .option("--append", "my_rng_selftest=off")
        .run(&["my-rng", "read", "5"])
        .success();
    assert!(!off.console.contains("MY-RNG"), "{}", off.report());
    assert!(!off.console.contains("Round"), "{}", off.report());
    // Nobody has read from the device before.
    assert_eq!(off.text(), lines(&libc(1)));
}

#[test]
fn without_a_device_the_boot_goes_on_with_one_clear_line() {
    let without = Guest::new()
        .switch("--selftest")
        .device("edu")
        .sh("my-rng read || echo $?")
        .success();
    let mut messages = without.messages();
    messages.retain(|message| message.contains("self-test") || message.contains("MY-RNG"));
    let [message] = messages[..] else {
        panic!("{}", without.report());
    };
    assert!(
        message.contains("my_rng") && message.contains(&ids()),
        "{message}"
    );
    // The app says it too; 3 means that there is no device.
    assert_eq!(without.text(), "3\n");
    assert!(
        without
            .errors()
            .contains("start QEMU with `-device my_rng`"),
        "{}",
        without.report()
    );
}
