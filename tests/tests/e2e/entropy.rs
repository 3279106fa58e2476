// SPDX-License-Identifier: GPL-2.0-or-later

//! A host that runs out of entropy: nobody gets a number that it did not give.

use my_rng_e2e::test_qemu;

use crate::watched;

fn starve(bulk: &str) {
    let starved = watched::guest("")
        .option("--qemu", test_qemu())
        .option("--smp", "2")
        .option("--device", format!("my_rng,generator=host,bulk={bulk}"))
        .option("--device", "my-rng-entropy")
        .program("entropy")
        .sh(&format!(
            "exec /entropy $(dirname $(grep -l 0xcafd /sys/bus/pci/devices/*/device)) {bulk}"
        ))
        .success();
    assert_eq!(starved.text(), "done\n");
}

#[test]
fn a_host_without_entropy_is_told_by_transfers() {
    starve("on");
}

#[test]
fn a_host_without_entropy_is_told_by_registers() {
    starve("off");
}
