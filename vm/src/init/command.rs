// SPDX-License-Identifier: GPL-2.0-or-later

//! Commands in the guest: started, waited for, and their output passed on.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, WaitOptions, ioctl_tiocsctty, setsid, wait};
use rustix::termios::{Winsize, tcdrain, tcsetwinsize};

use super::launcher::Launcher;
use crate::job::{Step, Terminal};
use crate::protocol::{self, FromGuest, Refusal, Status};

/// The working directory.
pub(super) const HOME: &str = "/root";
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts a command with the usual environment. If that fails, the message says why.
///
/// It does not look up the command, or set its directory, through std: std would fork then, instead of
/// using posix_spawn, and needs Unix sockets for that, which the guest's kernel lacks.
fn start(argv: &[OsString], stdio: impl FnOnce(&mut Command)) -> Result<Pid, FromGuest> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(FromGuest::Failed("there is no command to run".to_owned()));
    };
    let name = protocol::shortened(&program.to_string_lossy());
    let Some(path) = look_up(program, PATH) else {
        return Err(FromGuest::Refused(Refusal::NotFound, name));
    };
    let mut command = Command::new(&path);
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", HOME)
        .env("USER", "root")
        .env("SHELL", "/bin/sh")
        .env("TERM", "dumb");
    stdio(&mut command);
    command
        .spawn()
        .map(|child| Pid::from_child(&child))
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => FromGuest::Refused(Refusal::NoInterpreter, name),
            Some(Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR) => {
                FromGuest::Refused(Refusal::NotExecutable, name)
            }
            _ => FromGuest::Failed(format!("cannot start {name}: {error}")),
        })
}

/// Finds a command's file. Prefers one that is executable, but returns any, for the error message.
fn look_up(program: &OsString, search: &str) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return path.exists().then_some(path);
    }
    if program.is_empty() {
        return None;
    }
    let found: Vec<_> = search
        .split(':')
        .map(|folder| Path::new(folder).join(program))
        .filter(|path| path.is_file())
        .collect();
    let executable = |path: &&PathBuf| {
        path.metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
    };
    found.iter().find(executable).or(found.first()).cloned()
}

/// Waits for a process to end, and meanwhile for orphans.
fn reap_until(pid: Pid) -> Result<Status, String> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                if let Some(code) = status.exit_status() {
                    return Ok(Status::Exited(u8::try_from(code).unwrap_or(u8::MAX)));
                }
                if let Some(signal) = status.terminating_signal() {
                    return Ok(Status::Killed(signal));
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the command: {error}")),
        }
    }
}

/// Makes a link to busybox for each of its applets, except where there is a file.
pub(super) fn install_applets() -> Result<(), String> {
    let argv = ["/bin/busybox", "--install", "-s"].map(OsString::from);
    match start(&argv, |_| {}).ok().map(reap_until).transpose()? {
        Some(Status::Exited(0)) => Ok(()),
        _ => Err(
            "busybox cannot install its applets: build the guest with its architecture's busybox-static"
                .to_owned(),
        ),
    }
}

/// Runs a command with its output going to the ports.
pub(super) fn run(argv: &[OsString], launcher: &Launcher) -> Result<FromGuest, String> {
    let failed = |error: io::Error| format!("cannot pass the command's output on: {error}");
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()));
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let (stop, stop_end) = pipe()?;
    // A larger pipe means fewer context switches. The usual size works, too.
    let _ = fcntl_setpipe_size(&stdout, 1 << 20);

    let started = start(argv, |command| {
        command
            .stdin(Stdio::null())
            .stdout(stdout_end)
            .stderr(stderr_end);
    });
    let pid = match started {
        Ok(pid) => pid,
        Err(message) => return Ok(message),
    };

    let stop = &stop;
    let (stdout_port, stderr_port) = (&launcher.stdout, &launcher.stderr);
    thread::scope(|scope| {
        let stdout = scope.spawn(move || forward(&File::from(stdout), stdout_port, stop));
        let stderr = scope.spawn(move || forward(&File::from(stderr), stderr_port, stop));
        let status = reap_until(pid)?;
        // Processes that the command has left may hold the pipes open. They end with the guest.
        drop(stop_end);
        let written = |thread: thread::ScopedJoinHandle<'_, io::Result<u64>>| {
            thread
                .join()
                .map_err(|_| "a thread of init's failed".to_owned())?
                .map_err(failed)
        };
        Ok(FromGuest::Ended {
            status,
            written: [written(stdout)?, written(stderr)?],
        })
    })
}

