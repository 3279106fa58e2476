// SPDX-License-Identifier: GPL-2.0-or-later

//! The pictures of `docs/pictures/`: they are taken of a screen on which Debian runs.

use std::path::Path;

use crate::Machine;

/// The machine is up, in the QEMU that was built.
pub const UP: &str = "part_1.1.png";
/// What `lspci -v` says of the device.
pub const LSPCI: &str = "part_1.2.png";
/// The self-test in the kernel's log.
pub const SELFTEST: &str = "part_1.3.png";

/// The prompt of the user who is logged in at the screen.
const PROMPT: &str = "user@guest:~$";

/// Takes the three of them, into a folder.
pub fn take(folder: &Path) {
    user_space(folder);
    boot_log(folder);
}

/// With the driver left out, the device is shown as one that no driver is known for.
fn user_space(folder: &Path) {
    let mut debian =
        Machine::debian("console=tty0 vt.global_cursor_default=0 modprobe.blacklist=my_rng")
            .args(["-vga", "std"])
            .device("my_rng")
            .start();
    let at_prompt = |last: &str| last == PROMPT;
    debian.screen_until(at_prompt);
    for line in [
        "uname -srvm",
        // The version of the machine is that of the QEMU.
        "cat /sys/class/dmi/id/{sys_vendor,product_name,product_version}",
    ] {
        debian.type_line(line);
        debian.screen_until(at_prompt);
    }
    debian.save_screen(&folder.join(UP));
    debian.type_line("clear");
    debian.screen_until(at_prompt);
    // The end of it, for the whole is longer than the screen is high.
    debian.type_line("sudo lspci -v | tail -n 19");
    debian.screen_until(at_prompt);
    debian.save_screen(&folder.join(LSPCI));
    debian.quit();
}

/// The self-test is the last that the kernel does before user space begins; a shell in the place of systemd
/// leaves it on the screen.
fn boot_log(folder: &Path) {
    let mut debian = Machine::debian(
        "console=tty0 vt.global_cursor_default=0 loglevel=7 printk.time=0 init=/bin/sh",
    )
    .args(["-vga", "std"])
    .device("my_rng")
    .start();
    debian.screen_until(|last| last == "#");
    debian.save_screen(&folder.join(SELFTEST));
    debian.quit();
}
