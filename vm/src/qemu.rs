// SPDX-License-Identifier: GPL-2.0-or-later

//! A QEMU process, which never stays behind.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::Error;

/// The arguments that every QEMU gets: only our devices and settings, no window, and an end instead
/// of a reboot.
pub const BASICS: [&str; 5] = [
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
];

/// How long to wait for a killed process. The kernel may be unable to end it if the accelerator is
/// faulty.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Finds an executable by its path, or by its name in `PATH`.
pub fn find(name: &Path) -> Result<PathBuf, Error> {
    let executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let (found, place) = if name.as_os_str().as_encoded_bytes().contains(&b'/') {
        (executable(name).then(|| name.to_owned()), "")
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut candidates = env::split_paths(&path).map(|folder| folder.join(name));
        (candidates.find(|path| executable(path)), " in PATH")
    };
    found.ok_or_else(|| {
        Error::Host(format!(
            "{} is not an executable file{place}: name a QEMU with --qemu, or run `make`",
            name.display()
        ))
    })
}

/// A value for an option of the form `key=value,...`, where QEMU expects commas to be doubled.
pub fn option_value(value: &OsStr) -> OsString {
    let mut doubled = Vec::with_capacity(value.len());
    for byte in value.as_bytes() {
        doubled.push(*byte);
        if *byte == b',' {
            doubled.push(b',');
        }
    }
    OsString::from_vec(doubled)
}

/// The word in a shell's syntax.
pub(crate) fn shell_quoted(word: &OsStr) -> OsString {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(byte);
    let bytes = word.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return word.to_owned();
    }
    let mut quoted = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

/// Who uses the terminal while QEMU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreground {
    /// The launcher. QEMU has a process group of its own, so Ctrl-C does not reach it.
    Launcher,
    /// QEMU, for an interactive guest.
    Qemu,
}

/// A running QEMU. It is killed when this is dropped, or when the thread or the process ends that has
/// started it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    pidfd: Arc<OwnedFd>,
    foreground: Foreground,
}

impl Process {
    /// Starts QEMU. What it prints goes to `log`.
    pub fn start(
        qemu: &Path,
        args: &[OsString],
        log: &File,
        foreground: Foreground,
    ) -> Result<Self, Error> {
        let log = |what: &str| {
            log.try_clone()
                .map(Stdio::from)
                .map_err(|error| Error::Host(format!("cannot keep QEMU's {what}: {error}")))
        };
        // setpriv asks the kernel to kill QEMU when we end, and then becomes QEMU. std has no safe way
        // to do this between fork and exec.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(qemu)
            .args(args)
            .stderr(log("messages")?);
        if foreground == Foreground::Launcher {
            command
                .stdin(Stdio::null())
                .stdout(log("output")?)
                .process_group(0);
        }
        let mut child = command.spawn().map_err(|error| {
            Error::Host(format!(
                "cannot execute setpriv (install the package util-linux): {error}"
            ))
        })?;
        let pid = Pid::from_child(&child);
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Arc::new(pidfd),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::Host(format!(
                    "cannot watch the QEMU process (Linux 5.3 or later is needed): {error}"
                )));
            }
        };
        Ok(Self {
            child,
            pid,
            pidfd,
            foreground,
        })
    }

    /// A descriptor that becomes readable when QEMU has ended.
    pub fn pidfd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.pidfd)
    }

    /// Calls `then`, in a thread of its own, when QEMU has ended.
    pub fn when_ended(&self, then: impl FnOnce() + Send + 'static) {
        let pidfd = self.pidfd();
        thread::spawn(move || {
            if wait_readable(&pidfd, None) {
                then();
            }
        });
    }

    /// Ends QEMU at once.
    pub fn kill(&mut self) {
        // After it has been waited for, another process may have its id.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = match self.foreground {
            Foreground::Launcher => kill_process_group(self.pid, Signal::KILL),
            Foreground::Qemu => kill_process(self.pid, Signal::KILL),
        };
    }

    /// The exit status, if QEMU ends within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if wait_readable(&self.pidfd, Some(limit)) {
            self.child.wait().ok()
        } else {
            None
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.wait(KILL_LIMIT);
    }
}

/// Waits until `fd` is readable; `false` if `limit` passes first.
fn wait_readable(fd: &OwnedFd, limit: Option<Duration>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    wait_for_any(&mut fds, limit).is_ok_and(|ready| ready)
}

/// Waits until one of `fds` is ready; `false` if `limit` passes first.
fn wait_for_any(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<bool> {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    loop {
        match poll(fds, limit.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Accepts one connection. `None` if the process behind `pidfd` ends without having connected, or if
/// `limit` passes first.
pub fn accept(
    listener: &UnixListener,
    pidfd: &OwnedFd,
    limit: Option<Duration>,
) -> io::Result<Option<UnixStream>> {
    let mut fds = [
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(pidfd, PollFlags::IN),
    ];
    wait_for_any(&mut fds, limit)?;
    let [listening, _] = &fds;
    if listening.revents().contains(PollFlags::IN) {
        return listener.accept().map(|(stream, _)| Some(stream));
    }
    Ok(None)
}

/// What QEMU said, without its name, or how it ended if it said nothing.
pub(crate) fn complaint(log: &str, status: Option<ExitStatus>) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((name, rest)) if name.contains("qemu-system-") => rest,
            _ => line,
        })
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(20);
    match (lines.get(from..), status) {
        (Some(lines), _) if !lines.is_empty() => lines.join("\n"),
        (_, Some(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("it ended with status {code} and said nothing"),
            (_, Some(signal)) => format!("it was ended by signal {signal}"),
            _ => "it ended and said nothing".to_owned(),
        },
        (_, None) => "it does not end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_values_are_doubled() {
        assert_eq!(option_value(OsStr::new("/a,b/c")), "/a,,b/c");
    }

    #[test]
    fn a_program_is_found_by_path_or_name() {
        assert_eq!(find(Path::new("/bin/sh")).unwrap(), Path::new("/bin/sh"));
        assert!(find(Path::new("sh")).unwrap().is_absolute());
        assert!(find(Path::new("/etc/passwd")).is_err());
        assert!(find(Path::new("/nowhere/qemu")).is_err());
        assert!(find(Path::new("no-such-program-here")).is_err());
    }

    #[test]
    fn a_complaint_is_what_qemu_said() {
        let log = "/x/qemu-system-x86_64: -device my_rng,a=1: Property 'my_rng.a' not found\n";
        assert_eq!(
            complaint(log, None),
            "-device my_rng,a=1: Property 'my_rng.a' not found"
        );
        let status = ExitStatus::from_raw(9);
        assert_eq!(complaint("\n", Some(status)), "it was ended by signal 9");
        let status = ExitStatus::from_raw(3 << 8);
        assert!(complaint("", Some(status)).contains("status 3"));
    }
}
