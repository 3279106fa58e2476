// SPDX-License-Identifier: GPL-2.0-or-later

//! A device that is unplugged without notice, and a device without INFO, as the driver sees them.

use my_rng_e2e::abi;

use crate::watched;

/// The driver is bound to a device whose BAR 0 is memory, where a program writes what the driver reads.
#[test]
fn driver_detects_removal_without_notice() {
    let removal = watched::guest("")
        // A framebuffer of 16 MiB. It is not a VGA, so the firmware does not use it.
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
        .tap();
    assert!(
        removal
            .text()
            .ends_with("\nthe device does not answer\n6\n")
    );
}
