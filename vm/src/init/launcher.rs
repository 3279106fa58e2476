// SPDX-License-Identifier: GPL-2.0-or-later

//! The ports to the launcher, without which the guest powers off.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::system::{RebootCommand, reboot};

use crate::protocol::{self, CONTROL_PORT, FromGuest, FromHost, OPENING, Stream};

/// How long the ports may take to appear. The kernel finds them in the background.
const PORTS_LIMIT: Duration = Duration::from_secs(60);

/// Where the ports are listed by the names of their devices.
const PORTS: &str = "/sys/class/virtio-ports";

/// The ports to the launcher.
pub(super) struct Launcher {
    control: File,
    pub stdout: File,
    pub stderr: File,
    answers: Receiver<FromHost>,
}

impl Launcher {
    pub fn connect() -> Result<Self, String> {
        let deadline = Instant::now() + PORTS_LIMIT;
        let control = open_port(CONTROL_PORT, deadline)?;
        let stdout = open_port(Stream::Stdout.port(), deadline)?;
        let stderr = open_port(Stream::Stderr.port(), deadline)?;
        let (sender, answers) = channel();
        let mut lines = BufReader::new(
            control
                .try_clone()
                .map_err(|error| format!("cannot read the control port: {error}"))?,
        );
        thread::spawn(move || {
            loop {
                match protocol::receive(&mut lines) {
                    Ok(Some(FromHost::Go)) => drop(sender.send(FromHost::Go)),
                    // At the end of the port, the launcher is gone.
                    Ok(Some(FromHost::Bye) | None) | Err(_) => power_off(),
                }
            }
        });
        Ok(Self {
            control,
            stdout,
            stderr,
            answers,
        })
    }

    pub fn say(&self, message: &FromGuest) {
        // If this fails, the launcher is gone, which the thread above sees.
        let _ = protocol::send(&self.control, message);
    }

    /// Reports the result, and waits until the thread above powers off.
    pub fn last_word(&self, message: &FromGuest) -> ! {
        self.say(message);
        loop {
            thread::park();
        }
    }

    /// Waits until all that the kernel has logged is on the serial console, which a kernel thread
    /// writes: logs one more line, and waits until the launcher has seen it.
    pub fn wait_for_kernel_log(&self, line: &str) {
        if fs::write("/dev/kmsg", format!("<6>vm-init: {line}\n")).is_ok() {
            self.say(&FromGuest::Mark(format!("vm-init: {line}")));
            let _ = self.answers.recv();
        }
    }
}

/// Opens a virtio-serial port by its name and writes the opening line, which waits until the launcher
/// is connected.
fn open_port(name: &str, deadline: Instant) -> Result<File, String> {
    loop {
        if let Some(device) = find_port(Path::new(PORTS), name) {
            let path = Path::new("/dev").join(device);
            let opened = File::options().read(true).write(true).open(&path);
            let mut port =
                opened.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            return port
                .write_all(OPENING.as_bytes())
                .map(|()| port)
                .map_err(|error| format!("cannot write to the port {name}: {error}"));
        }
        if Instant::now() > deadline {
            return Err(format!(
                "there is no virtio-serial port named {name}: boot this guest with vm/run"
            ));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The device whose `name` file says `name`.
fn find_port(class: &Path, name: &str) -> Option<OsString> {
    fs::read_dir(class)
        .ok()?
        .flatten()
        .find(|entry| {
            fs::read_to_string(entry.path().join("name")).is_ok_and(|found| found.trim() == name)
        })
        .map(|entry| entry.file_name())
}

/// Powers the guest off.
pub(super) fn power_off() -> ! {
    rustix::fs::sync();
    loop {
        let _ = reboot(RebootCommand::PowerOff);
        // If that is not possible: a restart ends QEMU, too.
        let _ = reboot(RebootCommand::Restart);
        thread::park_timeout(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let class = tempfile::tempdir().unwrap();
        for (device, name) in [("vport0p1", "one\n"), ("vport0p2", "two\n")] {
            fs::create_dir(class.path().join(device)).unwrap();
            fs::write(class.path().join(device).join("name"), name).unwrap();
        }
        fs::create_dir(class.path().join("vport0p3")).unwrap();
        assert_eq!(find_port(class.path(), "two"), Some("vport0p2".into()));
        assert_eq!(find_port(class.path(), "three"), None);
        assert_eq!(find_port(Path::new("/nowhere"), "one"), None);
    }
}
