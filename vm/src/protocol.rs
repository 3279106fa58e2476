// SPDX-License-Identifier: GPL-2.0-or-later

//! What launcher and init send each other over virtio-serial ports: one JSON message a line on the
//! control port, the command's raw bytes on the other two.
//!
//! The host cannot see the end of what the guest writes to such a port. So init says in the end how
//! many bytes went to each, and keeps the guest up until the launcher has them all.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The name of the control port.
pub const CONTROL_PORT: &str = "my-rng-vm.control";

/// The first line on every port, with the version of the protocol. Writing it waits until the host's
/// side is connected.
pub const OPENING: &str = "my-rng-vm 3\n";

/// The longest line on the control port.
const LINE_LIMIT: u64 = 64 * 1024;

/// How much of a name or a bad line is shown, in characters.
const SHOWN: usize = 200;

/// One of the command's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name of the stream's port.
    pub fn port(self) -> &'static str {
        match self {
            Self::Stdout => "my-rng-vm.stdout",
            Self::Stderr => "my-rng-vm.stderr",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

impl Status {
    /// The status as a shell gives it: 128 + n for signal n.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => signal_status(signal),
        }
    }
}

/// A shell's exit status for a command that a signal ended.
pub(crate) fn signal_status(signal: i32) -> u8 {
    u8::try_from(signal.saturating_add(128)).unwrap_or(u8::MAX)
}

/// Why a command could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such file.
    NotFound,
    /// The file exists, its dynamic loader or script interpreter does not.
    NoInterpreter,
    /// The file exists but is not executable.
    NotExecutable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => {
                "is not in the guest: put a host file there with --file HOST:GUEST"
            }
            Self::NoInterpreter => {
                "is in the guest, but its interpreter or dynamic loader is not: link it statically, \
                 or add that with --file HOST:GUEST"
            }
            Self::NotExecutable => {
                "is in the guest, but cannot be executed there: is it an executable file (chmod +x) \
                 for this machine?"
            }
        })
    }
}

/// What init says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGuest {
    /// Init is running, and about to do its job.
    Up,
    /// Answer when this text is on the console: then all that was logged before it is, too.
    Mark(String),
    /// The command has ended.
    Ended {
        /// How.
        status: Status,
        /// How many bytes it wrote to stdout and to stderr.
        written: [u64; 2],
    },
    /// The command of this name could not be started.
    Refused(Refusal, String),
    /// Init could not do its job.
    Failed(String),
}

/// What the launcher says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost {
    /// The mark has been seen.
    Go,
    /// All output has arrived: power off.
    Bye,
}

/// Writes a message to a control port.
pub fn send(mut port: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    port.write_all(&line)
}

/// Reads the next message of a control port; `None` at its end. A line that is too long or not a message
/// is [`io::ErrorKind::InvalidData`].
pub fn receive<T: DeserializeOwned>(port: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    port.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let invalid = |what: &str| {
        let mut line = String::from_utf8_lossy(&line).into_owned();
        line.retain(|c| !c.is_control());
        let text = format!("{what}: {}", shortened(&line));
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    if !line.ends_with(b"\n") {
        return Err(invalid("a control line was cut off or is too long"));
    }
    match serde_json::from_slice(&line) {
        Ok(message) => Ok(Some(message)),
        Err(_) => Err(invalid("a control line is not a message")),
    }
}

/// Reads the opening line of a port. `false` if the port ended before it.
pub fn read_opening(port: &mut impl Read) -> io::Result<bool> {
    let mut opening = [0; OPENING.len()];
    match port.read_exact(&mut opening) {
        Ok(()) if opening == OPENING.as_bytes() => Ok(true),
        Ok(()) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the guest's init speaks another protocol: run `make` to build both anew",
        )),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The text, or its beginning and "...".
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let ended = |status| FromGuest::Ended {
            status,
            written: [u64::MAX, 0],
        };
        let messages = [
            FromGuest::Up,
            FromGuest::Mark("boot is over".into()),
            ended(Status::Exited(255)),
            ended(Status::Killed(11)),
            FromGuest::Refused(Refusal::NotFound, "a b".into()),
            FromGuest::Refused(Refusal::NoInterpreter, "\n\r".into()),
            FromGuest::Refused(Refusal::NotExecutable, shortened(&"\0".repeat(1_000_000))),
            FromGuest::Failed("cannot load\nit".into()),
        ];
        let mut port = Vec::new();
        for message in &messages {
            send(&mut port, message).unwrap();
        }
        assert_eq!(port.iter().filter(|byte| **byte == b'\n').count(), 8);
        let mut port = io::Cursor::new(port);
        for message in messages {
            assert_eq!(receive(&mut port).unwrap(), Some(message));
        }
        assert_eq!(receive::<FromGuest>(&mut port).unwrap(), None);
        for message in [FromHost::Go, FromHost::Bye] {
            let mut port = Vec::new();
            send(&mut port, &message).unwrap();
            assert_eq!(receive(&mut &port[..]).unwrap(), Some(message));
        }
    }

    #[test]
    fn invalid_message_is_refused() {
        let refused = |line: &[u8]| {
            let error = receive::<FromGuest>(&mut &line[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            error.to_string()
        };
        for line in [
            "\n",
            "down\n",
            "\"Go\"\n",
            "\"Up\" \"Up\"\n",
            "{\"Ended\": {\"status\": {\"Exited\": 0}, \"written\": [1]}}\n",
            "{\"Ended\": {\"status\": {\"Exited\": 256}, \"written\": [0, 0]}}\n",
            "{\"Ended\": {\"status\": {\"Killed\": \"x\"}, \"written\": [0, 0]}}\n",
            "{\"Ended\": {\"status\": {\"Exited\": 0}, \"written\": [0, -1]}}\n",
            "{\"Ended\": {\"status\": {\"Exited\": 0}, \"written\": [0, 99999999999999999999]}}\n",
        ] {
            let expected = format!(
                "a control line is not a message: {}",
                shortened(line.trim())
            );
            assert_eq!(refused(line.as_bytes()), expected);
        }
        assert!(refused(b"\xff\n").contains("not a message"));
        // The user's terminal must not obey the guest.
        assert!(refused(b"\x1b[2J\n").ends_with(": [2J"));
        assert!(refused(b"\"Up\"").contains("cut off"));
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let error = receive::<FromGuest>(&mut endless).unwrap_err().to_string();
        assert!(
            error.contains("too long: xxx") && error.len() < 300,
            "{error}"
        );
        assert!(receive::<FromHost>(&mut &b"\"Stay\"\n"[..]).is_err());
    }

    #[test]
    fn the_opening_is_checked() {
        let mut port = io::Cursor::new([OPENING.as_bytes(), b"data"].concat());
        assert!(read_opening(&mut port).unwrap());
        let mut rest = String::new();
        port.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "data");
        assert!(!read_opening(&mut &b"my-rng"[..]).unwrap());
        let error = read_opening(&mut &b"my-rng-vm 2\n"[..]).unwrap_err();
        assert!(error.to_string().contains("another protocol"), "{error}");
    }

    #[test]
    fn a_signal_is_told_as_shells_do() {
        assert_eq!(Status::Killed(11).code(), 139);
        assert_eq!(Status::Exited(7).code(), 7);
    }
}
