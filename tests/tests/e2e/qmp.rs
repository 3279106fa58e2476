// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's monitor.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

/// A connection to QEMU's monitor.
pub struct Qmp {
    answers: Lines<BufReader<UnixStream>>,
    commands: UnixStream,
    /// Events that came while something else was waited for.
    events: Vec<String>,
}

impl Qmp {
    /// Connects to the socket at which QEMU listens.
    pub fn connect(socket: &Path) -> Self {
        let commands = UnixStream::connect(socket).expect("QEMU listens at its QMP socket");
        let answers = BufReader::new(commands.try_clone().expect("a second handle")).lines();
        let mut qmp = Self {
            answers,
            commands,
            events: Vec::new(),
        };
        qmp.wait_for("QMP");
        qmp.execute("qmp_capabilities", json!({}));
        qmp
    }

    /// Waits for an event, or takes note of one that came already.
    pub fn wait_for_event(&mut self, name: &str) {
        while !self.events.iter().any(|event| event == name) {
            self.receive(name);
        }
        self.events.clear();
    }

    /// Waits for the next message that has this member, and returns the member.
    fn wait_for(&mut self, member: &str) -> Value {
        loop {
            let message = self.receive(member);
            assert!(message.get("error").is_none(), "{message}");
            if let Some(value) = message.get(member) {
                return value.clone();
            }
        }
    }

    fn receive(&mut self, what: &str) -> Value {
        let line = self
            .answers
            .next()
            .unwrap_or_else(|| panic!("QEMU closed its QMP socket instead of sending {what}"));
        let message: Value =
            serde_json::from_str(&line.expect("QEMU's answer")).expect("QMP is JSON");
        if let Some(event) = message.get("event").and_then(Value::as_str) {
            self.events.push(event.to_owned());
        }
        message
    }

    /// Gives a command that has to succeed.
    pub fn execute(&mut self, command: &str, arguments: Value) {
        self.send(command, arguments);
        self.wait_for("return");
    }

    /// Gives a command that has to fail; what QEMU says of it.
    pub fn refused(&mut self, command: &str, arguments: Value) -> String {
        self.send(command, arguments);
        loop {
            let message = self.receive("an error");
            assert!(message.get("return").is_none(), "{command} was not refused");
            if let Some(error) = message.get("error") {
                return error["desc"].as_str().unwrap_or_default().to_owned();
            }
        }
    }

    fn send(&mut self, command: &str, arguments: Value) {
        writeln!(
            self.commands,
            "{}",
            json!({ "execute": command, "arguments": arguments })
        )
        .expect("QEMU takes commands");
    }
}
