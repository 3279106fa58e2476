// SPDX-License-Identifier: GPL-2.0-or-later

//! Many callers at once, on many processors.

use my_rng_e2e::Guest;

#[test]
fn more_callers_than_descriptors_on_32_processors() {
    let crowd = Guest::new()
        // Many processors take long to come up on a host that has few.
        .deadline(200)
        .option("--smp", "32")
        .option("--mem", "2G")
        // On a busy host, 32 processors do not find out how fast they are.
        .option("--append", "lpj=1000000")
        .option("--device", "my_rng,generator=host")
        .program("crowd")
        // The kernel itself reads from the device until told otherwise.
        .sh("echo none >/sys/class/misc/hw_random/rng_current
             /crowd $(cat /sys/kernel/debug/my_rng_driver/device)")
        .success();
    assert_eq!(crowd.text(), "2560 filled, 0 failed\ndone\n");
}
