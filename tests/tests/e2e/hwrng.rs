// SPDX-License-Identifier: GPL-2.0-or-later

//! The driver and the kernel's `hw_random`: who is offered, and that nobody else is read from.

use my_rng_e2e::known_answers;

use crate::watched;

const HW_RANDOM: &str = "cd /sys/class/misc/hw_random;";

#[test]
fn the_host_is_offered_and_read_from() {
    let read = watched::guest("")
        .option("--device", "my_rng,generator=host")
        .sh(&format!(
            "{HW_RANDOM} cat rng_available rng_current rng_quality
             head -c 1000 /dev/hwrng | wc -c
             # As many bytes once more, which are others.
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

/// The kernel reads by itself from what it is offered: a seeded stream would lack numbers then.
#[test]
fn seeded_generators_are_left_alone() {
    let answer = &known_answers::CHACHA20[2];
    let left_alone = watched::guest("")
        .option("--device", "my_rng,generator=chacha20")
        .option("--device", "my_rng")
        .option("--device", "my_rng,generator=chacha8")
        .option("--device", "my_rng,generator=xoshiro256pp")
        .sh(&format!(
            "{HW_RANDOM} my-rng seed {}; my-rng read 2; cat rng_available
             if head -c 1 /dev/hwrng; then exit 1; fi
             my-rng read 3; cat rng_available",
            answer.seed
        ))
        .success();
    let [a, b, c, d, e] = answer.first;
    assert_eq!(
        left_alone.text(),
        format!("{a}\n{b}\nnone\n{c}\n{d}\n{e}\nnone\n")
    );
}

#[test]
fn a_seeded_generator_is_offered_on_request_as_next_to_nothing() {
    let offered = watched::guest("")
        .option("--device", "my_rng")
        .option("--device", "my_rng,generator=chacha20")
        .option("--device", "my_rng,generator=xoshiro256pp")
        .option("--device", "my_rng,generator=chacha8")
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
    // Never `libc` and `xoshiro256pp`, which are the first and the third.
    assert_eq!(
        offered.text(),
        "my_rng_driver1 my_rng_driver3 none\nmy_rng_driver1\n1\n100\n2\nmy_rng_driver3\n0\n"
    );
}

#[test]
fn each_device_has_a_name_and_another_takes_over() {
    let names = watched::guest("")
        .option("--device", "my_rng,generator=host")
        .option("--device", "my_rng,generator=host")
        .sh(&format!(
            "{HW_RANDOM} cat rng_available
             echo my_rng_driver1 >rng_current; cat rng_current rng_selected
             address=$(cat /sys/kernel/debug/my_rng_driver1/device)
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

/// `rngd` and the like hold `/dev/hwrng` open and are in the middle of a read.
#[test]
fn a_reader_of_hwrng_outlives_the_device() {
    let outlived = watched::guest("")
        .option("--smp", "2")
        .option("--device", "my_rng,generator=host")
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
