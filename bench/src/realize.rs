// SPDX-License-Identifier: GPL-2.0-or-later

//! How long QEMU takes to make a device: `device_add`'s answer, less that of a command that does nothing.
//! That is its creation, its realization and its reset, the way onto the bus included; and for the
//! first one, its class.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::Error;
use crate::results::Results;
use crate::stats::Summary;

/// How many devices a figure is of; the last is as many as fit on the bus.
pub const COUNTS: [usize; 3] = [1, 8, 30];

/// The devices that are made: those of the same measure come one after the other.
pub const DEVICES: [&str; 3] = ["my_rng", "my-rng-twin", "edu"];

/// Adds a sample for each device, of a QEMU of its own.
pub fn sample(results: &mut Results, qemu: &Path) -> Result<(), Error> {
    for device in DEVICES {
        let mut qemu = Qemu::start(qemu)?;
        let (mut made, mut nothing) = (Vec::new(), Vec::new());
        for _ in 0..COUNTS.into_iter().max().unwrap_or_default() {
            nothing.push(qemu.timed(&json!({ "execute": "query-name" }))?);
            let add = json!({ "execute": "device_add", "arguments": { "driver": device } });
            made.push(qemu.timed(&add)?);
        }
        let way = Summary::of(&nothing).map_or(0.0, |summary| summary.median);
        for count in COUNTS {
            let total: f64 = made.iter().take(count).map(|time| time - way).sum();
            results.add(&format!("realize.{device}.{count}"), total);
        }
    }
    Ok(())
}

/// Whether a device can be made.
pub fn can_make(qemu: &Path, driver: &str, generator: &str) -> Result<bool, Error> {
    let arguments = json!({ "driver": driver, "generator": generator });
    let answer =
        Qemu::start(qemu)?.execute(&json!({ "execute": "device_add", "arguments": arguments }))?;
    Ok(answer.get("return").is_some())
}

/// A QEMU without a guest, told what to do on its standard input.
struct Qemu {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Qemu {
    fn start(qemu: &Path) -> Result<Self, Error> {
        // It ends with us, however that ends.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(qemu)
            .args(["-machine", "pc,accel=qtest", "-nodefaults", "-display"])
            .args(["none", "-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("setpriv (util-linux) cannot be run: {error}"))?;
        let commands = child.stdin.take().ok_or("QEMU has no input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("QEMU has no output")?);
        let mut qemu = Self {
            child,
            commands,
            answers,
        };
        qemu.execute(&json!({ "execute": "qmp_capabilities" }))?;
        Ok(qemu)
    }

    /// How long a command takes that must succeed, in microseconds.
    fn timed(&mut self, command: &Value) -> Result<f64, Error> {
        let start = Instant::now();
        let answer = self.execute(command)?;
        let time = start.elapsed();
        match answer.get("error") {
            None => Ok(time.as_secs_f64() * 1e6),
            Some(error) => Err(format!("QEMU refuses {command}: {error}").into()),
        }
    }

    /// The answer to a command; greetings and events are passed over.
    fn execute(&mut self, command: &Value) -> Result<Value, Error> {
        let gone = |error| format!("QEMU does not answer {command}: {error}");
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .map_err(gone)?;
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line).map_err(gone)?;
            if line.is_empty() {
                return Err("QEMU ended before its time".into());
            }
            let message: Value = serde_json::from_str(&line)?;
            if message.get("return").is_some() || message.get("error").is_some() {
                return Ok(message);
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
