// SPDX-License-Identifier: GPL-2.0-or-later

//! The classic device of two registers. Its implementations return different values at other offsets.

use my_rng_e2e::test_qemu;

use crate::watched;

#[test]
fn every_kind_of_classic_device_works() {
    let kinds = ["ones", "zeros", "next", "signature"];
    let mut guest = watched::guest("").option("--qemu", test_qemu());
    for kind in kinds {
        guest = guest.option("--device", format!("my-rng-classic,elsewhere={kind}"));
    }
    let said = guest
        .sh("dmesg | grep -c 'a classic device, without the register INFO'
             for node in /dev/my_rng_driver /dev/my_rng_driver1 /dev/my_rng_driver2 /dev/my_rng_driver3; do
                 exec 3<>$node; grep -E 'generator|bulk|hwrng' /proc/self/fdinfo/3; exec 3>&-
                 # It counts from the seed: through all ones and zero, which a missing device would give.
                 my-rng --device $node seed 4294967293
                 my-rng --device $node read 5 | tr '\n' ' '
                 my-rng --device $node read 100000 | tail -n 1
             done
             # The same without the driver, but opening takes numbers of some, so the seed comes later.
             rmmod my_rng
             for device in $(my-rng list | cut -d ' ' -f 1); do
                 my-rng --device $device info | grep generator | cut -d ' ' -f 1-3
                 my-rng --device $device --seed 4294967293 read 5 | tr '\n' ' '
                 my-rng --device $device --seed 5 read 100000 | tail -n 1
             done")
        .success();
    let with_driver = "my_rng-generator:\tunknown\nmy_rng-bulk:\tno\nmy_rng-hwrng:\tno\n\
                       4294967293 4294967294 4294967295 0 1 100001\n";
    let without = "generator:  unknown\n4294967293 4294967294 4294967295 0 1 100004\n";
    let count = kinds.len();
    assert_eq!(
        said.text(),
        format!(
            "{count}\n{}{}",
            with_driver.repeat(count),
            without.repeat(count)
        )
    );
}
