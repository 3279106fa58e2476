// SPDX-License-Identifier: GPL-2.0-or-later

//! Our packages on Debian 13 with its own kernel, for which DKMS has built the driver.

use my_rng_e2e::Machine;
use serde_json::json;

use crate::boot::{check_classic_clients, check_installed_files, check_module, check_permissions};
use crate::numbers::rngtest;
use crate::{no_complaints, start};

#[test]
fn packages_work_on_debians_own_kernel() {
    let mut debian = start(
        Machine::stock()
            .device("my_rng,id=first")
            .device("my_rng,generator=chacha20,id=second")
            .device("my_rng,generator=host")
            .disk_of_programs(&["classic", "classic_literal"]),
    );
    let release = check_module(&mut debian, "updates/dkms/my_rng.ko.xz");
    let console = &mut debian.console;
    // As Debian has built it; the disk has no documentation.
    let changed = console.run(&format!(
        "cmp /boot/vmlinuz-{release} /usr/lib/modules/{release}/vmlinuz; \
         dpkg --verify linux-binary-{release} linux-modules-{release} my-rng my-rng-dkms | grep -v /usr/share/; true"
    ));
    assert!(changed.is_empty(), "{changed:?}");
    let nodes = console.run("stat --format '%n %F %a %U %G' /dev/my_rng_driver*");
    let expected = ["", "1", "2"]
        .map(|n| format!("/dev/my_rng_driver{n} character special file 660 root my_rng"));
    assert_eq!(nodes, expected);
    check_permissions(&mut debian);
    check_installed_files(&mut debian);
    check_classic_clients(&mut debian);

    let console = &mut debian.console;
    let stream = "my-rng -d /dev/my_rng_driver1 read 4000000 --seed 0x42 --format raw";
    // As with the kernel that make builds.
    assert_eq!(rngtest(console, stream, 1000), [999, 1, 0, 1, 0, 0, 0]);
    let current = console.run("cat /sys/class/misc/hw_random/rng_current");
    assert_eq!(current, ["my_rng_driver2"]);
    let counts = rngtest(console, "cat /dev/hwrng", 200);
    // Chance decides how many blocks fail.
    assert_eq!(counts[0] + counts[1], 200, "{counts:?}");

    // The guest unplugs a device while a program has it open, and gets another one.
    console.run("exec 3</dev/my_rng_driver1");
    let device = json!({ "id": "second" });
    debian.qmp.execute("device_del", device);
    debian.qmp.wait_for_event("DEVICE_DELETED");
    let console = &mut debian.console;
    console.run("udevadm settle; ! test -e /dev/my_rng_driver1");
    let gone = console.run("! head -c 4 <&3 2>&1; exec 3<&-");
    assert!(gone.concat().contains("No such device"), "{gone:?}");
    let device = json!({ "driver": "my_rng", "seed": 0x42, "id": "second" });
    debian.qmp.execute("device_add", device);
    let console = &mut debian.console;
    console.run("until test -c /dev/my_rng_driver1; do udevadm settle; done");
    let first = console.run("my-rng -d /dev/my_rng_driver1 read 1");
    assert_eq!(first, ["286129175"]);
    console.run("modprobe -r my_rng; modprobe my_rng");
    no_complaints(&mut debian);
    debian.quit();
}
