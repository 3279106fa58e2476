// SPDX-License-Identifier: GPL-2.0-or-later

//! What launcher and guest say to each other over the virtio-serial ports.
//!
//! Three ports: the command's stdout, its stderr, and control. The first two carry, after one
//! opening line, the command's bytes and nothing else; control carries lines of text. As a
//! virtio-serial port has no end of file that the host could see, the guest states in the end how
//! many bytes went out on each, and stays up until the launcher has them all.

use std::fmt;
use std::io::{self, BufRead, Read};

/// The name of the control port.
pub const CONTROL_PORT: &str = "my-rng-vm.control";

/// The first line on every port. Writing it waits until the host's side is connected.
pub const OPENING: &str = "my-rng-vm 2\n";

/// The longest control line that is read.
const LINE_LIMIT: u64 = 64 * 1024;

/// The longest text in a message, in characters; a command's name may be far longer than a line.
const TEXT_LIMIT: usize = 2000;

/// The text, or its beginning with the sign that there is more.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// One of the command's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both streams.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
}

impl Status {
    /// The status as a shell tells it: 128 + n for signal n.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such file.
    NotFound,
    /// The file is there, what should run it (dynamic loader, script interpreter) is not.
    NoInterpreter,
    /// The file is there but not executable.
    NotExecutable,
}

/// What the guest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromGuest {
    /// Init is running, and about to do its job.
    Up,
    /// Everything logged so far is on the console once this text is: answer then.
    Mark(String),
    /// The command has ended, after so many bytes on stdout and stderr.
    Ended {
        /// How.
        status: Status,
        /// Bytes written to stdout.
        stdout: u64,
        /// Bytes written to stderr.
        stderr: u64,
    },
    /// The command could not be started.
    Refused(Refusal, String),
    /// Init could not do its job.
    Failed(String),
}

/// What the launcher says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromHost {
    /// The mark has been seen.
    Go,
    /// All output has arrived: power off.
    Bye,
}

impl FromGuest {
    /// The message as a line.
    pub fn line(&self) -> String {
        // A line break inside a text would end the message.
        let flat = |text: &str| shortened(&text.replace(['\n', '\r'], " "), TEXT_LIMIT);
        match self {
            Self::Up => "up\n".to_owned(),
            Self::Mark(text) => format!("mark {}\n", flat(text)),
            Self::Ended {
                status,
                stdout,
                stderr,
            } => {
                let (word, number) = match status {
                    Status::Exited(code) => ("exited", i32::from(*code)),
                    Status::Killed(signal) => ("killed", *signal),
                };
                format!("{word} {number} {stdout} {stderr}\n")
            }
            Self::Refused(why, text) => {
                let why = match why {
                    Refusal::NotFound => "not-found",
                    Refusal::NoInterpreter => "no-interpreter",
                    Refusal::NotExecutable => "not-executable",
                };
                format!("{why} {}\n", flat(text))
            }
            Self::Failed(text) => format!("failed {}\n", flat(text)),
        }
    }

    /// Reads a line, without its line break.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let ended = |status| {
            let mut numbers = rest.split(' ').skip(1).map(|number| number.parse().ok());
            let message = Self::Ended {
                status,
                stdout: numbers.next()??,
                stderr: numbers.next()??,
            };
            numbers.next().is_none().then_some(message)
        };
        let first = rest.split(' ').next().unwrap_or_default();
        let refused = |why| Some(Self::Refused(why, rest.to_owned()));
        match word {
            "up" => Some(Self::Up),
            "mark" => Some(Self::Mark(rest.to_owned())),
            "exited" => ended(Status::Exited(first.parse().ok()?)),
            "killed" => ended(Status::Killed(first.parse().ok()?)),
            "not-found" => refused(Refusal::NotFound),
            "no-interpreter" => refused(Refusal::NoInterpreter),
            "not-executable" => refused(Refusal::NotExecutable),
            "failed" => Some(Self::Failed(rest.to_owned())),
            _ => None,
        }
    }
}

