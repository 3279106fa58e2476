// SPDX-License-Identifier: GPL-2.0-or-later

//! The driver: its ioctls, loading and unloading, binding and unbinding.

use my_rng_e2e::answers::{libc, lines, rounds};
use my_rng_e2e::{Guest, abi};

use crate::first_boot::{FIRST_BOOT, SECTIONS, section};
use crate::watched;

#[test]
fn loading_logs_both_ioctl_numbers() {
    let line = FIRST_BOOT
        .messages()
        .into_iter()
        .find(|message| message.contains(&format!("{:#x}", abi::IOCTL_RAND)))
        .unwrap_or_else(|| panic!("{}", FIRST_BOOT.report()));
    assert!(line.contains("my_rng"), "{line}");
    assert!(line.contains(&format!("{:#x}", abi::IOCTL_SEED)), "{line}");
}

#[test]
fn the_node_exists_while_the_driver_is_loaded() {
    assert_eq!(section(&FIRST_BOOT, "nodes"), ["/dev/my_rng_driver"]);
    assert!(section(&FIRST_BOOT, "nodes left").is_empty());
}

#[test]
fn bad_pointers_and_bad_commands_are_refused() {
    Guest::new().program("ioctls").run(&["/ioctls"]).tap();
}

#[test]
fn concurrent_callers_share_the_stream_without_loss() {
    Guest::new()
        .option("--smp", "2")
        .program("concurrent")
        .run(&["/concurrent"])
        .tap();
}

/// A client of the classic interface, which knows nothing of this project.
#[test]
fn a_classic_client_runs_unchanged() {
    let classic = Guest::new().program("classic").run(&["/classic"]).success();
    assert_eq!(classic.text(), rounds(&libc(0)).join("\n") + "\n");
}

#[test]
fn the_module_can_be_loaded_and_unloaded_any_number_of_times() {
    let reloaded = Guest::new()
        .switch("--no-module")
        .sh("for i in $(seq 100); do
                 test ! -e /dev/my_rng_driver
                 insmod /lib/modules/my_rng.ko
                 my-rng seed 0x42
                 my-rng read
                 rmmod my_rng
             done
             insmod /lib/modules/my_rng.ko
             exec 3<>/dev/my_rng_driver
             rmmod my_rng && exit 1
             my-rng read
             exec 3>&-
             rmmod my_rng")
        .success();
    let [first, second, ..] = libc(0x42);
    let expected = [&[first; 100][..], &[second]].concat();
    assert_eq!(reloaded.text(), lines(&expected));
    // For the open file rmmod prints the C library's text of the errno, EAGAIN.
    assert!(!reloaded.errors().is_empty(), "{}", reloaded.report());
}

#[test]
fn an_open_file_outlives_the_binding() {
    watched::guest("")
        .option("--smp", "2")
        .program("unbind")
        .sh(&format!("{SECTIONS} /unbind $(basename $(device))"))
        .tap();
}

#[test]
fn fdinfo_and_debugfs_describe_a_device() {
    let seen = Guest::new()
        .device("my_rng,addr=5")
        .device("my_rng,generator=chacha20,addr=7")
        .device("my_rng,generator=xoshiro256pp,bulk=off,addr=9")
        .sh("my-rng seed 5; my-rng read 3 >/dev/null
             exec 3<>/dev/my_rng_driver
             dd bs=10 count=1 <&3 >/dev/null 2>&1
             grep my_rng- /proc/self/fdinfo/3
             exec 4</dev/my_rng_driver2; grep my_rng- /proc/self/fdinfo/4; exec 4<&-
             cd /sys/kernel/debug; grep -r . my_rng/my_rng_driver1 | sort; ls my_rng
             exec 3>&-; rmmod my_rng
             ls | grep my_rng || echo none")
        .success();
    assert_eq!(
        seen.text(),
        "my_rng-device:\t0000:00:05.0\n\
         my_rng-generator:\tlibc\n\
         my_rng-bulk:\tyes\n\
         my_rng-hwrng:\tno\n\
         my_rng-words:\t6\n\
         my_rng-seeds:\t1\n\
         my_rng-device:\t0000:00:09.0\n\
         my_rng-generator:\txoshiro256pp\n\
         my_rng-bulk:\tno\n\
         my_rng-hwrng:\tno\n\
         my_rng-words:\t0\n\
         my_rng-seeds:\t0\n\
         my_rng/my_rng_driver1/device:0000:00:07.0\n\
         my_rng/my_rng_driver1/generator:chacha20\n\
         my_rng/my_rng_driver1/seeds:0\n\
         my_rng/my_rng_driver1/words:0\n\
         my_rng_driver\nmy_rng_driver1\nmy_rng_driver2\n\
         none\n"
    );
}

#[test]
fn a_node_in_sysfs_has_its_device_and_attributes() {
    let seen = Guest::new()
        .device("my_rng,addr=5")
        .device("my_rng,generator=xoshiro256pp,bulk=off,addr=9")
        .sh("my-rng seed 5; my-rng read 3 >/dev/null
             cd /sys/class/misc
             for node in my_rng_driver my_rng_driver1; do
                 basename $(readlink $node/device)
                 (cd $node; grep . generator bulk words seeds; stat -c %a generator bulk words seeds | uniq)
             done
             cat /sys/module/my_rng/version
             exec 3<my_rng_driver/words 4<my_rng_driver1/generator
             rmmod my_rng
             cat <&3 || cat <&4 || echo gone")
        .success();
    assert_eq!(
        seen.text(),
        format!(
            "0000:00:05.0\ngenerator:libc\nbulk:1\nwords:3\nseeds:1\n444\n\
             0000:00:09.0\ngenerator:xoshiro256pp\nbulk:0\nwords:0\nseeds:0\n444\n\
             {}\ngone\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

/// The driver enables the device once, and makes it a bus master, only while it is bound.
#[test]
fn an_unbound_device_is_disabled() {
    let disabled = Guest::new()
        .sh(
            "address=$(cat /sys/kernel/debug/my_rng/my_rng_driver/device)
             show() {
                 cd /sys/bus/pci/devices/$address
                 echo $(cat enable) $(($(od -An -tu1 -j4 -N1 config) & 4))
             }
             show
             for i in 1 2 3; do
                 echo $address >/sys/bus/pci/drivers/my_rng/unbind; show
                 echo $address >/sys/bus/pci/drivers/my_rng/bind; show
             done",
        )
        .success();
    assert_eq!(disabled.text(), "1 4\n0 0\n1 4\n0 0\n1 4\n0 0\n1 4\n");
}
