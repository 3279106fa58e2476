// SPDX-License-Identifier: GPL-2.0-or-later

//! The device in QEMU without a guest, driven over QEMU's own test protocol.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use my_rng_e2e::{abi, built, known_answers};
use serde_json::json;
use tempfile::TempDir;

use crate::qmp::Qmp;

/// Where the tests put the device's registers.
const BASE: u64 = 0xfebf_0000;

/// A QEMU that runs no guest and does what it is told.
struct Qemu {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    qmp: Qmp,
    _folder: TempDir,
}

impl Qemu {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("qmp");
        let mut child = Command::new(built("qemu"))
            .args([
                "-nodefaults",
                "-display",
                "none",
                "-machine",
                "pc,accel=qtest",
            ])
            .args(["-device", "my_rng,addr=04.0", "-qtest", "stdio"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("make has built QEMU");
        let mut commands = child.stdin.take().expect("stdin");
        let mut answers = BufReader::new(child.stdout.take().expect("stdout")).lines();
        // An answer says that QEMU has started, and so listens at its socket.
        writeln!(commands, "clock_step 1").expect("QEMU takes commands");
        answers.next().expect("an answer").expect("text");
        let mut qemu = Self {
            qmp: Qmp::connect(&socket),
            child,
            commands,
            answers,
            _folder: folder,
        };
        qemu.enable();
        qemu
    }

    /// What the firmware would do: an address for the BAR, and memory decoding on.
    fn enable(&mut self) {
        let slot = 0x8000_0000_u64 | 4 << 11;
        for (register, size, value) in [(0x10 + 4 * u64::from(abi::BAR), 'l', BASE), (0x04, 'w', 2)]
        {
            self.qtest(&format!("outl 0xcf8 {:#x}", slot | register));
            self.qtest(&format!("out{size} 0xcfc {value:#x}"));
        }
    }

    fn qtest(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("QEMU takes commands");
        // Interrupts are told in between.
        let answer = self
            .answers
            .find(|line| line.as_ref().is_ok_and(|line| !line.starts_with("IRQ")))
            .expect("an answer")
            .expect("text");
        answer
            .strip_prefix("OK")
            .unwrap_or_else(|| panic!("{command}: {answer}"))
            .trim()
            .to_owned()
    }

    fn seed(&mut self, seed: u32) {
        self.qtest(&format!(
            "writel {:#x} {seed:#x}",
            BASE + abi::REG_SEED as u64
        ));
    }

    fn number(&mut self) -> u32 {
        let answer = self.qtest(&format!("readl {:#x}", BASE + abi::REG_RNG as u64));
        let digits = answer.strip_prefix("0x").expect("a hexadecimal number");
        u32::from_str_radix(digits.trim_start_matches('0'), 16).expect("a number of 32 bits")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reset_forgets_the_seed() {
    let mut qemu = Qemu::start();
    let seeded = &known_answers::LIBC[2];
    qemu.seed(seeded.seed);
    assert_eq!(qemu.number(), seeded.first[0]);
    qemu.qmp.execute("system_reset", json!({}));
    qemu.qmp.wait_for_event("RESET");
    qemu.enable();
    let unseeded = &known_answers::LIBC[1];
    assert_eq!(unseeded.seed, abi::DEFAULT_SEED);
    assert_eq!(qemu.number(), unseeded.first[0]);
}

#[test]
fn migration_is_refused_rather_than_losing_the_place() {
    let mut qemu = Qemu::start();
    let seeded = &known_answers::LIBC[2];
    qemu.seed(seeded.seed);
    assert_eq!(qemu.number(), seeded.first[0]);
    let reason = qemu
        .qmp
        .refused("migrate", json!({ "uri": "exec:cat >/dev/null" }));
    assert!(
        reason.contains("non-migratable") && reason.contains("my_rng"),
        "{reason}"
    );
    assert_eq!(qemu.number(), seeded.first[1]);
}
