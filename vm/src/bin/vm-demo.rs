// SPDX-License-Identifier: GPL-2.0-or-later

//! The demo: boots the guest, shows its serial console, and checks all that it says.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use my_rng_vm::cli::Common;
use my_rng_vm::demo::{Verdict, check, work};
use my_rng_vm::{Console, Error, signals};

/// Boot the guest, show its serial console, and check every line of it that is documented
///
/// Ends with one line that starts with PASS or FAIL, and exit status 0 or 1.
#[derive(Parser)]
#[command(name = "vm-demo")]
struct Options {
    #[command(flatten)]
    common: Common,
}

/// Shows what comes, and keeps it.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = io::stdout().write(bytes)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(verdict) => {
            // A verdict that nobody reads still counts.
            let _ = writeln!(io::stdout(), "\n{verdict}");
            ExitCode::from(u8::from(!verdict.passed()))
        }
        Err(Error::Interrupted(signal)) => signals::die_of(signal),
        Err(error) => {
            let _ = io::stdout().flush();
            let _ = writeln!(io::stderr(), "\nFAIL: {}", error.sentence());
            ExitCode::from(error.exit_status())
        }
    }
}

fn run(options: &Options) -> Result<Verdict, Error> {
    let mut vm = options.common.vm()?;
    vm.interrupt.on_signals()?;
    vm.selftest = true;
    // Nothing here needs a second processor, and the guest comes up sooner without.
    vm.smp = 1;
    // The demo shows the module being loaded.
    vm.module = false;
    let shown = Shown::default();
    let running = vm.start(work(), Console::Live(Box::new(shown.clone())))?;
    let ended = running.wait()?;
    let mut verdict = check(&shown.bytes());
    if ended.code() != 0 {
        verdict
            .differences
            .push(format!("a command ended with status {}", ended.code()));
    }
    Ok(verdict)
}
