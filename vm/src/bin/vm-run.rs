// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs a command in the guest.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use my_rng_vm::cli::Options;
use my_rng_vm::job::Work;
use my_rng_vm::{Console, Error, signals};

/// The status for errors of our own, wrong usage among them: a command's own 2 stays its own.
const OWN_ERROR: u8 = 125;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { OWN_ERROR } else { 0 });
        }
    };
    match run(options) {
        Ok(status) => ExitCode::from(status),
        Err(Error::Interrupted(signal)) => signals::die_of(signal),
        Err(error) => {
            if !matches!(error, Error::ReaderGone(_)) {
                // If stderr is gone too, the status must do.
                let _ = writeln!(io::stderr(), "vm/run: {error}");
            }
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(options: Options) -> Result<u8, Error> {
    let (vm, work) = options.vm()?;
    vm.interrupt.on_signals()?;
    let console = match &work {
        Work::Shell(_) => Console::Terminal,
        _ => Console::Streams {
            stdout: Box::new(unbuffered(io::stdout())?),
            stderr: Box::new(unbuffered(io::stderr())?),
        },
    };
    vm.start(work, console)?
        .wait()
        .map(|finished| finished.status.code())
}

/// A stream that passes bytes on as they come, not line by line.
fn unbuffered(stream: impl AsFd) -> Result<File, Error> {
    stream
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(|error| Error::Host(format!("cannot write the command's output: {error}")))
}
