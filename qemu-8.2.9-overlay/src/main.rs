// SPDX-License-Identifier: GPL-2.0-or-later

//! `qemu-overlay`: lays PCI devices in Rust on a QEMU source tree, takes them off again, and makes new ones.

mod files;
mod insertion;
mod new;
mod overlay;
mod patch;
mod record;
mod repository;
mod tree;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use overlay::{Manner, State};
use repository::Repository;
use tree::Tree;

/// Lays PCI devices in Rust on a QEMU source tree, takes them off again, and makes new ones.
///
/// New files are laid as links into the devices' repository, so that an edit on either side is the same
/// edit; QEMU's own files get lines and lose just those again. After the repository was moved, apply
/// the overlay again. A tree that has to build where the repository is not gets copies (--copy), or the
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

QEMU's make has cargo build the devices from crates that `apply` gets from crates.io: after it, the build
needs no network."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lay the devices on the tree; laying them on twice changes nothing
    Apply {
        #[command(flatten)]
        devices: DevicesArgument,

        #[command(flatten)]
        tree: TreeArgument,

        /// Accept a QEMU series that the overlay was not tested with
        #[arg(long, env = "MY_RNG_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
        force: bool,

        /// Lay copies instead of links, with copies of the crates that they build
        #[arg(long)]
        copy: bool,
    },
    /// Print a patch that lays the same copies on a tree like this one, which stays as it is
    Patch {
        #[command(flatten)]
        devices: DevicesArgument,

        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Take the devices off, which leaves the tree as it was, byte for byte; a copy that you have changed
    /// is not deleted
    Remove {
        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Say whether devices are on the tree (exit status 0) or not (1)
    Status {
        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Make a new device, which counts how often its one register is read, to start from
    New {
        /// Its name: lower-case letters, digits and `_`
        name: String,

        #[command(flatten)]
        devices: DevicesArgument,

        /// Where a new repository gets the kit from: a git URL, or the folder of a clone [default: this
        /// repository]
        #[arg(long)]
        kit: Option<String>,
    },
}

#[derive(clap::Args)]
struct TreeArgument {
    /// The root of an unpacked QEMU source tree
    dir: PathBuf,
}

#[derive(clap::Args)]
struct DevicesArgument {
    /// The folder of the crate with the devices [default: that of this repository]
    #[arg(long)]
    devices: Option<PathBuf>,
}

impl TreeArgument {
    fn open(&self) -> Result<Tree> {
        Tree::open(&self.dir)
    }
}

impl DevicesArgument {
    fn dir(&self) -> Result<PathBuf> {
        match &self.devices {
            Some(devices) => Ok(devices.clone()),
            None => Ok(own_repository()?.join("rust-dev")),
        }
    }
}

/// The repository that this program was built from.
fn own_repository() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    match own.canonicalize() {
        Ok(own) => Ok(own.parent().unwrap_or(&own).to_owned()),
        Err(_) => bail!(
            "the repository is not at {} any more; build qemu-overlay again where it is now",
            own.display()
        ),
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Apply {
            devices,
            tree,
            force,
            copy,
        } => {
            let tree = tree.open()?;
            if !force {
                tree.require_known_series()?;
            }
            let repository = Repository::open(&devices.dir()?)?;
            let manner = if *copy { Manner::Copies } else { Manner::Links };
            let changed = overlay::apply(&tree, &repository, manner)?;
            tree.report(if changed {
                "the overlay is laid on"
            } else {
                "the overlay was on already; nothing changed"
            });
            fetch_crates(&tree, &repository);
        }
        Command::Patch { devices, tree } => {
            let tree = tree.open()?;
            tree.require_known_series()?;
            let repository = Repository::open(&devices.dir()?)?;
            io::stdout().write_all(&overlay::patch(&tree, &repository)?)?;
        }
        Command::Remove { tree } => {
            let tree = tree.open()?;
            let changed = overlay::remove(&tree)?;
            let devices = tree.path(files::ROOT);
            if devices.exists() {
                println!(
                    "{} stays: there are files in it that qemu-overlay did not lay",
                    devices.display()
                );
            }
            tree.report(if changed {
                "the overlay is taken off"
            } else {
                "the overlay was not on; nothing changed"
            });
        }
        Command::Status { tree } => {
            let tree = tree.open()?;
            let (what, code) = match overlay::state(&tree)? {
                State::On => ("the overlay is on", ExitCode::SUCCESS),
                State::Off => ("the overlay is not on", ExitCode::FAILURE),
                State::Partly => (
                    "the overlay is on in part: `apply` completes it, `remove` takes it off",
                    ExitCode::FAILURE,
                ),
            };
            tree.report(what);
            return Ok(code);
        }
        Command::New { name, devices, kit } => {
            let dir = devices.dir()?;
            let kit = match kit {
                Some(kit) => kit.clone(),
                None => own_repository()?.display().to_string(),
            };
            for path in new::make(name, &dir, &kit)? {
                println!("{}", path.display());
            }
            let manifest = dir.join("Cargo.toml");
            println!(
                "Test it: cargo test --manifest-path {} {name}",
                manifest.display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Has cargo get the crates that QEMU's build will want of it, as long as there is a network.
fn fetch_crates(tree: &Tree, repository: &Repository) {
    let root = tree.path(files::ROOT);
    let folder = root.join(&repository.krate);
    // Where a link leads, as QEMU's build has it: cargo looks for the workspace from there.
    let folder = folder.canonicalize().unwrap_or(folder);
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
        fetch.args(["fetch", "--quiet", "--target", host]);
        // Or else it is made now, with the newest versions.
        if root.join("Cargo.lock").exists() {
            fetch.arg("--locked");
        }
        fetch.status().is_ok_and(|status| status.success())
    });
    if !fetched {
        eprintln!(
            "qemu-overlay: the crates that QEMU's make needs could not all be fetched: make cargo and the \
             network available to make, or apply the overlay again."
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
