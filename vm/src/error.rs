// SPDX-License-Identifier: GPL-2.0-or-later

//! Errors: one sentence each, which says how to fix it, and an exit status.

use crate::kernel::Tail;
use crate::protocol::{Refusal, Stream, signal_status};

/// Why a run has no exit status of the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that `make` builds is not there, and the command that builds it.
    #[error("{0}: run `{1}` first")]
    NotBuilt(String, String),
    /// Something on the host is missing or wrong.
    #[error("{0}")]
    Host(String),
    /// QEMU ended with an error of its own.
    #[error("QEMU {when}: {message}")]
    Qemu {
        /// "would not start", or "failed while the guest was running".
        when: &'static str,
        /// What QEMU said, or its exit status when it said nothing.
        message: String,
    },
    /// The guest's kernel panicked.
    #[error("the guest's kernel panicked; the console's last lines:\n{0}")]
    GuestPanicked(Tail),
    /// The guest's files did not fit into its memory.
    #[error(
        "the guest has too little memory: give it more with --mem; the console's last lines:\n{0}"
    )]
    TooLittleMemory(Tail),
    /// The guest powered off before the command had ended.
    #[error("the guest went down before the command had ended; the console's last lines:\n{0}")]
    GuestDown(Tail),
    /// Init could not do its job.
    #[error("the guest could not be made ready: {0}")]
    GuestSetup(String),
    /// The time-out has passed.
    #[error(
        "{what} within {seconds} s (--timeout gives it longer); the console's last lines:\n{console}"
    )]
    TimedOut {
        /// "the guest did not come up" or "the command did not end".
        what: &'static str,
        /// The time-out.
        seconds: u64,
        /// What the guest said last.
        console: Tail,
    },
    /// The command could not be started in the guest.
    #[error("{program} {why}")]
    NotStarted {
        /// Why not.
        why: Refusal,
        /// The command's name.
        program: String,
    },
    /// A signal asked us to stop.
    #[error("stopped by signal {0}")]
    Interrupted(i32),
    /// The reader of the command's output has closed it.
    #[error("the reader of the command's {0} is gone")]
    ReaderGone(Stream),
    /// The command's output could not be written.
    #[error("cannot write the command's {0}: {1}")]
    Write(Stream, std::io::Error),
}

impl Error {
    /// The launcher's exit status, like that of `env` and `timeout`: 124 to 127, or 128 + n for signal n.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::TimedOut { .. } => 124,
            Self::NotStarted { why, .. } => match why {
                Refusal::NotFound | Refusal::NoInterpreter => 127,
                Refusal::NotExecutable => 126,
            },
            Self::Interrupted(signal) => signal_status(*signal),
            Self::ReaderGone(_) => signal_status(signal_hook::consts::SIGPIPE),
            Self::NotBuilt(..)
            | Self::Host(_)
            | Self::Qemu { .. }
            | Self::GuestPanicked(_)
            | Self::TooLittleMemory(_)
            | Self::GuestDown(_)
            | Self::GuestSetup(_)
            | Self::Write(..) => 125,
        }
    }

    /// The sentence without the console's last lines.
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        let sentence = text.split("; the console's last lines:").next();
        sentence.unwrap_or_default().to_owned()
    }

    /// An error in writing to one of our own output streams.
    pub fn output(stream: Stream, error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::ReaderGone(stream)
        } else {
            Self::Write(stream, error)
        }
    }

    /// An error on the host, with the file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Host(format!("cannot {what} {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_that_cannot_be_started_has_its_own_status() {
        for (why, status, told) in [
            (Refusal::NotFound, 127, "tool is not in the guest"),
            (
                Refusal::NoInterpreter,
                127,
                "its interpreter or dynamic loader is not",
            ),
            (Refusal::NotExecutable, 126, "cannot be executed there"),
        ] {
            let program = "tool".to_owned();
            let error = Error::NotStarted { why, program };
            assert_eq!(error.exit_status(), status);
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn sentence_comes_without_the_console() {
        let error = Error::TooLittleMemory(Tail::of(b"the last line"));
        assert!(error.to_string().ends_with("the last line"));
        let sentence = error.sentence();
        assert_eq!(
            sentence,
            "the guest has too little memory: give it more with --mem"
        );
    }
}
