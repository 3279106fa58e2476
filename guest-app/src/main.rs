// SPDX-License-Identifier: GPL-2.0-or-later

//! `my-rng`: the command-line app of the `my_rng` device.

mod cli;
mod commands;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::Failure;

/// As a shell sees a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 128 + 13;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(&cli),
        // Bad usage goes to stderr; help and version are output like any other, and may fail so.
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => help.print().map_err(Failure::Output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(BROKEN_PIPE)
        }
        Err(failure) => {
            // Where stderr fails too, the exit status is all that is left to say it with.
            let _ = writeln!(io::stderr(), "my-rng: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let mut device = my_rng::Device::open(&cli.device)?;
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = match cli.command {
        None => commands::classic(&mut device, &mut output),
        Some(Command::Seed { seed }) => device.seed(seed).map_err(Failure::Device),
        Some(Command::Read { count, format }) => {
            commands::read(&mut device, &mut output, count, format)
        }
    };
    // Also after a failure of the device: the numbers already taken are in the buffer.
    let flushed = output.flush().map_err(Failure::Output);
    result.and(flushed)
}
