// SPDX-License-Identifier: GPL-2.0-or-later

//! Builds the guest's initramfs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use my_rng_vm::initramfs::{Inputs, build};

/// Build the guest's initramfs: init, the app, the kernel module, busybox and lspci
///
/// The same files give the same bytes, and the output changes only when all of it is there.
#[derive(Parser)]
#[command(name = "vm-initramfs")]
struct Options {
    /// The guest's init (vm-init, linked statically)
    #[arg(long, value_name = "FILE")]
    init: PathBuf,
    /// The app (my-rng, linked statically)
    #[arg(long, value_name = "FILE")]
    app: PathBuf,
    /// The kernel module (my_rng.ko)
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// busybox [default: where the package busybox-static puts it]
    #[arg(long, value_name = "FILE")]
    busybox: Option<PathBuf>,
    /// lspci [default: where the package pciutils puts it]
    #[arg(long, value_name = "FILE")]
    lspci: Option<PathBuf>,
    /// The names of PCI devices [default: where the package pci.ids puts them]
    #[arg(long, value_name = "FILE")]
    pci_ids: Option<PathBuf>,
    /// Where to write the initramfs
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let inputs = Inputs {
        init: options.init,
        app: options.app,
        module: options.module,
        busybox: options.busybox,
        lspci: options.lspci,
        pci_ids: options.pci_ids,
    };
    match build(&inputs, &options.output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vm-initramfs: {error}");
            ExitCode::FAILURE
        }
    }
}
