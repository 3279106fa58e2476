// SPDX-License-Identifier: GPL-2.0-or-later

//! A machine that runs, until its end.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::Error;
use crate::capture::Captured;
use crate::files::{RunFolder, contents, free_for_socket};
use crate::kernel::{self, Tail};
use crate::ports::Event;
use crate::protocol::{self, FromGuest, FromHost, Status, Stream};
use crate::qemu::{Process, complaint};
use crate::terminal::SavedTerminal;

/// How long QEMU may take to end after the guest has done its work.
const FAREWELL: Duration = Duration::from_secs(10);

/// A machine that runs. Dropped before its end, it is killed.
pub struct Running {
    // Fields are dropped in this order: first QEMU, then what it has left behind.
    pub(crate) process: Process,
    pub(crate) _terminal: Option<SavedTerminal>,
    pub(crate) folder: Option<RunFolder>,
    pub(crate) events: Receiver<Event>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timeout: Duration,
    /// What the guest says on its serial console.
    pub(crate) console: File,
    /// The same, for [`crate::Console::Live`].
    pub(crate) live: Captured,
    /// What QEMU itself says.
    pub(crate) log: File,
    pub(crate) qmp: Option<PathBuf>,
    /// The command that attaches gdb, if the guest waits for it.
    pub(crate) gdb: Option<String>,
    pub(crate) keeps_folder: bool,
    /// How many readers of sockets have not ended.
    pub(crate) readers: usize,
    pub(crate) control: Option<UnixStream>,
    pub(crate) interactive: bool,
    pub(crate) kvm_is_asked_for: bool,
    /// Whether init has said that it runs.
    pub(crate) up: bool,
    /// The guest waits until this is on the console.
    pub(crate) mark: Option<String>,
    /// How many bytes of stdout and stderr have been written.
    pub(crate) delivered: [u64; 2],
    /// How the command ended, and how many bytes of each there are.
    pub(crate) ended: Option<(Status, [u64; 2])>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// What [`crate::Console::Live`] shows, until the end.
    pub fn shown(&self) -> Captured {
        self.live.clone()
    }

    /// Waits until the command and the machine have ended.
    pub fn wait(mut self) -> Result<Status, Error> {
        let result = self.watch();
        if result.is_err() {
            self.process.kill();
        }
        // By now the guest has got its `Bye`, or QEMU has ended or been killed.
        let farewell = Instant::now() + FAREWELL;
        if self.process.wait(FAREWELL).is_none() {
            self.process.kill();
            self.process.wait(FAREWELL);
        }
        if !matches!(
            result,
            Err(Error::Interrupted(_) | Error::ReaderGone(_) | Error::Write(..))
        ) {
            self.let_readers_end(farewell);
        }
        if let Some(qmp) = &self.qmp {
            // A killed QEMU leaves its socket behind. One that answers is not ours.
            if free_for_socket(qmp).is_ok() {
                let _ = fs::remove_file(qmp);
            }
        }
        result
    }

