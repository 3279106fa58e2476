// SPDX-License-Identifier: GPL-2.0-or-later

//! Sleep (S3). When the machine wakes up, its devices are reset.

use my_rng_e2e::Machine;
use my_rng_e2e::answers::libc;
use my_rng_e2e::arch::has_machine;
use serde_json::json;

fn sleep_and_wake(machine: &str) {
    if !has_machine(machine) {
        return;
    }
    let mut guest = Machine::guest_with(machine, "no_console_suspend")
        .device("my_rng,seed=0xffffffff")
        .start();
    guest.console.shell();
    let numbers = |numbers: &[u32]| -> Vec<String> { numbers.iter().map(u32::to_string).collect() };
    let line = "my-rng seed 0x42; my-rng read 2";
    assert_eq!(guest.console.run(line), numbers(&libc(0x42)[..2]));
    guest
        .console
        .shell_line("echo mem >/sys/power/state && my-rng read 5");
    guest.qmp.wait_for_event("SUSPEND");
    guest.qmp.execute("system_wakeup", json!({}));
    guest.qmp.wait_for_event("WAKEUP");
    assert_eq!(guest.console.until_end(), numbers(&libc(0xffff_ffff)));
    // The driver still works.
    assert_eq!(guest.console.run(line), numbers(&libc(0x42)[..2]));
}

#[test]
fn waking_up_is_a_reset_on_pc() {
    sleep_and_wake("pc");
}

#[test]
fn waking_up_is_a_reset_on_q35() {
    sleep_and_wake("q35");
}
