// SPDX-License-Identifier: GPL-2.0-or-later

//! `qemu-overlay`: lays the `my_rng` device on a QEMU source tree, and takes it off again.

mod copies;
mod overlay;
mod patch;
mod tree;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use overlay::{Manner, Overlay, State};
use tree::Tree;

/// Lays the my_rng device on a QEMU source tree, and takes it off again.
///
/// New files are laid as links into this repository, so that an edit on either side is the same
/// edit; QEMU's own files get lines and lose just those again. After this repository was moved, apply
/// the overlay again. A tree that has to build where this repository is not gets copies (--copy), or the
/// patch.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Example:
  qemu-overlay apply ~/hw8/qemu-8.2.9
  cd ~/hw8/qemu-8.2.9
  ./configure --prefix=$PWD/prefix --target-list=x86_64-softmmu
  make -j4 install

QEMU's make has cargo build the device from crates that `apply` gets from crates.io: after it, the build
needs no network."
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

        /// Lay copies of the files, and of the crate that they build, in the place of links
        #[arg(long)]
        copy: bool,
    },
    /// Print a patch that lays the same copies on a tree like this one, which stays as it is
    Patch {
        #[command(flatten)]
        tree: TreeArguments,
    },
    /// Take the overlay off, which leaves the tree as it was, byte for byte; a copy that you have changed
    /// is not deleted
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
        Command::Apply { tree, force, copy } => {
            let tree = tree.open()?;
            if !force {
                tree.require_known_series()?;
            }
            let manner = if *copy { Manner::Copies } else { Manner::Links };
            let changed = overlay.apply(&tree, manner)?;
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
            fetch_crates(&tree.path(copies::FOLDER).join(copies::CRATE.0));
        }
        Command::Patch { tree } => {
            let tree = tree.open()?;
            tree.require_known_series()?;
            io::stdout().write_all(&overlay.patch(&tree)?)?;
        }
        Command::Remove { tree } => {
            let tree = tree.open()?;
            let changed = overlay.remove(&tree)?;
            let own = tree.path(copies::FOLDER);
            if own.exists() {
                println!(
                    "{} stays, for it has files that were not laid",
                    own.display()
                );
            }
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

/// Has cargo get the crates that QEMU's build will want of it, as long as there is a network.
fn fetch_crates(folder: &Path) {
    // Where a link leads, as QEMU's build has it: cargo looks for the workspace from there.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let cargo = || {
        let mut cargo = Process::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // In the crate, so that rustup sees the repository's rust-toolchain.toml.
        cargo.current_dir(&folder);
        cargo
    };
    let about = cargo().arg("-vV").output().map(|output| output.stdout);
    let about = String::from_utf8(about.unwrap_or_default()).unwrap_or_default();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    // Not those for other systems.
    let fetched = host.is_some_and(|host| {
        let mut fetch = cargo();
        fetch.args(["fetch", "--locked", "--quiet", "--target", host]);
        fetch.status().is_ok_and(|status| status.success())
    });
    if !fetched {
        eprintln!(
            "qemu-overlay: the crates that QEMU's make needs could not all be fetched: have cargo and the \
             network there when you say make, or apply the overlay again."
        );
    }
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
