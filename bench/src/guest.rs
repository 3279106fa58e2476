// SPDX-License-Identifier: GPL-2.0-or-later

//! The virtual machine, and what its guest prints.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use my_rng_vm::capture::Captured;
use my_rng_vm::job::Work;
use my_rng_vm::{Console, GuestFile, Running, Vm};

use crate::names::generators;
use crate::results::{Next, Results};
use crate::{Error, native};

/// The guest's half.
const PROGRAM: &str = concat!(env!("OUT_DIR"), "/bench");

/// The number of the port on which the host answers.
const PORT: u32 = 9;

/// Makes a device keep QEMU's big lock.
const OFF: &str = ",parallel=off";

/// The most readers at once.
const MANY: usize = 30;

/// What a measurement needs.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The QEMU that has the device's twin.
    pub qemu: &'a Path,
    /// The directory with the guest's modules.
    pub modules: &'a Path,
    /// Instead of the kernel and the initramfs that `make` built: those of this directory. Then only latencies are
    /// measured.
    pub other: Option<&'a Path>,
    /// How often everything is measured.
    pub rounds: u32,
}

/// Runs the guest, and adds what it measures.
pub fn run(setup: &Setup<'_>, mut results: Results) -> Result<Results, Error> {
    let folder = tempfile::Builder::new()
        .prefix("my-rng-bench-")
        .tempdir()
        .map_err(|error| format!("cannot create a temporary directory: {error}"))?;
    let go = folder.path().join("go");

    let mut vm = Vm::from_build()?;
    vm.qemu = setup.qemu.to_owned();
    if let Some(other) = setup.other {
        vm.kernel = other.join(vm.kernel.strip_prefix(vm.initramfs.with_file_name(""))?);
        vm.initramfs = other.join("initramfs.cpio");
    }
    vm.smp = 4;
    vm.mem = "512M".into();
    vm.timeout = Some(Duration::from_secs(120 + 30 * u64::from(setup.rounds)));
    vm.files = ["my_rng_twin.ko", "virtio-rng.ko"]
        .map(|name| file(setup.modules.join(name), name))
        .into();
    vm.files.push(file(PROGRAM.into(), "bench"));
    let (devices, names) = devices();
    vm.devices = devices;
    let mut socket = OsString::from("socket,id=go,server=on,wait=off,path=");
    socket.push(&go);
    vm.qemu_args = vec![
        "-chardev".into(),
        socket,
        "-device".into(),
        format!("virtserialport,bus=my-rng-vm.0,chardev=go,nr={PORT},name=my-rng-bench").into(),
    ];
    vm.interrupt.on_signals()?;
    results
        .machine
        .insert("accelerator".to_owned(), vm.accelerator()?.to_string());

    let (stdout, lines) = UnixStream::pair()?;
    let errors = Captured::default();
    let mut argv = ["/bench/bench".to_owned(), setup.rounds.to_string()].to_vec();
    argv.push(format!("/dev/vport*p{PORT}"));
    argv.push(
        if setup.other.is_some() {
            "latencies"
        } else {
            "all"
        }
        .to_owned(),
    );
    argv.extend(names);
    let rounds = setup.rounds;
    let listener = thread::spawn(move || listen(lines, &go, rounds, results));
    let ended = vm
        .start(
            Work::Run(argv.into_iter().map(Into::into).collect()),
            Console::Streams {
                stdout: Box::new(stdout),
                stderr: Box::new(errors.clone()),
            },
        )
        .and_then(Running::wait);
    // The listener's error comes first: without a listener, the guest's program fails too.
    let results = listener.join().map_err(|_| "the listener panicked")??;
    match ended?.code() {
        0 => Ok(results),
        code => Err(format!(
            "the guest's program ended with {code}: {}",
            errors.text().trim()
        )
        .into()),
    }
}

fn file(host: PathBuf, name: &str) -> GuestFile {
    GuestFile {
        host,
        guest: Path::new("/bench").join(name),
    }
}

/// The devices, and their addresses as the guest's program takes them.
fn devices() -> (Vec<String>, Vec<String>) {
    let mut devices = Vec::new();
    let mut names = Vec::new();
    let mut put = |device: &str, name: &str| {
        let slot = 4 + devices.len();
        devices.push(format!("{device},addr={slot:x}"));
        names.push(format!("{name}=0000:00:{slot:02x}.0"));
    };
    put("my_rng", "rust");
    put("my_rng", "c");
    put("my-rng-twin", "twin");
    put("edu", "edu");
    for generator in generators() {
        put(&format!("my_rng,generator={generator}"), generator);
    }
    for (generator, name) in [
        ("xoshiro256pp", "off.xoshiro256pp"),
        ("xoshiro256pp", "off.second"),
        ("chacha8", "off.chacha8"),
        ("host", "off.host"),
    ] {
        put(&format!("my_rng,generator={generator}{OFF}"), name);
    }
    put("virtio-rng-pci", "virtio");
    put("pci-bridge,id=many,chassis_nr=1,shpc=off", "many");
    // With the fastest generator, so that what these devices share limits them.
    devices.extend(
        (1..=MANY).map(|slot| format!("my_rng,generator=xoshiro256pp,bus=many,addr={slot:x}")),
    );
    (devices, names)
}

/// Adds what the guest prints. Measures here when it waits.
fn listen(
    lines: UnixStream,
    go: &Path,
    rounds: u32,
    mut results: Results,
) -> Result<Results, Error> {
    let mut port = None;
    let mut round = 0;
    for line in BufReader::new(lines).lines() {
        // The guest is up, so QEMU listens. The guest must not find the port without a connection.
        let port = match &mut port {
            Some(port) => port,
            None => port.insert(
                UnixStream::connect(go)
                    .map_err(|error| format!("cannot connect to {}: {error}", go.display()))?,
            ),
        };
        if results.guest_says(&line?)? == Next::Measure {
            native::sample(&mut results);
            round += 1;
            let _ = writeln!(io::stderr(), "round {round} of {rounds}");
            port.write_all(b"g")?;
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_where_the_guest_is_told() {
        let (devices, names) = devices();
        assert_eq!(devices[1], "my_rng,addr=5");
        assert_eq!(names[1], "c=0000:00:05.0");
        assert_eq!(devices[5], "my_rng,generator=chacha8,addr=9");
        assert_eq!(names[5], "chacha8=0000:00:09.0");
        assert_eq!(devices.len(), names.len() + MANY);
        assert_eq!(
            devices.last().unwrap(),
            "my_rng,generator=xoshiro256pp,bus=many,addr=1e"
        );
    }
}
