// SPDX-License-Identifier: GPL-2.0-or-later

//! The device, the driver and the app on Debian, as a user has them who installs them there: with systemd,
//! udev, sudo, and other people's programs that take random numbers.
//!
//! The disk is made by `scripts/debian-vm.sh image`.

mod boot;
mod hwrng;
mod numbers;
mod pictures;

use my_rng_e2e::{Machine, Process, complaints};

/// A machine that is up, with a shell of root's.
fn start(machine: Machine) -> Process {
    let mut debian = machine.start();
    log_in(&mut debian);
    debian
}

/// Waits until Debian is up, and for a shell of root's which does not edit its lines; nothing has failed, and
/// neither has the kernel complained of itself.
fn log_in(debian: &mut Process) {
    debian.console.shell();
    debian
        .console
        .shell_line("exec env TERM=dumb SYSTEMD_PAGER= PS1='gue''st:~# ' sh");
    debian.console.shell();
    // With everything that udev was told of.
    let state = debian.console.run(
        "systemctl is-system-running --wait; udevadm settle; systemctl --failed --plain --no-legend; \
         systemctl is-active multi-user.target",
    );
    assert_eq!(state, ["running", "active"]);
    no_splat(debian);
}

/// Ends the test if the kernel has complained of itself.
fn no_splat(debian: &mut Process) {
    let log = debian.console.run("dmesg").join("\n");
    let found = complaints(&log);
    assert!(found.is_empty(), "{found:#?}\n{log}");
}

/// Puts the programs of a machine into the current folder: they are on the second disk.
const PROGRAMS: &str = "tar -xf /dev/vdb";
