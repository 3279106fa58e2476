// SPDX-License-Identifier: GPL-2.0-or-later

//! The one virtual machine, and what its guest says.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use my_rng_vm::job::Work;
use my_rng_vm::{Console, GuestFile, Vm};

use crate::results::{Results, Said};
use crate::{Error, native};

/// The guest's half.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench"));

/// As many readers at once as a figure is of.
const MANY: usize = 30;

/// What the machine is made of.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The QEMU that has the twin.
    pub qemu: &'a Path,
    /// Where the modules of the guest are.
    pub modules: &'a Path,
    /// The generators that the device has.
    pub generators: &'a [&'a str],
    /// How often everything is measured.
    pub rounds: u32,
}

/// Runs the guest, and adds what it measures.
pub fn run(setup: &Setup<'_>, results: Results) -> Result<Results, Error> {
    let folder = tempfile::Builder::new()
        .prefix("my-rng-bench-")
        .tempdir()
        .map_err(|error| format!("there can be no temporary folder: {error}"))?;
    let program = folder.path().join("bench");
    fs::write(&program, PROGRAM)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let go = folder.path().join("go");

    let mut vm = Vm::from_build()?;
    vm.qemu = setup.qemu.to_owned();
    vm.smp = 4;
    vm.mem = "512M".into();
    vm.timeout = Some(Duration::from_secs(120 + 30 * u64::from(setup.rounds)));
    let file = |host: PathBuf, guest: &str| GuestFile {
        host,
        guest: guest.into(),
    };
    vm.files = vec![
        file(program, "/bench/bench"),
        file(
            setup.modules.join("my_rng_twin.ko"),
            "/bench/my_rng_twin.ko",
        ),
        file(setup.modules.join("virtio-rng.ko"), "/bench/virtio-rng.ko"),
    ];
    let (devices, names) = devices(setup.generators);
    vm.devices = devices;
    let mut socket = std::ffi::OsString::from("socket,id=go,server=on,wait=off,path=");
    socket.push(&go);
    vm.qemu_args = vec![
        "-chardev".into(),
        socket,
        "-device".into(),
        "virtserialport,bus=my-rng-vm.0,chardev=go,name=my-rng-bench".into(),
    ];
    vm.interrupt.on_signals()?;

    let (sender, lines) = channel();
    let interrupt = vm.interrupt.clone();
    let rounds = setup.rounds;
    let listener = thread::spawn(move || {
        let heard = listen(&lines, &go, rounds, results);
        if heard.is_err() {
            // The guest would wait for ever.
            interrupt.raise(rustix::process::Signal::TERM.as_raw());
        }
        heard
    });
    let errors = Captured::default();
    let mut argv = vec!["/bench/bench".to_owned(), setup.rounds.to_string()];
    argv.extend(names);
    let ended = vm
        .start(
            Work::Run(argv.into_iter().map(Into::into).collect()),
            Console::Streams {
                stdout: Box::new(Lines {
                    sender,
                    pending: Vec::new(),
                }),
                stderr: Box::new(errors.clone()),
            },
        )
        .and_then(my_rng_vm::Running::wait);
    let heard = listener.join().map_err(|_| "the listener panicked")?;
    // What the listener says comes first: it may be why the machine was ended.
    let results = heard?;
    let ended = ended?;
    if ended.code() != 0 {
        return Err(format!(
            "the guest's program ended with {}: {}",
            ended.code(),
            errors.text().trim()
        )
        .into());
    }
    Ok(results)
}

/// The devices, and what the guest is told of where they are.
fn devices(generators: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut devices = Vec::new();
    let mut names = Vec::new();
    let mut slot = 4;
    let mut put = |device: String, name: &str| {
        devices.push(format!("{device},addr={slot:x}"));
        names.push(format!("{name}=0000:00:{slot:02x}.0"));
        slot += 1;
    };
    put("my_rng".to_owned(), "rust");
    put("my_rng".to_owned(), "c");
    put("my-rng-twin".to_owned(), "twin");
    put("edu".to_owned(), "edu");
    for generator in generators {
        put(format!("my_rng,generator={generator}"), generator);
    }
    put("virtio-rng-pci".to_owned(), "virtio");
    put(
        "pci-bridge,id=many,chassis_nr=1,shpc=off".to_owned(),
        "many",
    );
    // The fastest that there is, so that what they share is what limits them.
    let fastest = ["xoshiro256pp", "chacha8", "chacha20"]
        .into_iter()
        .find(|name| generators.contains(name))
        .unwrap_or("libc");
    devices.extend(
        (1..=MANY).map(|slot| format!("my_rng,generator={fastest},bus=many,addr={slot:x}")),
    );
    (devices, names)
}

/// Takes note of what the guest says; where it waits, measures here.
fn listen(
    lines: &Receiver<String>,
    go: &Path,
    rounds: u32,
    mut results: Results,
) -> Result<Results, Error> {
    let mut port = None;
    let mut round = 0;
    for line in lines {
        // Now QEMU listens. Without a connection the guest would be told that nothing will come.
        let port = match &mut port {
            Some(port) => port,
            None => port
                .insert(UnixStream::connect(go).map_err(|error| {
                    format!("{} cannot be connected to: {error}", go.display())
                })?),
        };
        if results.guest_says(&line)? == Said::Idle {
            native::sample(&mut results);
            round += 1;
            // For whoever watches.
            let _ = writeln!(io::stderr(), "round {round} of {rounds}");
            port.write_all(b"g")?;
        }
    }
    Ok(results)
}

/// Sends on what is written, line by line.
struct Lines {
    sender: Sender<String>,
    pending: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&self.pending).into_owned();
                self.pending.clear();
                // A listener that is gone has said why.
                let _ = self.sender.send(line);
            } else {
                self.pending.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Captured(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(|error| error.into_inner());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(|error| error.into_inner());
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_where_the_guest_is_told() {
        let (devices, names) = devices(&["libc", "chacha8"]);
        assert_eq!(devices[1], "my_rng,addr=5");
        assert_eq!(names[1], "c=0000:00:05.0");
        assert_eq!(devices[5], "my_rng,generator=chacha8,addr=9");
        assert_eq!(names[5], "chacha8=0000:00:09.0");
        assert_eq!(devices.len(), names.len() + MANY);
        assert_eq!(
            devices.last().unwrap(),
            "my_rng,generator=chacha8,bus=many,addr=1e"
        );
    }

    #[test]
    fn lines_are_passed_on_whole() {
        let (sender, lines) = channel();
        let mut writer = Lines {
            sender,
            pending: Vec::new(),
        };
        writer.write_all(b"a\nb").unwrap();
        writer.write_all(b"c\n").unwrap();
        drop(writer);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["a", "bc"]);
    }
}
