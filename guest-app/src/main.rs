// SPDX-License-Identifier: GPL-2.0-or-later

//! `my-rng`: the command-line app for the `my_rng` device.

mod cli;
mod commands;
mod facts;
mod manual;
mod output;
mod progress;
mod signals;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use my_rng::{Device, Generator};

use crate::cli::{Amount, Cli, Command, Shape};
use crate::commands::{Failure, Stream};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals::Stop;

/// The exit status that a shell shows for a program killed by SIGPIPE.
const BROKEN_PIPE: u8 = 128 + 13;

/// What a run has read and written, also if it failed.
#[derive(Default)]
struct Account {
    /// How many numbers were taken by `read`.
    numbers: u64,
    /// How many bytes of output were written.
    written: u64,
    stop: Stop,
}

fn main() -> ExitCode {
    let mut account = Account::default();
    let result = match Cli::try_parse() {
        Ok(cli) => run(&cli, &mut account),
        // Bad usage goes to stderr. Help and version go to stdout, and writing them can fail.
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => help.print().map_err(Failure::Output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(BROKEN_PIPE)
        }
        Err(failure) => {
            complain(&failure, &account);
            if matches!(failure, Failure::Interrupted) {
                account.stop.end();
            }
            ExitCode::FAILURE
        }
    }
}

fn complain(failure: &Failure, account: &Account) {
    let taken = match account.numbers {
        0 => String::new(),
        numbers => format!(
            "; {numbers} numbers were taken from the stream, {} bytes of output written",
            account.written
        ),
    };
    // If stderr fails too, only the exit status remains.
    let _ = writeln!(io::stderr(), "my-rng: {failure}{taken}");
}

fn run(cli: &Cli, account: &mut Account) -> Result<(), Failure> {
    if let Err(error) = cli.check() {
        error.exit();
    }
    let mut output = BufWriter::with_capacity(commands::PIECE, Output::stdout()?);
    let result = command(cli, &mut output, account);
    // Flush also if the device failed: the buffer holds numbers that were taken.
    let flushed = output.flush().map_err(Failure::Output);
    // `into_parts` drops the buffer without flushing it a second time.
    account.written = output.into_parts().0.written;
    result.and(flushed)
}

fn command(cli: &Cli, output: &mut impl Write, account: &mut Account) -> Result<(), Failure> {
    match &cli.command {
        None => {
            let mut device = Device::open(&cli.device)?;
            if cli.seed.is_some() {
                check_seedable(&device)?;
            }
            commands::classic(&mut device, output, cli.seed)
        }
        Some(Command::Seed { seed }) => {
            let device = Device::open(&cli.device)?;
            check_seedable(&device)?;
            Ok(device.seed(*seed)?)
        }
        Some(Command::Read(read)) => {
            let amount = read
                .amount(io::stdout().is_terminal())
                .unwrap_or_else(|error| error.exit());
            let device = Device::open(&cli.device)?;
            if let Some(seed) = read.seed {
                check_seedable(&device)?;
                device.seed(seed)?;
            }
            take(device, amount, output, account)
        }
        Some(Command::Info { format }) => {
            let info = Device::open(&cli.device)?.info()?;
            Ok(facts::info(output, &info, *format)?)
        }
        Some(Command::List { format }) => list(output, *format),
        Some(Command::Completions { shell }) => Ok(manual::completions(output, *shell)?),
        Some(Command::Man) => Ok(manual::page(output)?),
    }
}

/// Fails if the device's generator takes no seed. If the driver does not report the generator, assume that it does.
fn check_seedable(device: &Device) -> Result<(), Failure> {
    match device.info() {
        Ok(info) if info.generator == Generator::Host => Err(Failure::Seedless(info.node)),
        _ => Ok(()),
    }
}

fn take(
    device: Device,
    amount: Amount,
    output: &mut impl Write,
    account: &mut Account,
) -> Result<(), Failure> {
    // If the handlers cannot be installed, signals end the program as usual.
    account.stop = Stop::on_signals().unwrap_or_default();
    let progress = Progress::new(
        amount.bytes,
        commands::PIECE,
        io::stdout().is_terminal(),
        io::stderr().is_terminal(),
    );
    let mut stream = Stream::new(device);
    let stop = || account.stop.is_asked();
    let result = commands::read(&mut stream, output, amount, &progress, stop);
    account.numbers = stream.numbers;
    result
}

fn list(output: &mut impl Write, shape: Shape) -> Result<(), Failure> {
    let nodes = my_rng::list()?;
    let entries: Vec<facts::Entry> = nodes
        .into_iter()
        .map(|node| {
            let info = Device::open(&node).and_then(|device| device.info());
            (node, info)
        })
        .collect();
    facts::list(output, &entries, shape)?;
    if entries.is_empty() {
        // Fails, and its error says what is missing.
        Device::open(&my_rng::default_path())?;
    }
    // Report every error; `main` reports the one that is returned.
    let mut failures = entries.into_iter().filter_map(|(_, info)| info.err());
    let first = failures.next();
    for error in failures {
        complain(&error.into(), &Account::default());
    }
    first.map_or(Ok(()), |error| Err(error.into()))
}
