// SPDX-License-Identifier: GPL-2.0-or-later

//! The device, the driver and the app on Debian, as a user installs them there: with systemd, udev, sudo, and
//! other programs that use random numbers.
//!
//! `scripts/debian-vm.sh image` makes the disk.

mod boot;
mod hwrng;
mod numbers;
mod own_kernel;
mod package;
mod pictures;
mod stock;

use my_rng_e2e::{Machine, Process, complaints};

/// Starts a machine, and waits for root's shell.
fn start(machine: Machine) -> Process {
    let mut debian = machine.start();
    log_in(&mut debian);
    debian
}

/// Waits until Debian is up, and for root's shell, which must not edit its lines. Checks that nothing has failed.
fn log_in(debian: &mut Process) {
    debian.console.shell();
    debian
        .console
        .shell_line("exec env TERM=dumb SYSTEMD_PAGER= PS1='gue''st:~# ' sh");
    debian.console.shell();
    let state = debian.console.run(
        "systemctl is-system-running --wait; udevadm settle; systemctl --failed --plain --no-legend; \
         systemctl is-active multi-user.target",
    );
    assert_eq!(state, ["running", "active"]);
    no_complaints(debian);
}

/// Checks that the kernel has not reported a fault of its own.
fn no_complaints(debian: &mut Process) {
    let log = debian.console.run("dmesg").join("\n");
    let found = complaints(&log);
    assert!(found.is_empty(), "{found:#?}\n{log}");
}
