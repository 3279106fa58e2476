// SPDX-License-Identifier: GPL-2.0-or-later

//! Takes the pictures of `docs/pictures/`: a screen on which Debian runs.

use std::path::Path;

use crate::Machine;

/// The picture of the login, in the QEMU that was built.
pub const UP: &str = "part_1.1.png";
/// The picture of `lspci -v`.
pub const LSPCI: &str = "part_1.2.png";
/// The picture of the self-test in the kernel's log.
pub const SELFTEST: &str = "part_1.3.png";

/// The prompt of the user who is logged in at the screen.
const PROMPT: &str = "user@guest:~$";

/// Takes all three into a directory.
pub fn take(folder: &Path) {
    user_space(folder);
    boot_log(folder);
}

/// Without the driver, so that lspci shows the device as the documentation does.
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
        // The machine's version is the version of QEMU.
        "cat /sys/class/dmi/id/{sys_vendor,product_name,product_version}",
    ] {
        debian.type_line(line);
        debian.screen_until(at_prompt);
    }
    debian.save_screen(&folder.join(UP));
    debian.type_line("clear");
    debian.screen_until(at_prompt);
    // Only the end fits on the screen.
    debian.type_line("sudo lspci -v | tail -n 19");
    debian.screen_until(at_prompt);
    debian.save_screen(&folder.join(LSPCI));
    debian.quit();
}

/// The kernel runs the self-test just before user space. A shell in place of systemd keeps it on the screen.
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
