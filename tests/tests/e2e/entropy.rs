// SPDX-License-Identifier: GPL-2.0-or-later

//! A host that runs out of entropy: nobody gets a number that it did not give.

use my_rng_e2e::test_qemu;

use crate::watched;

fn starve(bulk: &str) {
    // QEMU gives RDRAND and RDSEED from the same source: the kernel is not to use them, for bytes are counted here.
    let starved = watched::guest("clearcpuid=rdrand,rdseed")
        .option("--qemu", test_qemu())
        .option("--smp", "2")
        .option("--device", format!("my_rng,generator=host,bulk={bulk}"))
        .option("--device", "my-rng-entropy")
        .program("entropy")
        .sh(&format!(
            "if grep -w -e rdrand -e rdseed /proc/cpuinfo; then exit 1; fi
             /entropy $(dirname $(grep -l 0xcafd /sys/bus/pci/devices/*/device)) {bulk}
             my-rng read 10 --format raw | wc -c
             if my-rng read 2>&1; then exit 1; fi
             if my-rng read --bytes 2M 2>&1 >/dev/null; then exit 1; fi"
        ))
        .success();
    let lines: Vec<&str> = starved.text().lines().collect();
    let [done, bytes, few, many] = lines[..] else {
        panic!("{}", starved.report());
    };
    assert_eq!((done, bytes), ("done", "40"));
    for line in [few, many] {
        assert!(
            line.contains("the host has no entropy now; try again later"),
            "{line}"
        );
    }
}

#[test]
fn a_host_without_entropy_is_told_by_transfers() {
    starve("on");
}

#[test]
fn a_host_without_entropy_is_told_by_registers() {
    starve("off");
}