    /// Lets the readers pass on what QEMU sent before its end.
    fn let_readers_end(&mut self, deadline: Instant) {
        while self.readers > 0 {
            match self.events.recv_timeout(left(deadline)) {
                Ok(Event::ReaderEnded) => self.readers -= 1,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Handles events until the command has ended and all of its output is written.
    fn watch(&mut self) -> Result<Status, Error> {
        loop {
            let event = match self.deadline.map(left) {
                None => self.events.recv().ok(),
                Some(left) => self.events.recv_timeout(left).ok(),
            };
            let Some(event) = event else {
                return Err(self.timed_out());
            };
            match event {
                Event::Connected => {
                    if let Some(command) = self.gdb.take() {
                        let mut stderr = io::stderr();
                        // The guest waits even if nobody reads this.
                        let _ = writeln!(
                            stderr,
                            "vm/run: the guest waits for gdb; attach it with\n{command}"
                        );
                    }
                }
                Event::ControlOpen(socket) => self.control = Some(socket),
                Event::Control(message) => self.hear(message)?,
                Event::Confused(what) => {
                    return Err(Error::GuestSetup(format!(
                        "launcher and init differ: {what}"
                    )));
                }
                Event::Delivered(stream, length) => {
                    let [stdout, stderr] = &mut self.delivered;
                    match stream {
                        Stream::Stdout => *stdout += length,
                        Stream::Stderr => *stderr += length,
                    }
                }
                Event::ConsoleGrew => {}
                Event::WriteFailed(stream, error) => return Err(Error::output(stream, error)),
                Event::ReaderEnded => self.readers = self.readers.saturating_sub(1),
                Event::QemuGone => return self.qemu_gone(),
                Event::Interrupt(signal) => return Err(Error::Interrupted(signal)),
            }
            if self.mark.take_if(|mark| self.live.contains(mark)).is_some() {
                self.say(FromHost::Go);
            }
            let complete = self.ended.filter(|(_, written)| *written == self.delivered);
            if let Some((status, _)) = complete {
                self.say(FromHost::Bye);
                return Ok(status);
            }
        }
    }

    /// What the guest said on the control port.
    fn hear(&mut self, message: FromGuest) -> Result<(), Error> {
        match message {
            FromGuest::Up => {
                self.up = true;
                // QEMU has read and connected to everything in there. Only gdb may connect later.
                // Removed now, it does not stay behind if we are killed.
                if !self.keeps_folder {
                    self.folder = None;
                }
            }
            FromGuest::Mark(text) => self.mark = Some(text),
            FromGuest::Ended { status, written } => self.ended = Some((status, written)),
            FromGuest::Refused(why, program) => {
                return Err(Error::NotStarted { why, program });
            }
            FromGuest::Failed(text) => return Err(Error::GuestSetup(text)),
        }
        Ok(())
    }

    /// Sends a message. If that fails, QEMU has ended, which has its own event.
    fn say(&mut self, message: FromHost) {
        if let Some(control) = &mut self.control {
            let _ = protocol::send(control, &message);
        }
    }

    fn qemu_gone(&mut self) -> Result<Status, Error> {
        let status = self.process.wait(FAREWELL);
        if !status.is_some_and(|status| status.success()) {
            let mut message = complaint(&self.log_text(), status);
            if !self.up && self.kvm_is_asked_for {
                message.push_str("; ACCEL=tcg (--accel tcg) does without KVM");
            }
            return Err(Error::Qemu {
                when: if self.up {
                    "failed while the guest was running"
                } else {
                    "would not start the guest"
                },
                message,
            });
        }
        if self.interactive && self.up && !kernel::shows_panic(&self.console_bytes()) {
            // The user typed Ctrl-A X, or switched the guest off.
            return Ok(Status::Exited(0));
        }
        let console = self.console_bytes();
        if !self.up && kernel::shows_failed_unpacking(&console) {
            return Err(Error::TooLittleMemory(Tail::of(&console)));
        }
        if kernel::shows_panic(&console) {
            return Err(Error::GuestPanicked(Tail::of(&console)));
        }
        if console.is_empty() && !self.up {
            let log = self.log_text();
            let mut message = complaint(&log, status);
            if log.trim().is_empty() {
                message.push_str("; if it was given little memory, give it more with --mem");
            }
            return Err(Error::Qemu {
                when: "started no guest",
                message,
            });
        }
        Err(Error::GuestDown(Tail::of(&console)))
    }

    fn timed_out(&self) -> Error {
        let console = self.console_bytes();
        // Init may run without its job then, and give a shell.
        if !self.up && kernel::shows_failed_unpacking(&console) {
            return Error::TooLittleMemory(Tail::of(&console));
        }
        Error::TimedOut {
            what: if self.up {
                "the command did not end"
            } else {
                "the guest did not come up"
            },
            seconds: self.timeout.as_secs(),
            console: Tail::of(&console),
        }
    }

    fn console_bytes(&self) -> Vec<u8> {
        contents(&self.console)
    }

    fn log_text(&self) -> String {
        String::from_utf8_lossy(&contents(&self.log)).into_owned()
    }
}

/// The time until a deadline.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests;
