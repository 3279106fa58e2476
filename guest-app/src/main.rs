// SPDX-License-Identifier: GPL-2.0-or-later

//! `my-rng`: the command-line app for the `my_rng` device.

mod cli;
mod commands;
mod facts;
mod manual;
mod output;
mod progress;
mod signals;

use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use my_rng::{Device, ErrorKind, Generator};

use crate::cli::{Cli, Command, Shape, VARIABLE};
use crate::commands::{Failure, Stream};
use crate::facts::Entry;
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
    let mut is_quiet = false;
    let result = match Cli::try_parse() {
        Ok(cli) => {
            is_quiet = cli.quiet;
            run(&cli, &mut account)
        }
        // Bad usage goes to stderr. Help and version go to stdout, and writing them can fail.
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => help.print().map_err(Failure::Output),
    };
    let status = result.as_ref().err().map_or(0, exit_status);
    if let Err(failure) = result {
        if status != BROKEN_PIPE && !is_quiet {
            complain(&failure, &account);
        }
    }
    // Everything is closed and reported now.
    account.stop.end();
    ExitCode::from(status)
}

/// The help and the README document these.
fn exit_status(failure: &Failure) -> u8 {
    match failure {
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => BROKEN_PIPE,
        Failure::Device(error) => match error.kind() {
            ErrorKind::NotFound => 3,
            ErrorKind::PermissionDenied => 4,
            ErrorKind::Gone => 5,
            _ => 1,
        },
        _ => 1,
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
    let seed = cli.seed().unwrap_or_else(|error| error.exit());
    let path = cli.device(env::var_os(VARIABLE));
    // If the handlers cannot be installed, signals end the program as usual.
    account.stop = Stop::on_signals().unwrap_or_default();
    // The output is opened after the device, so that a missing device does not empty a file, and before the device
    // is used, so that a file that cannot be written costs no number.
    match &cli.command {
        None => {
            let device = Device::open(path)?;
            if seed.is_some() {
                check_seedable(&device)?;
            }
            print(cli, &mut account.written, |output| {
                commands::classic(&mut { device }, output, seed)
            })
        }
        Some(Command::Seed { seed }) => {
            let device = Device::open(path)?;
            check_seedable(&device)?;
            Ok(device.seed(*seed)?)
        }
        Some(Command::Read(read)) => {
            let to_terminal = cli.output.is_none() && io::stdout().is_terminal();
            let amount = read
                .amount(to_terminal)
                .unwrap_or_else(|error| error.exit());
            let device = match seed {
                Some(_) => Device::open(path)?,
                None => Device::open_read_only(path)?,
            };
            let progress = Progress::new(
                amount.bytes,
                commands::PIECE,
                to_terminal,
                io::stderr().is_terminal() && !cli.quiet,
            );
            if seed.is_some() {
                check_seedable(&device)?;
            }
            print(cli, &mut account.written, |output| {
                if let Some(seed) = seed {
                    device.seed(seed)?;
                }
                let mut stream = Stream::new(device);
                let stop = || account.stop.is_asked();
                let result = commands::read(&mut stream, output, amount, &progress, stop);
                account.numbers = stream.numbers;
                result
            })
        }
        Some(Command::Info { format }) => {
            let info = Device::open_read_only(path)?.info()?;
            print(cli, &mut account.written, |output| {
                Ok(facts::info(output, &info.into(), *format)?)
            })
        }
        Some(Command::List { format }) => list(cli, account, *format),
        Some(Command::Completions { shell }) => print(cli, &mut account.written, |output| {
            Ok(manual::completions(output, *shell)?)
        }),
        Some(Command::Man) => print(cli, &mut account.written, |output| {
            Ok(manual::page(output)?)
        }),
    }
}

/// Opens the output, has `write` write to it, and makes sure that everything has arrived.
fn print(
    cli: &Cli,
    written: &mut u64,
    write: impl FnOnce(&mut BufWriter<Output>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let output = match &cli.output {
        None => Output::stdout()?,
        Some(path) => Output::create(path).map_err(|error| Failure::File(path.clone(), error))?,
    };
    let mut output = BufWriter::with_capacity(commands::PIECE, output);
    let result = write(&mut output);
    // Flush also if the device failed: the buffer holds numbers that were taken.
    let flushed = output.flush();
    // `into_parts` drops the buffer without flushing it a second time.
    let (output, _) = output.into_parts();
    *written = output.written;
    result?;
    flushed?;
    Ok(output.finish()?)
}

/// Fails if the device's generator takes no seed. If the driver does not report the generator, assume that it does.
fn check_seedable(device: &Device) -> Result<(), Failure> {
    match device.info() {
        Ok(info) if info.generator == Generator::Host => Err(Failure::Seedless(info.node)),
        _ => Ok(()),
    }
}

fn list(cli: &Cli, account: &mut Account, shape: Shape) -> Result<(), Failure> {
    let devices: Vec<_> = my_rng::list()?
        .into_iter()
        .map(|path| {
            let info = Device::open_read_only(&path).and_then(|device| device.info());
            (path, info)
        })
        .collect();
    let entries: Vec<_> = devices
        .iter()
        .map(|(path, info)| Entry::new(path, info))
        .collect();
    print(cli, &mut account.written, |output| {
        Ok(facts::list(output, &entries, shape)?)
    })?;
    if entries.is_empty() {
        // Fails, and its error says what is missing.
        my_rng::open()?;
    }
    // Report every error; `main` reports the one that is returned.
    let mut failures = devices.into_iter().filter_map(|(_, info)| info.err());
    let first = failures.next();
    for error in failures {
        if !cli.quiet {
            complain(&error.into(), &Account::default());
        }
    }
    first.map_or(Ok(()), |error| Err(error.into()))
}
