// SPDX-License-Identifier: GPL-2.0-or-later

//! The driver and the kernel's `hw_random`: which devices are registered, and that others are not read.

use my_rng_e2e::answers::{Kind, known};

use crate::watched;

const HW_RANDOM: &str = "cd /sys/class/misc/hw_random;";

#[test]
fn host_entropy_is_registered_and_read() {
    let read = watched::guest("")
        .device("my_rng,generator=host")
        .sh(&format!(
            "{HW_RANDOM} cat rng_available rng_current rng_quality
             head -c 1000 /dev/hwrng | wc -c
             # Two reads give different bytes.
             test $(head -c 32 /dev/hwrng | md5sum | cut -c 1-32) != $(head -c 32 /dev/hwrng | md5sum | cut -c 1-32)
             exec 3</dev/my_rng_driver
             grep hwrng /proc/self/fdinfo/3
             exec 3<&-
             rmmod my_rng
             cat rng_available rng_current"
        ))
        .success();
    assert_eq!(
        read.text(),
        "my_rng_driver none\nmy_rng_driver\n1024\n1000\nmy_rng-hwrng:\tyes\nnone\nnone\n"
    );
}

/// The kernel itself reads from a registered device: a seeded stream would lose numbers.
#[test]
fn seeded_generators_are_not_registered() {
    let not_registered = watched::guest("")
        .device("my_rng,generator=chacha20")
        .device("my_rng")
        .device("my_rng,generator=chacha8")
        .device("my_rng,generator=xoshiro256pp")
        .sh(&format!(
            "{HW_RANDOM} my-rng seed 0x42; my-rng read 2; cat rng_available
             if head -c 1 /dev/hwrng; then exit 1; fi
             my-rng read 3; cat rng_available"
        ))
        .success();
    let [a, b, c, d, e] = known(Kind::ChaCha20, 0x42).first;
    assert_eq!(
        not_registered.text(),
        format!("{a}\n{b}\nnone\n{c}\n{d}\n{e}\nnone\n")
    );
}

#[test]
fn a_seeded_generator_is_registered_on_request_with_the_least_quality() {
    let registered = watched::guest("")
        .device("my_rng")
        .device("my_rng,generator=chacha20")
        .device("my_rng,generator=xoshiro256pp")
        .device("my_rng,generator=chacha8")
        .switch("--no-module")
        .sh(&format!(
            "{HW_RANDOM} insmod /lib/modules/my_rng.ko seeded_hwrng=1
             cat rng_available rng_current rng_quality
             head -c 100 /dev/hwrng | wc -c
             dmesg | grep -c 'keep no secrets'
             echo 0 >rng_quality; cat rng_current
             echo 0 >rng_quality; cat rng_quality"
        ))
        .success();
    // Never `libc` and `xoshiro256pp`, the first and the third device.
    assert_eq!(
        registered.text(),
        "my_rng_driver1 my_rng_driver3 none\nmy_rng_driver1\n1\n100\n2\nmy_rng_driver3\n0\n"
    );
}

#[test]
fn each_device_has_a_name_and_another_replaces_an_unbound_one() {
    let names = watched::guest("")
        .device("my_rng,generator=host")
        .device("my_rng,generator=host")
        .sh(&format!(
            "{HW_RANDOM} cat rng_available
             echo my_rng_driver1 >rng_current; cat rng_current rng_selected
             address=$(cat /sys/kernel/debug/my_rng/my_rng_driver1/device)
             echo $address >/sys/bus/pci/drivers/my_rng/unbind
             cat rng_available rng_current
             head -c 100 /dev/hwrng | wc -c
             echo $address >/sys/bus/pci/drivers/my_rng/bind
             cat rng_available"
        ))
        .success();
    assert_eq!(
        names.text(),
        "my_rng_driver my_rng_driver1 none\nmy_rng_driver1\n1\n\
         my_rng_driver none\nmy_rng_driver\n100\nmy_rng_driver my_rng_driver1 none\n"
    );
}

/// Programs such as `rngd` have `/dev/hwrng` open, in the middle of a read.
#[test]
fn a_reader_of_hwrng_outlives_the_device() {
    let outlived = watched::guest("")
        .option("--smp", "2")
        .device("my_rng,generator=host")
        .sh("mkfifo /begun
             { head -c 100 >/dev/null; echo begun >/begun
               if cat >/dev/null; then exit 1; fi; echo ended; } </dev/hwrng >/said 2>&1 &
             read _ </begun
             rmmod my_rng
             wait $!
             cat /said; ls /sys/module | grep -c my_rng || true")
        .success();
    assert_eq!(
        outlived.text(),
        "cat: read error: No such device\nended\n0\n"
    );
}
