// SPDX-License-Identifier: GPL-2.0-or-later

//! Debian's own, unmodified kernel, which has no driver of the device.

use my_rng_e2e::Machine;
use my_rng_e2e::answers::{libc, rounds};

use crate::{no_complaints, start};

#[test]
fn app_needs_no_driver() {
    let mut debian = start(Machine::debian_kernel().device("my_rng,addr=4"));
    let console = &mut debian.console;
    let release = console.run("uname -r").concat();
    let suffix = console.run("echo -$(dpkg --print-architecture)").concat();
    assert!(release.ends_with(&suffix), "{release}");
    let entry = console.run("lspci -k -d 1234:cafe").join("\n");
    assert!(entry.contains("1234:cafe"), "{entry}");
    assert!(!entry.contains("Kernel"), "a driver or module: {entry}");
    let error = console.run("my-rng 2>&1 || test $? = 3").concat();
    assert!(error.contains("open `pci` instead as root"), "{error}");

    let device = "/sys/bus/pci/devices/0000:00:04.0";
    let state = format!("cat {device}/enable {device}/driver_override");
    let before = console.run(&state);
    assert_eq!(console.run("my-rng --device pci"), rounds(&libc(0)));
    let numbers = libc(0x42).map(|number| number.to_string());
    let read = "read 5 --seed 0x42";
    assert_eq!(
        console.run(&format!("my-rng -d pci:00:04.0 {read}")),
        numbers
    );
    assert_eq!(
        console.run(&format!("runuser -u user -- sudo my-rng -d pci {read}")),
        numbers
    );
    let error = console.run("runuser -u user -- my-rng -d pci read 2>&1 || test $? = 4");
    assert!(error.concat().contains("`sudo`"), "{error:?}");
    assert_eq!(console.run(&state), before);
    no_complaints(&mut debian);

    // As with Secure Boot. There is no way back.
    let console = &mut debian.console;
    console.run("echo integrity >/sys/kernel/security/lockdown");
    let error = console.run("my-rng -d pci 2>&1 || test $? = 4").concat();
    assert!(error.contains("the kernel is locked down"), "{error}");
    assert_eq!(console.run(&state), before);
    debian.quit();
}
