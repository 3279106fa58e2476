// SPDX-License-Identifier: GPL-2.0-or-later

//! Builds the guest's initramfs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use my_rng_vm::initramfs::{Inputs, build};

/// Build the guest's initramfs: init, the app, the kernel module, busybox and lspci
///
/// The same files give the same bytes. The output is replaced only when the new one is complete.
#[derive(Parser)]
#[command(name = "vm-initramfs")]
struct Options {
    #[command(flatten)]
    inputs: Inputs,
    /// Where to write the initramfs
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match build(&options.inputs, &options.output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vm-initramfs: {error}");
            ExitCode::FAILURE
        }
    }
}
