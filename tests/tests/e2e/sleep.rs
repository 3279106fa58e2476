// SPDX-License-Identifier: GPL-2.0-or-later

//! Sleep (S3), from which a machine wakes with its devices reset.

use my_rng_e2e::{Machine, known_answers};
use serde_json::json;

fn sleep_and_wake(machine: &str) {
    let seeded = &known_answers::LIBC[2];
    let initial = &known_answers::LIBC[5];
    let mut guest = Machine::guest_with(machine, "no_console_suspend")
        .device(&format!("my_rng,seed={}", initial.seed))
        .start();
    guest.console.shell();
    let numbers = |numbers: &[u32]| -> Vec<String> { numbers.iter().map(u32::to_string).collect() };
    let line = format!("my-rng seed {}; my-rng read 2", seeded.seed);
    assert_eq!(guest.console.run(&line), numbers(&seeded.first[..2]));
    guest
        .console
        .shell_line("echo mem >/sys/power/state && my-rng read 5");
    guest.qmp.wait_for_event("SUSPEND");
    guest.qmp.execute("system_wakeup", json!({}));
    guest.qmp.wait_for_event("WAKEUP");
    assert_eq!(guest.console.until_end(), numbers(&initial.first));
    // The driver goes on.
    assert_eq!(guest.console.run(&line), numbers(&seeded.first[..2]));
}

#[test]
fn waking_up_is_a_reset_on_pc() {
    sleep_and_wake("pc");
}

#[test]
fn waking_up_is_a_reset_on_q35() {
    sleep_and_wake("q35");
}
