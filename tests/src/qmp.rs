// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's monitor, for tests: a failure ends the test.

use std::os::unix::net::UnixStream;
use std::path::Path;

use my_rng_vm::qmp::{self, Error};
use serde_json::{Value, json};

use crate::DEADLINE;

/// A connection to the monitor.
#[derive(Debug)]
pub struct Qmp(qmp::Qmp);

impl Qmp {
    /// Connects to the socket on which QEMU listens.
    pub fn connect(socket: &Path) -> Self {
        Self::new(UnixStream::connect(socket).expect("QEMU listens on its QMP socket"))
    }

    pub(crate) fn new(stream: UnixStream) -> Self {
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a socket has timeouts");
        Self(qmp::Qmp::new(stream).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Executes a command that must succeed. Returns its result.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Value {
        self.0
            .execute(command, arguments.clone())
            .unwrap_or_else(|error| panic!("{command} {arguments}: {error}"))
    }

    /// Executes a command that QEMU must refuse. Returns the description of the error.
    pub fn refused(&mut self, command: &str, arguments: Value) -> String {
        match self.0.execute(command, arguments.clone()) {
            Err(Error::Refused(description)) => description,
            other => panic!("{command} {arguments} was not refused: {other:?}"),
        }
    }

    /// Waits for an event, which may have arrived before. Returns its data.
    pub fn wait_for_event(&mut self, name: &str) -> Value {
        self.wait_for_event_with(name, |_| true)
    }

    /// Waits for an event with such data. Events before it are dropped.
    pub fn wait_for_event_with(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.0
            .wait_for_event(name, wanted)
            .unwrap_or_else(|error| panic!("waiting for {name}: {error}"))
    }

    /// Runs a job, such as `snapshot-save`, to its end. Returns its error, if it has one.
    pub fn job(&mut self, command: &str, mut arguments: Value) -> Result<(), String> {
        arguments["job-id"] = json!("job");
        self.execute(command, arguments);
        self.wait_for_event_with("JOB_STATUS_CHANGE", |data| {
            data["id"] == "job" && data["status"] == "concluded"
        });
        let jobs = self.execute("query-jobs", json!({}));
        let mut jobs = jobs.as_array().expect("a list").iter();
        let job = jobs.find(|job| job["id"] == "job").expect("the job");
        self.execute("job-dismiss", json!({ "id": "job" }));
        match &job["error"] {
            Value::String(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
