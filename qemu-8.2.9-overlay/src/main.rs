// SPDX-License-Identifier: GPL-2.0-or-later

//! `qemu-overlay`: adds PCI devices in Rust to a QEMU source tree, removes them, and creates new ones.

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

/// Adds PCI devices in Rust to a QEMU source tree, removes them, and creates new ones.
///
/// New files are symbolic links into the devices' repository, so you can edit them on either side. A few
/// lines are inserted into QEMU's own files; `remove` deletes only these. If you move the repository,
/// apply the overlay again. If the tree must build without the repository, use copies (--copy) or the
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

QEMU's make runs cargo to build the devices. `apply` downloads the crates that they need from crates.io,
so the build needs no network."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add the devices to the tree; has no effect if they are already there
    Apply {
        #[command(flatten)]
        devices: DevicesArgument,

        #[command(flatten)]
        tree: TreeArgument,

        /// Accept a QEMU series that the overlay was not tested with
        #[arg(long, env = "MY_RNG_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
        force: bool,

        /// Use copies instead of links, and copy the crates to build too
        #[arg(long)]
        copy: bool,
    },
    /// Print a patch that adds the same copies to a tree like this one; this tree is not changed
    Patch {
        #[command(flatten)]
        devices: DevicesArgument,

        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Remove the devices, which restores the tree byte for byte; a copy that you have changed is not
    /// deleted
    Remove {
        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Show whether the tree has devices (exit status 0) or not (1)
    Status {
        #[command(flatten)]
        tree: TreeArgument,
    },
    /// Create a new device to start from; it has one register, which counts how often it is read
    New {
        /// Its name: lower-case letters, digits and `_`
        name: String,

        #[command(flatten)]
        devices: DevicesArgument,

        /// The kit's source for a new repository: a git URL, or the directory of a clone [default:
        /// this repository]
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
    /// The directory of the crate with the devices [default: the crate of this repository]
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
            "the repository was moved away from {}; build qemu-overlay again at its new place",
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
                "the overlay is applied"
            } else {
                "the overlay was already applied; nothing changed"
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
                    "{} is not removed: it has files that qemu-overlay did not create",
                    devices.display()
                );
            }
            tree.report(if changed {
                "the overlay is removed"
            } else {
                "the overlay was not applied; nothing changed"
            });
        }
        Command::Status { tree } => {
            let tree = tree.open()?;
            let (what, code) = match overlay::state(&tree)? {
                State::On => ("the overlay is applied", ExitCode::SUCCESS),
                State::Off => ("the overlay is not applied", ExitCode::FAILURE),
                State::Partly => (
                    "the overlay is applied in part: run `apply` to complete it or `remove` to remove it",
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

/// Downloads the crates that QEMU's build needs, while there is a network.
fn fetch_crates(tree: &Tree, repository: &Repository) {
    let root = tree.path(files::ROOT);
    let folder = root.join(&repository.krate);
    // Resolve links, like QEMU's build: cargo searches the workspace from there.
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
    // Only the crates for this system.
    let fetched = host.is_some_and(|host| {
        let mut fetch = cargo();
        fetch.args(["fetch", "--quiet", "--target", host]);
        // Without a lock file, cargo creates one with the newest versions.
        if root.join("Cargo.lock").exists() {
            fetch.arg("--locked");
        }
        fetch.status().is_ok_and(|status| status.success())
    });
    if !fetched {
        eprintln!(
            "qemu-overlay: not all crates that QEMU's build needs could be downloaded: apply the overlay \
             again with a network, or run make with a network."
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
