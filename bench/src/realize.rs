// SPDX-License-Identifier: GPL-2.0-or-later

//! How long QEMU takes to make a device: the time of `device_add`, minus that of a command that does nothing.
//! This includes creating, realizing and resetting the device and plugging it into the bus; for the first device
//! also the setup of its class.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use my_rng_vm::qemu::{self, BASICS, Foreground};
use my_rng_vm::qmp::Qmp;
use serde_json::{Value, json};

use crate::Error;
use crate::results::Results;
use crate::stats::Summary;

/// A figure is of so many devices.
pub const COUNTS: [usize; 3] = [1, 8, 30];

/// The devices that are made.
pub const DEVICES: [&str; 3] = ["my_rng", "my-rng-twin", "edu"];

/// How long QEMU may be silent.
const LIMIT: Duration = Duration::from_secs(60);

/// Adds a sample for each device, from a new QEMU without a guest.
pub fn sample(results: &mut Results, qemu: &Path, machine: &str) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    for device in DEVICES {
        measure(results, qemu, machine, device, folder.path(), &log).map_err(|error| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("{error}; QEMU printed: {log}")
        })?;
    }
    Ok(())
}

fn measure(
    results: &mut Results,
    qemu: &Path,
    machine: &str,
    device: &str,
    folder: &Path,
    log: &Path,
) -> Result<(), Error> {
    let socket = folder.join(device);
    let listener = UnixListener::bind(&socket)?;
    let mut args = BASICS.map(OsString::from).to_vec();
    args.extend(["-machine".into(), format!("{machine},accel=qtest").into()]);
    // On every machine devices can be plugged there, into slots from 1.
    args.extend(["-device", "pci-bridge,id=plug,chassis_nr=1,shpc=on", "-qmp"].map(OsString::from));
    args.push(format!("unix:{}", socket.display()).into());
    let process = qemu::Process::start(qemu, &args, &File::create(log)?, Foreground::Launcher)?;
    let stream = qemu::accept(&listener, &process.pidfd(), Some(LIMIT))?;
    let mut qmp = Qmp::new(stream.ok_or("QEMU did not connect")?)?;
    qmp.set_timeout(Some(LIMIT))?;

    let (mut made, mut nothing) = (Vec::new(), Vec::new());
    for slot in 1..=COUNTS.into_iter().max().unwrap_or_default() {
        nothing.push(timed(&mut qmp, "query-name", json!({}))?);
        let one = json!({ "driver": device, "bus": "plug", "addr": format!("{slot:x}") });
        made.push(timed(&mut qmp, "device_add", one)?);
    }
    let overhead = Summary::of(&nothing).map_or(0.0, |summary| summary.median);
    for count in COUNTS {
        let total: f64 = made.iter().take(count).map(|time| time - overhead).sum();
        results.add(&format!("realize.{device}.{count}"), total);
    }
    Ok(())
}

/// The time of a command, in microseconds.
fn timed(qmp: &mut Qmp, command: &str, arguments: Value) -> Result<f64, Error> {
    let start = Instant::now();
    qmp.execute(command, arguments)?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}
