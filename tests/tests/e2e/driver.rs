// SPDX-License-Identifier: GPL-2.0-or-later

//! The driver: its ioctls, its coming and going.

use my_rng_e2e::{Guest, abi, known_answers};

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
fn the_node_comes_and_goes_with_the_driver() {
    assert_eq!(section(&FIRST_BOOT, "nodes"), ["/dev/my_rng_driver"]);
    assert!(section(&FIRST_BOOT, "nodes left").is_empty());
}

#[test]
fn bad_pointers_and_bad_commands() {
    let ioctls = Guest::new().program("ioctls").run(&["/ioctls"]).success();
    assert_eq!(ioctls.text(), "done\n");
}

#[test]
fn concurrent_callers_share_the_stream_without_loss() {
    let concurrent = Guest::new()
        .option("--smp", "2")
        .program("concurrent")
        .run(&["/concurrent"])
        .success();
    assert_eq!(concurrent.text(), "words: 320000\n");
}

/// A client written to the classic contract, which knows nothing of this project.
#[test]
fn a_classic_client_runs_unchanged() {
    let classic = Guest::new().program("classic").run(&["/classic"]).success();
    assert_eq!(
        classic.text(),
        crate::app::classic(&known_answers::LIBC[0].first)
    );
}

#[test]
fn the_module_can_be_loaded_and_unloaded_any_number_of_times() {
    let answer = &known_answers::LIBC[2];
    let reloaded = Guest::new()
        .switch("--no-module")
        .sh(&format!(
            "for i in $(seq 100); do
                 test ! -e /dev/my_rng_driver
                 insmod /lib/modules/my_rng.ko
                 my-rng seed {}
                 my-rng read
                 rmmod my_rng
             done
             insmod /lib/modules/my_rng.ko
             exec 3<>/dev/my_rng_driver
             rmmod my_rng && exit 1
             my-rng read
             exec 3>&-
             rmmod my_rng",
            answer.seed
        ))
        .success();
    let [first, second, ..] = answer.first;
    let expected: String = std::iter::repeat_n(first, 100)
        .chain([second])
        .map(|word| format!("{word}\n"))
        .collect();
    assert_eq!(reloaded.text(), expected);
    // What rmmod says of the open file is the C library's text for the errno, EAGAIN.
    assert!(!reloaded.errors().is_empty(), "{}", reloaded.report());
}

#[test]
fn an_open_file_outlives_the_binding() {
    let unbound = watched::guest("")
        .option("--smp", "2")
        .program("unbind")
        .sh(&format!("{SECTIONS} /unbind $(basename $(device))"))
        .success();
    assert_eq!(unbound.text(), "rounds: 20\n");
}

#[test]
fn what_there_is_to_see_of_a_device() {
    let seen = Guest::new()
        .option("--device", "my_rng,addr=5")
        .option("--device", "my_rng,generator=chacha20,addr=7")
        .option("--device", "my_rng,generator=xoshiro256pp,bulk=off,addr=9")
        .sh("my-rng seed 5; my-rng read 3 >/dev/null
             exec 3<>/dev/my_rng_driver
             dd bs=10 count=1 <&3 >/dev/null 2>&1
             grep my_rng- /proc/self/fdinfo/3
             exec 4</dev/my_rng_driver2; grep my_rng- /proc/self/fdinfo/4; exec 4<&-
             cd /sys/kernel/debug; grep -r . my_rng_driver1 | sort
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
         my_rng_driver1/device:0000:00:07.0\n\
         my_rng_driver1/generator:chacha20\n\
         my_rng_driver1/seeds:0\n\
         my_rng_driver1/words:0\n\
         none\n"
    );
}

/// Enabled once, and able to reach memory, only while the driver is bound to it.
#[test]
fn an_unbound_device_is_disabled() {
    let disabled = Guest::new()
        .sh("address=$(cat /sys/kernel/debug/my_rng_driver/device)
             show() {
                 cd /sys/bus/pci/devices/$address
                 echo $(cat enable) $(($(od -An -tu1 -j4 -N1 config) & 4))
             }
             show
             for i in 1 2 3; do
                 echo $address >/sys/bus/pci/drivers/my_rng/unbind; show
                 echo $address >/sys/bus/pci/drivers/my_rng/bind; show
             done")
        .success();
    assert_eq!(disabled.text(), "1 4\n0 0\n1 4\n0 0\n1 4\n0 0\n1 4\n");
}
