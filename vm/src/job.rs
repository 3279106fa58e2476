// SPDX-License-Identifier: GPL-2.0-or-later

//! What the guest's init is to do: written into the initramfs by the launcher, read by init.
//!
//! The file is a row of fields, each ended by a NUL byte, so that a command's arguments may hold
//! any byte that an argument can hold.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where the job's file stands in the guest.
pub const JOB_PATH: &str = "/vm/job";
/// The folder of kernel modules in the guest.
pub const MODULES: &str = "/lib/modules";
/// Where the kernel module stands in the guest.
pub const MODULE_PATH: &str = "/lib/modules/my_rng.ko";

/// What init is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Load the kernel module first.
    pub load_module: bool,
    /// Then do this, and power off.
    pub work: Work,
}

/// The work itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Run a command with its output going to ports of its own.
    Run(Vec<OsString>),
    /// Run commands one after the other on the serial console, as if typed there.
    Console(Vec<Step>),
    /// Give an interactive shell on the serial console.
    Shell(Terminal),
}

/// One command on the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Whether what the kernel logs meanwhile belongs on the console.
    pub kernel_log: bool,
}

/// The terminal that a shell is used from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The file's bytes. An argument with a NUL byte cannot be stated (nor could any command be
    /// given one) and is an error.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut field = |bytes: &[u8]| {
            if bytes.contains(&0) {
                return Err(format!(
                    "the argument '{}' holds a NUL byte, which no command can be given",
                    String::from_utf8_lossy(bytes)
                ));
            }
            out.extend_from_slice(bytes);
            out.push(0);
            Ok(())
        };
        field(flag(self.load_module))?;
        match &self.work {
            Work::Run(argv) => {
                field(b"run")?;
                field(argv.len().to_string().as_bytes())?;
                for argument in argv {
                    field(argument.as_bytes())?;
                }
            }
            Work::Console(steps) => {
                field(b"console")?;
                for step in steps {
                    field(flag(step.kernel_log))?;
                    field(step.argv.len().to_string().as_bytes())?;
                    for argument in &step.argv {
                        field(argument.as_bytes())?;
                    }
                }
            }
            Work::Shell(terminal) => {
                field(b"shell")?;
                field(terminal.name.as_bytes())?;
                field(terminal.rows.to_string().as_bytes())?;
                field(terminal.columns.to_string().as_bytes())?;
            }
        }
        Ok(out)
    }

    /// Reads what [`Job::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let damaged = || format!("the job file {JOB_PATH} is damaged");
        let mut fields = bytes
            .strip_suffix(&[0])
            .ok_or_else(damaged)?
            .split(|byte| *byte == 0);
        let mut next = || fields.next().ok_or_else(damaged);
        let load_module = unflag(next()?).ok_or_else(damaged)?;
        let work = match next()? {
            b"run" => {
                let length: usize = number(next()?).ok_or_else(damaged)?;
                let argv: Vec<_> = fields.map(os_string).collect();
                if argv.len() != length {
                    return Err(damaged());
                }
                Work::Run(argv)
            }
            b"shell" => Work::Shell(Terminal {
                name: os_string(next()?),
                rows: number(next()?).ok_or_else(damaged)?,
                columns: number(next()?).ok_or_else(damaged)?,
            }),
            b"console" => {
                let mut steps = Vec::new();
                while let Some(kernel_log) = fields.next() {
                    let kernel_log = unflag(kernel_log).ok_or_else(damaged)?;
                    let length: usize = fields.next().and_then(number).ok_or_else(damaged)?;
                    let argv: Vec<_> = fields.by_ref().take(length).map(os_string).collect();
                    if argv.len() != length {
                        return Err(damaged());
                    }
                    steps.push(Step { argv, kernel_log });
                }
                Work::Console(steps)
            }
            _ => return Err(damaged()),
        };
        Ok(Self { load_module, work })
    }
}

fn flag(value: bool) -> &'static [u8] {
    if value { b"yes" } else { b"no" }
}

fn unflag(field: &[u8]) -> Option<bool> {
    match field {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn os_string(field: &[u8]) -> OsString {
    OsString::from_vec(field.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back_and_forth(job: &Job) {
        assert_eq!(Job::decode(&job.encode().unwrap()).as_ref(), Ok(job));
    }

    #[test]
    fn every_job_survives() {
        back_and_forth(&Job::default());
        back_and_forth(&Job {
            load_module: false,
            work: Work::Run(vec!["ls".into()]),
        });
        back_and_forth(&Job {
            load_module: true,
            work: Work::Run(vec![
                "printf".into(),
                "".into(),
                "a b\n\"'$\\".into(),
                OsString::from_vec((1..=255).collect()),
                "".into(),
            ]),
        });
        back_and_forth(&Job {
            load_module: false,
            work: Work::Console(vec![
                Step {
                    argv: vec!["lspci".into(), "-v".into()],
                    kernel_log: false,
                },
                Step {
                    argv: vec!["".into()],
                    kernel_log: true,
                },
            ]),
        });
        back_and_forth(&Job {
            load_module: true,
            work: Work::Shell(Terminal {
                name: "xterm-256color".into(),
                rows: 50,
                columns: 132,
            }),
        });
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let job = Job {
            load_module: true,
            work: Work::Run(vec!["a\0b".into()]),
        };
        assert!(job.encode().unwrap_err().contains("NUL"));
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [
            &b""[..],
            b"yes",
            b"yes\0",
            b"maybe\0run\0ls\0",
            b"yes\0walk\0",
            b"yes\0run\x001\0ls",
            b"yes\0run\x002\0ls\0",
            b"yes\0shell\0xterm\0",
            b"yes\0shell\0xterm\0-1\x0080\0",
            b"yes\0console\0no\0",
            b"yes\0console\0no\x003\0ls\0",
            b"yes\0console\0no\x0099999999999999999999\0ls\0",
        ] {
            assert!(Job::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
