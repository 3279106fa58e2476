// SPDX-License-Identifier: GPL-2.0-or-later

//! What can go wrong, each as one sentence that says how to fix it, and as an exit status.

use crate::kernel::Tail;
use crate::protocol::{Stream, signal_status};

/// Why a run brought no exit status of the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that `make` builds is not there.
    #[error("{0}: run `make` first")]
    NotBuilt(String),
    /// Something on the host's side is missing or refused.
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
    /// The guest switched itself off before the command had ended.
    #[error("the guest went down before the command had ended; the console's last lines:\n{0}")]
    GuestDown(Tail),
    /// The guest's init could not get the guest ready for the command.
    #[error("the guest could not be made ready: {0}")]
    GuestSetup(String),
    /// The time-out.
    #[error(
        "{what} within {seconds} s (--timeout gives it longer); the console's last lines:\n{console}"
    )]
    TimedOut {
        /// "the guest did not come up" or "the command did not end".
        what: &'static str,
        /// The time-out.
        seconds: u64,
        /// Where the guest stood.
        console: Tail,
    },
    /// The command could not be started in the guest.
    #[error("{message}")]
    NotStarted {
        /// 127: not found; 126: found, but cannot be executed.
        status: u8,
        /// The sentence.
        message: String,
    },
    /// A signal told us to stop.
    #[error("stopped by signal {0}")]
    Interrupted(i32),
    /// Whoever read the command's output does so no longer.
    #[error("nobody reads the command's {0} any more")]
    ReaderGone(Stream),
    /// The command's output could not be written.
    #[error("cannot write the command's {0}: {1}")]
    Write(Stream, std::io::Error),
}

impl Error {
    /// The status that the launcher exits with: as `env` and `timeout` do, 124 to 127 are its own
    /// and 128 + n stands for signal n.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::TimedOut { .. } => 124,
            Self::NotStarted { status, .. } => *status,
            Self::Interrupted(signal) => signal_status(*signal),
            Self::ReaderGone(_) => signal_status(signal_hook::consts::SIGPIPE),
            Self::NotBuilt(_)
            | Self::Host(_)
            | Self::Qemu { .. }
            | Self::GuestPanicked(_)
            | Self::TooLittleMemory(_)
            | Self::GuestDown(_)
            | Self::GuestSetup(_)
            | Self::Write(..) => 125,
        }
    }

    /// The sentence alone, for where the console has been shown already.
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        let sentence = text.split("; the console's last lines:").next();
        sentence.unwrap_or_default().to_owned()
    }

    /// An error of the host's side with the file it happened to.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Host(format!("cannot {what} {}: {error}", path.display()))
    }
}
