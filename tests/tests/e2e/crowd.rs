// SPDX-License-Identifier: GPL-2.0-or-later

//! Many callers at once, on many processors.

use my_rng_e2e::Guest;

#[test]
fn many_more_callers_than_processors_on_32_processors() {
    Guest::new()
        // Many processors start slowly on a host with few.
        .deadline(400)
        .option("--smp", "32")
        .option("--mem", "2G")
        // On a busy host, 32 processors cannot measure their speed.
        .option("--append", "lpj=1000000")
        .option("--device", "my_rng,generator=host")
        .program("crowd")
        // Otherwise the kernel reads from the device, too.
        .sh("echo none >/sys/class/misc/hw_random/rng_current
             /crowd $(cat /sys/kernel/debug/my_rng/my_rng_driver/device)")
        .tap();
}
