// SPDX-License-Identifier: GPL-2.0-or-later

//! What init is to do. The launcher writes it into the initramfs, as JSON.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// The job's file in the guest.
pub const JOB_PATH: &str = "/vm/job";
/// The kernel passes this argument to init if there is a job. Without it and the job's file, a guest was
/// booted by hand, and gets a shell.
pub const JOB_ARGUMENT: &str = "job";
/// The guest's directory of kernel modules.
pub const MODULES: &str = "/lib/modules";
/// The kernel module in the guest.
pub const MODULE_PATH: &str = "/lib/modules/my_rng.ko";

/// What init is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Load the kernel module first.
    pub load_module: bool,
    /// Then do this, and power off.
    pub work: Work,
}

/// The work itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Run a command. Each of its output streams has a port.
    Run(Vec<OsString>),
    /// Run commands one after the other on the serial console, as if typed there.
    Console(Vec<Step>),
    /// Give an interactive shell on the serial console.
    Shell(Terminal),
}

/// One command on the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Whether the kernel's log goes to the console meanwhile.
    pub kernel_log: bool,
}

/// The user's terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// `TERM`; empty if unknown.
    pub name: OsString,
    /// Height in lines; 0 if unknown.
    pub rows: u16,
    /// Width in columns; 0 if unknown.
    pub columns: u16,
}

impl Default for Job {
    /// What a guest does that was booted by hand, without a job.
    fn default() -> Self {
        Self {
            load_module: true,
            work: Work::Shell(Terminal::default()),
        }
    }
}

impl Job {
    /// The content of the job's file.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| format!("cannot write the job: {error}"))
    }

    /// Reads what [`Job::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes)
            .map_err(|error| format!("the job file {JOB_PATH} is damaged: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn every_job_survives() {
        let any_byte = OsString::from_vec((0..=255).collect());
        let step = |argv: &[&str], kernel_log| Step {
            argv: argv.iter().map(OsString::from).collect(),
            kernel_log,
        };
        for work in [
            Work::Run(vec!["ls".into()]),
            Work::Run(vec![
                "printf".into(),
                "".into(),
                "a b\n\"'$\\".into(),
                any_byte,
                "".into(),
            ]),
            Work::Console(vec![step(&["lspci", "-v"], false), step(&[""], true)]),
            Work::Shell(Terminal {
                name: "xterm-256color".into(),
                rows: 50,
                columns: 132,
            }),
            Job::default().work,
        ] {
            for load_module in [true, false] {
                let work = work.clone();
                let job = Job { load_module, work };
                assert_eq!(Job::decode(&job.encode().unwrap()), Ok(job));
            }
        }
    }

    #[test]
    fn a_damaged_job_is_refused() {
        let job = Job {
            load_module: false,
            work: Work::Run(vec!["ls".into(), "-l".into()]),
        };
        let whole = job.encode().unwrap();
        for length in 0..whole.len() {
            let error = Job::decode(&whole[..length]).unwrap_err();
            assert!(error.contains("/vm/job is damaged"), "{error}");
        }
        let text = String::from_utf8(whole).unwrap();
        for (from, to) in [
            ("false", "maybe"),
            ("Run", "Walk"),
            ("108", "-1"),
            ("108", "256"),
            ("}}", "}} more"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert!(damaged != text && Job::decode(damaged.as_bytes()).is_err());
        }
        let no_columns = r#"{"load_module":true,"work":{"Shell":{"name":{"Unix":[]},"rows":50}}}"#;
        assert!(Job::decode(no_columns.as_bytes()).is_err());
    }
}
