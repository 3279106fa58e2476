// SPDX-License-Identifier: GPL-2.0-or-later

//! A guest that runs one command, started by `vm/run`.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use my_rng_vm::kernel::{complaints, message};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{guest_program, log_text, root};

/// How many seconds a guest may take. Much more than needed: only one that hangs takes so long.
const DEADLINE: u32 = 300;

/// A guest that has not been started yet.
#[derive(Debug)]
pub struct Guest {
    options: Vec<OsString>,
    deadline: u32,
    folder: TempDir,
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Guest {
    /// The guest as `vm/run` starts it: one `my_rng` device, the module loaded, no self-test.
    pub fn new() -> Self {
        Self {
            options: Vec::new(),
            deadline: DEADLINE,
            folder: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Sets how many seconds the guest may take.
    pub fn deadline(mut self, seconds: u32) -> Self {
        self.deadline = seconds;
        self
    }

    /// Passes a switch to `vm/run`.
    pub fn switch(mut self, name: &str) -> Self {
        self.options.push(name.into());
        self
    }

    /// Passes an option and its value to `vm/run`.
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.push(name.into());
        self.options.push(value.as_ref().to_owned());
        self
    }

    /// Adds a device, in place of the usual one.
    pub fn device(self, spec: &str) -> Self {
        self.option("--device", spec)
    }

    /// Passes arguments to QEMU.
    pub fn qemu_args<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Self {
        arguments
            .into_iter()
            .fold(self, |guest, argument| guest.option("--qemu-arg", argument))
    }

    /// Puts a host file into the guest.
    pub fn file(self, host: &Path, guest: &str) -> Self {
        let mut spec = host.as_os_str().to_owned();
        spec.push(":");
        spec.push(guest);
        self.option("--file", spec)
    }

    /// Puts the program compiled from `guest/NAME.c` into the guest, as `/NAME`.
    pub fn program(self, name: &str) -> Self {
        self.file(&guest_program(name), &format!("/{name}"))
    }

    /// A directory on the host that lives as long as the guest.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("console.log")
    }

    fn vm_run(&self) -> Command {
        let mut run = Command::new(root().join("vm/run"));
        run.arg("--timeout")
            .arg(self.deadline.to_string())
            .args(&self.options)
            .arg("--keep-log")
            .arg(self.log())
            .stdin(Stdio::null());
        run
    }

    /// The `vm/run` that runs `command`, for a test that starts it by itself.
    pub fn command<S: AsRef<OsStr>>(&self, command: &[S]) -> Command {
        let mut run = self.vm_run();
        run.arg("--").args(command);
        run
    }

    /// The `vm/run` with an interactive shell.
    pub fn shell(&self) -> Command {
        let mut run = self.vm_run();
        run.arg("--shell");
        run
    }

    /// Runs a command and waits for its end.
    pub fn run<S: AsRef<OsStr>>(self, command: &[S]) -> Finished {
        let run = self.command(command);
        // If `vm/run` does not end at its own deadline, only this test fails.
        let run = Command::new("timeout")
            .args(["--kill-after=10", &(self.deadline + DEADLINE).to_string()])
            .arg(run.get_program())
            .args(run.get_args())
            .stdin(Stdio::null())
            .output()
            .expect("timeout (coreutils) and vm/run can be run");
        Finished {
            status: run.status,
            stdout: run.stdout,
            stderr: run.stderr,
            console: log_text(&self.log()),
        }
    }

    /// Runs a script with the guest's shell; the first command that fails ends it.
    pub fn sh(self, script: &str) -> Finished {
        self.run(&["sh", "-ec", script])
    }

    /// Starts a command whose output is read line by line.
    pub fn start<S: AsRef<OsStr>>(self, command: &[S]) -> Running {
        let mut child = self
            .command(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vm/run can be run");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        Running {
            child: Some(child),
            stdout,
            seen: String::new(),
            guest: self,
        }
    }
}

/// A running guest. Dropping it ends the guest.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    seen: String,
    guest: Guest,
}

impl Running {
    /// Waits until the command prints this line. Ends the test, showing everything, if it never does.
    pub fn wait_for_line(&mut self, expected: &str) {
        loop {
            let start = self.seen.len();
            let length = self.stdout.read_line(&mut self.seen);
            if length.expect("stdout is text") == 0 {
                panic!("no line {expected:?}: {}", self.end().report());
            }
            if self.seen[start..].trim_end_matches('\n') == expected {
                return;
            }
        }
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Finished {
        self.stdout
            .read_to_string(&mut self.seen)
            .expect("stdout is text");
        self.end()
    }

    fn end(&mut self) -> Finished {
        let child = self.child.take().expect("a guest ends once");
        let run = child.wait_with_output().expect("vm/run ends");
        Finished {
            status: run.status,
            stdout: std::mem::take(&mut self.seen).into_bytes(),
            stderr: run.stderr,
            console: log_text(&self.guest.log()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // vm/run ends its guest when it gets SIGTERM.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// The results of a guest.
#[derive(Debug)]
pub struct Finished {
    /// The exit status of `vm/run`: the command's, unless `vm/run` itself failed.
    pub status: ExitStatus,
    /// The command's stdout.
    pub stdout: Vec<u8>,
    /// The command's stderr, and the errors of `vm/run` itself.
    pub stderr: Vec<u8>,
    /// The guest's serial console; empty if there was no boot.
    pub console: String,
}

impl Finished {
    /// Ends the test, showing everything, unless the exit status is 0 and the kernel reported no fault of its own.
    pub fn success(self) -> Self {
        let finished = self.expect_code(0);
        let found = complaints(&finished.console);
        assert!(found.is_empty(), "{found:#?}: {}", finished.report());
        finished
    }

    /// Ends the test, showing everything, unless the exit status is this one.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.report());
        self
    }

    /// The command's stdout.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    /// The command's stderr, and the errors of `vm/run`.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The kernel's messages, in order, without time stamps.
    pub fn messages(&self) -> Vec<&str> {
        self.console.lines().filter_map(message).collect()
    }

    /// Everything, for the message of a test that fails.
    pub fn report(&self) -> String {
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}\n--- console\n{}",
            self.status,
            String::from_utf8_lossy(&self.stdout),
            self.errors(),
            self.console
        )
    }
}
