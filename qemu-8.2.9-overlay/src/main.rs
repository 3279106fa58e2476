// SPDX-License-Identifier: GPL-2.0-or-later

//! `qemu-overlay`: lays the `my_rng` device on a QEMU source tree, and takes it off again.

mod overlay;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use overlay::{Overlay, State};
use tree::Tree;

/// Lays the my_rng device on a QEMU source tree, and takes it off again.
///
/// New files are laid as links into this repository, so that an edit on either side is the same
/// edit; QEMU's own files get lines and lose just those again. After this repository was moved, apply
/// the overlay again.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Example:
  qemu-overlay apply ~/hw8/qemu-8.2.9
  cd ~/hw8/qemu-8.2.9
  ./configure --prefix=$PWD/prefix --target-list=x86_64-softmmu
  make -j4 install"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lay the overlay on the tree; laying it on twice changes nothing
    Apply {
        #[command(flatten)]
        tree: TreeArguments,

        /// Go on with a QEMU series that the overlay was not tried on
        #[arg(long, env = "MY_RNG_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
        force: bool,
    },
    /// Take the overlay off, which leaves the tree as it was, byte for byte
    Remove {
        #[command(flatten)]
        tree: TreeArguments,
    },
    /// Say whether the overlay is on the tree (exit status 0) or not (1)
    Status {
        #[command(flatten)]
        tree: TreeArguments,
    },
}

#[derive(clap::Args)]
struct TreeArguments {
    /// The root of an unpacked QEMU source tree
    dir: PathBuf,
}

impl TreeArguments {
    fn open(&self) -> Result<Tree> {
        Tree::open(&self.dir)
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Where this program was built from is where the files to lay are.
    let overlay = Overlay::new(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    match &arguments.command {
        Command::Apply { tree, force } => {
            let tree = tree.open()?;
            if !force {
                tree.require_known_series()?;
            }
            let changed = overlay.apply(&tree)?;
            let what = if changed {
                "the overlay is laid on"
            } else {
                "the overlay was on already; nothing changed"
            };
            println!(
                "QEMU {} in {}: {what}",
                tree.version(),
                tree.root().display()
            );
        }
        Command::Remove { tree } => {
            let tree = tree.open()?;
            let changed = overlay.remove(&tree)?;
            let what = if changed {
                "the overlay is taken off"
            } else {
                "the overlay was not on; nothing changed"
            };
            println!(
                "QEMU {} in {}: {what}",
                tree.version(),
                tree.root().display()
            );
        }
        Command::Status { tree } => {
            let tree = tree.open()?;
            let (what, code) = match overlay.state(&tree)? {
                State::On => ("the overlay is on", ExitCode::SUCCESS),
                State::Off => ("the overlay is not on", ExitCode::FAILURE),
                State::Partly => (
                    "the overlay is on in part: `apply` completes it, `remove` takes it off",
                    ExitCode::FAILURE,
                ),
            };
            println!(
                "QEMU {} in {}: {what}",
                tree.version(),
                tree.root().display()
            );
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qemu-overlay: {error:#}");
            ExitCode::from(2)
        }
    }
}
