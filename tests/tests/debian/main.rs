// SPDX-License-Identifier: GPL-2.0-or-later

//! The device, the driver and the app on Debian, as a user has them who installs them there: with systemd,
//! udev, sudo, and other people's programs that take random numbers.
//!
//! The disk is made by `scripts/debian-vm.sh image`.

mod boot;
mod hwrng;
mod numbers;
mod pictures;

use std::fs;
use std::process::Command;

use my_rng_e2e::{Machine, Process, complaints, guest_program};

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

/// Adds a disk that holds the programs compiled from `guest/NAME.c`; [`PROGRAMS`] unpacks it.
fn with_programs(machine: Machine, names: &[&str]) -> Machine {
    let archive = machine.folder().join("programs.tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive);
    for name in names {
        let program = guest_program(name);
        let folder = program.parent().expect("a folder").to_owned();
        tar.arg("-C").arg(folder).arg(name);
    }
    assert!(tar.status().expect("tar can be run").success());
    assert!(fs::metadata(&archive).is_ok_and(|archive| archive.len() > 0));
    let archive = archive.display().to_string().replace(',', ",,");
    machine
        .arg("-drive")
        .arg(format!(
            "file={archive},format=raw,readonly=on,if=none,id=programs"
        ))
        .device("virtio-blk-pci,drive=programs,addr=8")
}

/// Puts those programs into the current folder.
const PROGRAMS: &str = "tar -xf /dev/vdb";
