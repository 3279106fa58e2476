// SPDX-License-Identifier: GPL-2.0-or-later

//! The device as the kernel's hardware random number generator, and Debian's daemon that reads from it.

use my_rng_e2e::Machine;

use crate::{no_complaints, numbers::rngtest, start};

/// rngd reads blocks of 20,000 bits: so many numbers.
const BLOCK: u64 = 20_000 / 32;

#[test]
fn host_entropy_is_registered_as_hwrng() {
    let mut debian = start(Machine::debian("").device("my_rng,id=rng,generator=host"));
    let console = &mut debian.console;
    let attributes =
        console.run("cd /sys/class/misc/hw_random; cat rng_current rng_available rng_quality");
    assert_eq!(attributes, ["my_rng_driver", "my_rng_driver none", "1024"]);

    let counts = rngtest(console, "cat /dev/hwrng", 200);
    let [successes, failures, ..] = counts[..] else {
        panic!("no counts: {counts:?}");
    };
    // Chance decides how many blocks fail.
    assert_eq!(successes + failures, 200, "{counts:?}");

    // The kernel takes a few numbers now and then, but rngd takes a block. Without --no-drng it would read from the
    // processor first, and the kernel would have enough.
    let before = debian.reads();
    debian
        .console
        .run("systemd-run --unit feed rngd --foreground --rng-device=/dev/hwrng --no-drng=1");
    debian.wait_for_reads(before + BLOCK);
    assert_eq!(debian.console.run("systemctl is-active feed"), ["active"]);
    no_complaints(&mut debian);
    debian.quit();
}

#[test]
fn predictable_generator_is_not_registered_as_hwrng() {
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
