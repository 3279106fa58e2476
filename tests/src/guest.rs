// SPDX-License-Identifier: GPL-2.0-or-later

//! A guest to run one command in, by way of `vm/run`.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{guest_program, log_text, root};

/// How long a guest may take, in seconds: far more than any needs, so that only one that hangs
/// meets it.
const DEADLINE: u32 = 120;

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
    /// The guest as `vm/run` makes it: one `my_rng` device, the module loaded, no self-test.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            options: Vec::new(),
            deadline: DEADLINE,
            folder,
        }
    }

    /// Sets how many seconds the guest may take.
    pub fn deadline(mut self, seconds: u32) -> Self {
        self.deadline = seconds;
        self
    }

    /// Passes an option and its value to `vm/run`.
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.push(name.into());
        self.options.push(value.as_ref().to_owned());
        self
    }

    /// Passes a switch to `vm/run`.
    pub fn switch(mut self, name: &str) -> Self {
        self.options.push(name.into());
        self
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

    /// A folder on the host that lives as long as the guest.
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

    /// The `vm/run` that runs `command`, for a test that wants to start it by itself.
    pub fn command<S: AsRef<OsStr>>(&self, command: &[S]) -> Command {
        let mut run = self.vm_run();
        run.arg("--").args(command);
        run
    }

    /// The `vm/run` that gives an interactive shell.
    pub fn shell(&self) -> Command {
        let mut run = self.vm_run();
        run.arg("--shell");
        run
    }

    /// Runs a command and waits for its end.
    pub fn run<S: AsRef<OsStr>>(self, command: &[S]) -> Finished {
        let run = self.command(command);
        // Should `vm/run` miss its own deadline, it is that what fails, and not the whole run.
        let run = Command::new("timeout")
            .args(["--kill-after=10", &(2 * DEADLINE).to_string()])
            .arg(run.get_program())
            .args(run.get_args())
            .stdin(Stdio::null())
            .output()
            .expect("timeout (coreutils) and vm/run can be run");
        Finished {
            status: run.status,
            stdout: run.stdout,
            stderr: run.stderr,
            console: self.console(),
        }
    }

    /// What the guest said; nothing where vm/run refused its command line, so that there was no boot.
    fn console(&self) -> String {
        log_text(&self.log())
    }

    /// Starts a command, whose output can be followed line by line.
    pub fn start<S: AsRef<OsStr>>(self, command: &[S]) -> Running {
        let mut child = self
            .command(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vm/run is there and can be run");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        Running {
            child: Some(child),
            stdout,
            seen: String::new(),
            guest: self,
        }
    }

    /// Runs a script with the guest's shell; the first command that fails ends it.
    pub fn sh(self, script: &str) -> Finished {
        self.run(&["sh", "-ec", script])
    }
}

/// A guest that runs. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    seen: String,
    guest: Guest,
}

impl Running {
    /// Ends the test, showing everything, unless this is the next line of the command's stdout.
    pub fn expect_line(&mut self, expected: &str) {
        let start = self.seen.len();
        self.stdout
            .read_line(&mut self.seen)
            .expect("stdout is text");
        if self.seen[start..].trim_end_matches('\n') != expected {
            panic!("not {expected:?} next: {}", self.end().report());
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
            console: self.guest.console(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // vm/run ends its guest when it is asked to end.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// What a guest left.
#[derive(Debug)]
pub struct Finished {
    /// The exit status of `vm/run`, which is the command's where all went well.
    pub status: ExitStatus,
    /// What the command, and nobody else, wrote to stdout.
    pub stdout: Vec<u8>,
    /// What the command wrote to stderr, and `vm/run`'s own errors.
    pub stderr: Vec<u8>,
    /// Everything that the guest said on its serial console.
    pub console: String,
}

impl Finished {
    /// Ends the test, showing everything, unless the command ended with 0.
    pub fn success(self) -> Self {
        self.expect_code(0).assert_no_splat()
    }

    /// Ends the test if the kernel has complained of itself.
    fn assert_no_splat(self) -> Self {
        assert!(complaints(&self.console).is_empty(), "{}", self.report());
        self
    }

    /// Ends the test, showing everything, unless the exit status is this one.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.report());
        self
    }

    /// What the command wrote to stdout.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    /// What was written to stderr.
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

/// The lines in which the kernel complains of itself.
pub fn complaints(console: &str) -> Vec<&str> {
    const SIGNS: [&str; 15] = [
        "WARNING:",
        "BUG:",
        "Oops",
        "Call Trace",
        "panicked at",
        "refcount_t:",
        "KASAN:",
        "UBSAN:",
        "ODEBUG:",
        "INFO: possible",
        "INFO: task",
        "INFO: lockdep is turned off",
        "self-detected stall",
        "sleeping function called",
        "suspected memory leaks",
    ];
    // That there was no memory, which may have been made so, is told with a trace a few lines below.
    let mut excused = 0_u32;
    console
        .lines()
        .filter(|line| {
            excused = excused.saturating_sub(1);
            if line.contains("vmalloc error: size") {
                excused = 6;
            }
            if line.contains("Call Trace") && excused > 0 {
                excused = 0;
                return false;
            }
            SIGNS.iter().any(|sign| line.contains(sign))
        })
        .collect()
}

/// The text of a line of the kernel's log: what comes after `[    1.234567] `.
fn message(line: &str) -> Option<&str> {
    let line = line.trim_end_matches('\r');
    let (stamp, text) = line.strip_prefix('[')?.split_once("] ")?;
    stamp
        .trim_start()
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_allocations_that_failed() {
        let fine = "[ 1.0] vmalloc error: size 4\n[ 1.0] CPU: 1\n[ 1.0] Call Trace:\nmy_rng: fine";
        assert!(complaints(fine).is_empty());
        let lines =
            "vmalloc error: size 4\nCall Trace:\nWARNING: lib/debugobjects.c:672\nCall Trace:";
        assert_eq!(
            complaints(lines),
            ["WARNING: lib/debugobjects.c:672", "Call Trace:"]
        );
        let far = format!("vmalloc error: size 4\n{}Call Trace:", "fine\n".repeat(6));
        assert_eq!(complaints(&far), ["Call Trace:"]);
    }

    #[test]
    fn kernel_messages_are_told_from_other_lines() {
        assert_eq!(
            message("[    0.512345] Round 0 number 0: 1\r"),
            Some("Round 0 number 0: 1")
        );
        assert_eq!(message("[12345.678901] [a] b"), Some("[a] b"));
        assert_eq!(message("SeaBIOS (version 1.16)"), None);
        assert_eq!(message("[core] text"), None);
    }
}
