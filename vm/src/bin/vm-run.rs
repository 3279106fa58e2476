// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs a command in the guest.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use clap::Parser;
use my_rng_vm::cli::Options;
use my_rng_vm::job::Work;
use my_rng_vm::protocol::{Status, Stream};
use my_rng_vm::signals::{self, Interrupt};
use my_rng_vm::{Console, Error};

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
    let interrupt = Interrupt::default();
    interrupt.on_signals()?;
    if options.print_machine {
        return print(options.machine_lines(&interrupt)?);
    }
    let dry_run = options.dry_run;
    let (mut vm, work) = options.vm()?;
    vm.interrupt = interrupt;
    if dry_run {
        return print(vm.command_line(matches!(work, Work::Shell(_)))?);
    }
    let console = match &work {
        Work::Shell(_) => Console::Terminal,
        _ => Console::Streams {
            stdout: Box::new(unbuffered(io::stdout())?),
            stderr: Box::new(unbuffered(io::stderr())?),
        },
    };
    vm.start(work, console)?.wait().map(Status::code)
}

/// Prints a line.
fn print(line: impl Into<OsString>) -> Result<u8, Error> {
    let mut line = line.into().into_vec();
    line.push(b'\n');
    io::stdout()
        .write_all(&line)
        .map(|()| 0)
        .map_err(|error| Error::output(Stream::Stdout, error))
}

/// A stream that passes bytes on as they come, not line by line.
fn unbuffered(stream: impl AsFd) -> Result<File, Error> {
    stream
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(|error| Error::Host(format!("cannot write the command's output: {error}")))
}
