// SPDX-License-Identifier: GPL-2.0-or-later

//! A host that runs out of entropy: callers get no number that it did not give.

use my_rng_e2e::test_qemu;

use crate::watched;

fn starve(bulk: &str) {
    // QEMU feeds RDRAND and RDSEED from the same source, and bytes are counted here.
    let starved = watched::guest("clearcpuid=rdrand,rdseed")
        .option("--qemu", test_qemu())
        .option("--smp", "2")
        .option("--device", format!("my_rng,generator=host,bulk={bulk}"))
        .option("--device", "my-rng-entropy")
        .program("entropy")
        .sh(&format!(
            "if grep -w -e rdrand -e rdseed /proc/cpuinfo; then exit 1; fi
             /entropy $(basename $(dirname $(grep -l 0xcafd /sys/bus/pci/devices/*/device))) {bulk}
             my-rng read 10 --format raw | wc -c
             if my-rng read 2>&1; then exit 1; fi
             if my-rng read --bytes 2M 2>&1 >/dev/null; then exit 1; fi
             rmmod my_rng
             if my-rng -d pci read --bytes 2M 2>&1 >/dev/null; then exit 1; fi"
        ))
        .tap();
    let lines: Vec<&str> = starved.text().lines().collect();
    let [.., bytes, few, many, without_driver] = lines[..] else {
        panic!("{}", starved.report());
    };
    assert_eq!(bytes, "40");
    for line in [few, many, without_driver] {
        assert!(
            line.contains("the host has no entropy now; try again later"),
            "{line}"
        );
    }
}

#[test]
fn transfers_report_that_the_host_has_no_entropy() {
    starve("on");
}

#[test]
fn registers_report_that_the_host_has_no_entropy() {
    starve("off");
}