impl FromHost {
    /// The message as a line.
    pub fn line(self) -> &'static str {
        match self {
            Self::Go => "go\n",
            Self::Bye => "bye\n",
        }
    }

    /// Reads a line, without its line break.
    pub fn parse(line: &str) -> Option<Self> {
        match line {
            "go" => Some(Self::Go),
            "bye" => Some(Self::Bye),
            _ => None,
        }
    }
}

/// The next line of a control port; nothing at its end. A line that is too long is an error.
pub fn read_line(port: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    port.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a control line was cut off",
        ));
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a control line is no text"))
}

/// Takes the opening line off a port. `false` if the port ended before it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive() {
        for message in [
            FromGuest::Up,
            FromGuest::Mark("boot is over".into()),
            FromGuest::Ended {
                status: Status::Exited(255),
                stdout: u64::MAX,
                stderr: 0,
            },
            FromGuest::Ended {
                status: Status::Killed(11),
                stdout: 3,
                stderr: 4,
            },
            FromGuest::Refused(Refusal::NotFound, "a b".into()),
            FromGuest::Refused(Refusal::NoInterpreter, "x".into()),
            FromGuest::Refused(Refusal::NotExecutable, "".into()),
            FromGuest::Failed("cannot load".into()),
        ] {
            let line = message.line();
            let line = line.strip_suffix('\n').unwrap();
            assert_eq!(FromGuest::parse(line), Some(message));
        }
        for message in [FromHost::Go, FromHost::Bye] {
            let line = message.line().strip_suffix('\n').unwrap();
            assert_eq!(FromHost::parse(line), Some(message));
        }
    }

    #[test]
    fn a_line_break_inside_does_not_make_two_messages() {
        let line = FromGuest::Failed("one\ntwo\rthree".into()).line();
        assert_eq!(line, "failed one two three\n");
    }

    #[test]
    fn a_long_text_still_fits_into_a_line() {
        let name = "\u{fffd}".repeat(100_000);
        let line = FromGuest::Refused(Refusal::NotFound, name).line();
        let read = read_line(&mut io::Cursor::new(line)).unwrap().unwrap();
        let message = FromGuest::parse(&read);
        assert!(matches!(message, Some(FromGuest::Refused(_, text)) if text.ends_with("...")));
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc...");
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "upp",
            "exited",
            "exited 0",
            "exited 0 1",
            "exited 256 0 0",
            "exited 0 1 2 3",
            "exited 0 -1 0",
            "killed x 0 0",
            "go",
            "exited 0 99999999999999999999 0",
        ] {
            assert_eq!(FromGuest::parse(line), None, "{line}");
        }
        assert_eq!(FromHost::parse("stay"), None);
    }

    #[test]
    fn lines_are_bounded_and_must_be_whole() {
        let mut port = io::Cursor::new(b"one\ntwo\n".to_vec());
        assert_eq!(read_line(&mut port).unwrap().as_deref(), Some("one"));
        assert_eq!(read_line(&mut port).unwrap().as_deref(), Some("two"));
        assert_eq!(read_line(&mut port).unwrap(), None);
        assert!(read_line(&mut io::Cursor::new(b"cut".to_vec())).is_err());
        assert!(read_line(&mut io::Cursor::new(b"\xff\n".to_vec())).is_err());
        let endless = io::repeat(b'x');
        assert!(read_line(&mut io::BufReader::new(endless)).is_err());
    }

    #[test]
    fn the_opening_is_checked() {
        let mut port = io::Cursor::new([OPENING.as_bytes(), b"data"].concat());
        assert!(read_opening(&mut port).unwrap());
        let mut rest = String::new();
        port.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "data");
        assert!(!read_opening(&mut io::Cursor::new(b"my-rng".to_vec())).unwrap());
        assert!(read_opening(&mut io::Cursor::new(b"something else entirely".to_vec())).is_err());
    }

    #[test]
    fn a_signal_is_told_as_shells_do() {
        assert_eq!(Status::Killed(11).code(), 139);
        assert_eq!(Status::Exited(7).code(), 7);
    }
}