/// Copies from a pipe until its end or, once `stop` has ended, until it has copied all that was in the
/// pipe at that time. Returns the number of bytes.
fn forward(from: &File, mut to: &File, stop: &OwnedFd) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    let mut left = None;
    while left != Some(0) {
        if left.is_none() {
            let mut fds = [
                PollFd::new(from, PollFlags::IN),
                PollFd::new(stop, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [data, stopped] = &fds;
            if !stopped.revents().is_empty() {
                left = Some(ioctl_fionread(from)?);
                continue;
            }
            if data.revents().is_empty() {
                continue;
            }
        }
        let limit = left.map_or(buffer.len(), |left| {
            buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        let mut from = from;
        let length = from.read(buffer.get_mut(..limit).unwrap_or_default())?;
        if length == 0 {
            break;
        }
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        written += length as u64;
        left = left.map(|left| left.saturating_sub(length as u64));
    }
    Ok(written)
}

/// Runs commands on the console, as if typed there. The status is that of the first one that failed.
pub(super) fn run_on_console(steps: &[Step], launcher: &Launcher) -> Result<FromGuest, String> {
    launcher.wait_for_kernel_log("the boot is over");
    let mut result = Status::Exited(0);
    for step in steps {
        // The kernel's lines must not cut into the command's.
        set_console_level(if step.kernel_log { "7" } else { "1" });
        let words: Vec<_> = step
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        println!("# {}", words.join(" "));
        drain_console();
        let pid = match start(&step.argv, |_| {}) {
            Ok(pid) => pid,
            Err(message) => return Ok(message),
        };
        let status = reap_until(pid)?;
        drain_console();
        if step.kernel_log {
            launcher.wait_for_kernel_log(&format!("{} is done", words.first().map_or("", |w| w)));
        }
        if result == Status::Exited(0) {
            result = status;
        }
    }
    set_console_level("7");
    Ok(FromGuest::Ended {
        status: result,
        written: [0, 0],
    })
}

/// Sets which of the kernel's messages reach the console.
fn set_console_level(level: &str) {
    let argv = ["dmesg", "-n", level].map(OsString::from);
    if let Ok(pid) = start(&argv, |_| {}) {
        let _ = reap_until(pid);
    }
}

/// Waits until all that was written to the console is out.
fn drain_console() {
    let _ = io::stdout().flush();
    let _ = tcdrain(io::stdout());
}

/// Gives a shell on the serial console.
pub(super) fn shell(terminal: &Terminal) -> Result<FromGuest, String> {
    let failed = |error: io::Error| format!("cannot give a shell: {error}");
    // /dev/console itself can control no session.
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let name = active.split_whitespace().last().unwrap_or("console");
    let tty = File::options()
        .read(true)
        .write(true)
        .open(Path::new("/dev").join(name))
        .map_err(failed)?;
    let _ = setsid();
    ioctl_tiocsctty(&tty).map_err(|error| failed(error.into()))?;
    if terminal.rows > 0 && terminal.columns > 0 {
        let size = Winsize {
            ws_row: terminal.rows,
            ws_col: terminal.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let _ = tcsetwinsize(&tty, size);
    }
    let _ = (&tty).write_all(
        b"\nThis is the my_rng guest. Leave it with `exit`; Ctrl-A X ends it at once.\n\n",
    );
    let clone = || tty.try_clone().map_err(failed);
    let (stdin, stdout, stderr) = (clone()?, clone()?, clone()?);
    let argv = ["/bin/sh", "-l"].map(OsString::from);
    let started = start(&argv, |shell| {
        shell
            .env("PS1", "guest:\\w\\$ ")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if !terminal.name.is_empty() {
            shell.env("TERM", &terminal.name);
        }
    });
    let pid = match started {
        Ok(pid) => pid,
        Err(message) => return Ok(message),
    };
    let status = reap_until(pid)?;
    let _ = tcdrain(tty.as_fd());
    Ok(FromGuest::Ended {
        status,
        written: [0, 0],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_up_as_shells_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("tool"), "").unwrap();
        }
        let search = format!("{}:{}", path("one").display(), path("two").display());
        let tool = OsString::from("tool");
        assert_eq!(look_up(&tool, &search), Some(path("one/tool")));
        fs::set_permissions(path("two/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look_up(&tool, &search), Some(path("two/tool")));
        assert_eq!(
            look_up(&"one".into(), &folder.path().to_string_lossy()),
            None
        );
        assert_eq!(look_up(&"".into(), &search), None);
        assert_eq!(look_up(&"other".into(), &search), None);
        assert_eq!(look_up(&path("no").into(), &search), None);
        let given = path("one/tool");
        assert_eq!(look_up(&given.clone().into(), ""), Some(given));
    }

    #[test]
    fn output_is_forwarded_to_its_end() {
        let (from, mut writer) = pipes();
        let (stop, _stop_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        let to = tempfile::tempfile().unwrap();
        let written = thread::scope(|scope| {
            let forwarder = scope.spawn(|| forward(&from, &to, &stop));
            writer.write_all(&sent).unwrap();
            drop(writer);
            forwarder.join().unwrap().unwrap()
        });
        assert_eq!(written, 1_000_000);
        assert_eq!(read_all(to), sent);
    }

    #[test]
    fn a_pipe_held_open_is_left_once_its_content_is_through() {
        let (from, mut writer) = pipes();
        writer.write_all(b"the last words").unwrap();
        let (stop, stop_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(stop_end);
        let to = tempfile::tempfile().unwrap();
        assert_eq!(forward(&from, &to, &stop).unwrap(), 14);
        assert_eq!(read_all(to), b"the last words");
        drop(writer);
    }

    fn pipes() -> (File, File) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        (File::from(reader), File::from(writer))
    }

    fn read_all(file: File) -> Vec<u8> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }
}
