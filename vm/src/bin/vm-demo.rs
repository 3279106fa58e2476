// SPDX-License-Identifier: GPL-2.0-or-later

//! The demo: boots the guest, shows its serial console, and checks it.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use my_rng_vm::cli::Common;
use my_rng_vm::demo::{Verdict, check, work};
use my_rng_vm::{Console, Error, Vm, signals};

/// Boot the guest, show its serial console, and check every line of it that is documented
///
/// Ends with one line that starts with PASS or FAIL, and exit status 0 or 1.
#[derive(Parser)]
#[command(name = "vm-demo")]
struct Options {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(verdict) => {
            // The status counts even if nobody reads this.
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
    // The guest boots faster with one processor. The demo loads the module itself.
    let vm = Vm::with_options(&["--selftest", "--smp=1", "--no-module"]);
    let vm = options.common.complete(vm)?;
    vm.interrupt.on_signals()?;
    let running = vm.start(work(), Console::Live(Box::new(io::stdout())))?;
    let shown = running.shown();
    let status = running.wait()?.code();
    let mut verdict = check(&shown.take());
    if status != 0 {
        let text = format!("a command ended with status {status}");
        verdict.differences.push(text);
    }
    Ok(verdict)
}
