// SPDX-License-Identifier: GPL-2.0-or-later

//! A client of QMP, the protocol that controls a running QEMU.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Why a command has no result.
#[derive(Debug)]
pub enum Error {
    /// QEMU refused it, with this description.
    Refused(String),
    /// The connection failed, was closed, or timed out.
    Io(io::Error),
    /// QEMU sent something that is not QMP.
    Protocol(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(description) => f.write_str(description),
            Self::Io(error) => write!(f, "QEMU did not answer on its QMP socket: {error}"),
            Self::Protocol(line) => write!(f, "QEMU sent a line that is not QMP: {line}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    lines: BufReader<UnixStream>,
    /// Events that nobody has waited for yet.
    events: Vec<Value>,
}

impl Qmp {
    /// Connects to the socket on which QEMU listens.
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        Self::new(UnixStream::connect(socket)?)
    }

    /// Takes a connected socket, reads QEMU's greeting and enables commands.
    pub fn new(stream: UnixStream) -> Result<Self, Error> {
        let mut qmp = Self {
            lines: BufReader::new(stream),
            events: Vec::new(),
        };
        while qmp.receive()?.get("QMP").is_none() {}
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Limits how long QEMU may stay silent; `None` waits forever, which is the default.
    pub fn set_timeout(&self, limit: Option<Duration>) -> Result<(), Error> {
        Ok(self.lines.get_ref().set_read_timeout(limit)?)
    }

    /// Executes a command and returns its result.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        let message = json!({ "execute": command, "arguments": arguments });
        // One write for the whole line: after `quit`, QEMU may be gone before a second one.
        let line = format!("{message}\n");
        self.lines.get_mut().write_all(line.as_bytes())?;
        loop {
            let mut message = self.receive()?;
            if let Some(result) = message.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = message.get("error") {
                let description = error.get("desc").and_then(Value::as_str);
                return Err(Error::Refused(description.unwrap_or_default().to_owned()));
            }
        }
    }

    /// Returns the data of the next event of this name that `wanted` accepts, which may have arrived
    /// before. Drops the events before it.
    pub fn wait_for_event(
        &mut self,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        loop {
            let found = self.events.iter_mut().position(|event| {
                event.get("event").is_some_and(|found| found == name)
                    && wanted(event.get("data").unwrap_or(&Value::Null))
            });
            if let Some(index) = found {
                let event = self.events.drain(..=index).next_back();
                let data = event.and_then(|mut event| event.get_mut("data").map(Value::take));
                return Ok(data.unwrap_or_default());
            }
            self.receive()?;
        }
    }

    /// Reads one message; notes it if it is an event.
    fn receive(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(Error::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let message: Value =
            serde_json::from_str(&line).map_err(|_| Error::Protocol(line.trim_end().to_owned()))?;
        if message.get("event").is_some() {
            self.events.push(message.clone());
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A QEMU that greets, then answers each line it reads with the next of `answers`.
    fn qemu(answers: &'static [&str]) -> Result<Qmp, Error> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {}}\r\n").unwrap();
            let commands = BufReader::new(theirs).lines().map_while(Result::ok);
            for (answer, _) in answers.iter().zip(commands) {
                writer.write_all(answer.as_bytes()).unwrap();
            }
        });
        Qmp::new(ours)
    }

    #[test]
    fn results_refusals_and_events_are_told_apart() {
        let mut qmp = qemu(&[
            "{\"event\": \"A\"}\n{\"return\": {}}\n",
            "{\"event\": \"B\", \"data\": {\"n\": 1}}\n{\"return\": 7}\n",
            "{\"error\": {\"desc\": \"no such thing\"}}\n{\"event\": \"B\", \"data\": {\"n\": 2}}\n",
            "nonsense\n",
        ])
        .unwrap();
        assert_eq!(qmp.execute("x", json!({})).unwrap(), 7);
        let refused = qmp.execute("x", json!({})).unwrap_err();
        assert!(matches!(&refused, Error::Refused(text) if text == "no such thing"));
        let data = qmp.wait_for_event("B", |data| data["n"] == 2).unwrap();
        assert_eq!(data, json!({"n": 2}));
        let error = qmp.execute("x", json!({})).unwrap_err().to_string();
        assert!(error.contains("not QMP: nonsense"), "{error}");
        // Earlier events are gone, and so is QEMU.
        let error = qmp.wait_for_event("A", |_| true).unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
    }

    #[test]
    fn a_silent_qemu_times_out() {
        let qmp = qemu(&["{\"return\": {}}\n"]).unwrap();
        let mut qmp = qmp;
        qmp.set_timeout(Some(Duration::from_millis(1))).unwrap();
        let error = qmp.wait_for_event("A", |_| true).unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
    }
}
