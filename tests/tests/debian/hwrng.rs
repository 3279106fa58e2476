// SPDX-License-Identifier: GPL-2.0-or-later

//! The device as the kernel's own hardware random number generator, and Debian's daemon that feeds on it.

use std::time::Instant;

use my_rng_e2e::{DEADLINE, Machine, Process};

use crate::{no_splat, numbers::rngtest, start};

/// The numbers in a block of rngd's, of 20,000 bits.
const BLOCK: u64 = 20_000 / 32;

/// How many numbers the device has given.
fn reads(debian: &mut Process) -> u64 {
    debian.property("reads").as_u64().expect("a counter")
}

#[test]
fn the_host_s_numbers_are_the_kernel_s_hwrng() {
    let mut debian = start(Machine::debian("").device("my_rng,id=rng,generator=host"));
    let console = &mut debian.console;
    let attributes =
        console.run("cd /sys/class/misc/hw_random; cat rng_current rng_available rng_quality");
    assert_eq!(attributes, ["my_rng_driver", "my_rng_driver none", "1024"]);

    let counts = rngtest(console, "cat /dev/hwrng", 200);
    let [successes, failures, ..] = counts[..] else {
        panic!("no counts: {counts:?}");
    };
    // How many fail, chance decides.
    assert_eq!(successes + failures, 200, "{counts:?}");

    // The kernel takes a few numbers now and then, but rngd takes a block. By itself it would first take one of
    // the processor's, with which the kernel has enough.
    let before = reads(&mut debian);
    debian
        .console
        .run("systemd-run --unit feed rngd --foreground --rng-device=/dev/hwrng --no-drng=1");
    let deadline = Instant::now() + DEADLINE;
    while reads(&mut debian) < before + BLOCK {
        assert!(Instant::now() < deadline, "rngd takes no numbers");
    }
    assert_eq!(debian.console.run("systemctl is-active feed"), ["active"]);
    no_splat(&mut debian);
    debian.quit();
}

#[test]
fn a_generator_that_can_be_foreseen_is_none_of_the_kernel_s() {
    let mut debian = start(
        Machine::debian("")
            .device("my_rng,generator=libc")
            .device("my_rng,generator=chacha20"),
    );
    let available = debian
        .console
        .run("cat /sys/class/misc/hw_random/rng_available");
    assert_eq!(available.concat(), "none");
    debian.quit();
}
