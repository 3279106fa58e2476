// SPDX-License-Identifier: GPL-2.0-or-later

//! A device pulled out without notice, and a device without INFO, as the driver sees them.

use my_rng_e2e::abi;

use crate::watched;

/// The driver on a device whose BAR 0 is memory, so that a program can write what the driver reads.
#[test]
fn a_device_that_does_not_answer_is_gone() {
    let removal = watched::guest("")
        // A framebuffer of 16 MiB; it is no VGA, so that the firmware leaves it alone.
        .option("--device", "bochs-display")
        .program("removal")
        .sh(&format!(
            "device=$(basename $(dirname $(grep -l 0x1111 /sys/bus/pci/devices/*/device)))
             /removal $device {:#x} {:#x}
             dmesg | grep -o 'the device does not answer'
             dmesg | grep -c 'a classic device'",
            abi::REG_INFO,
            abi::INFO_SIGNATURE
        ))
        .success();
    assert_eq!(removal.text(), "done\nthe device does not answer\n6\n");
}
