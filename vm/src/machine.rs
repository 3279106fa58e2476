// SPDX-License-Identifier: GPL-2.0-or-later

//! What a virtual machine consists of.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser};

use crate::Error;
use crate::accel::Accel;
use crate::arch::{Arch, MachineType};
use crate::built::Built;
use crate::initramfs::GuestFile;
use crate::signals::Interrupt;

/// A virtual machine, to be started any number of times. Its fields may be set freely before.
///
/// Most of them are options of `vm/run`, whose defaults are the defaults here.
#[derive(Args, Clone, Debug)]
pub struct Vm {
    /// The guest's architecture.
    #[arg(skip)]
    pub arch: Arch,
    /// The QEMU binary.
    #[arg(skip)]
    pub qemu: PathBuf,
    /// The kernel image.
    #[arg(skip)]
    pub kernel: PathBuf,
    /// The base initramfs.
    #[arg(skip)]
    pub initramfs: PathBuf,
    /// The accelerator.
    #[arg(skip)]
    pub accel: Accel,
    /// Where to keep what the guest says on its serial console.
    #[arg(skip)]
    pub keep_log: Option<PathBuf>,
    /// When to give up, counted from the start; `None` for never.
    #[arg(skip = Some(Duration::from_secs(120)))]
    pub timeout: Option<Duration>,
    /// A request to stop.
    #[arg(skip)]
    pub interrupt: Interrupt,

    /// How many virtual CPUs
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=255))]
    pub smp: u32,
    /// How much memory, as QEMU's -m takes it
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub mem: String,
    /// The machine type: pc or q35, for arm64 and riscv64 virt, or a version, such as pc-q35-8.2; options may
    /// follow [default: pc or virt]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<String>,
    /// A device, as QEMU's -device takes it; repeatable, replaces the default
    #[arg(long = "device", value_name = "SPEC", default_value = "my_rng")]
    pub devices: Vec<String>,
    /// Allow hot-plug: on pc's root bus, or on virt behind the root ports hotplug1 to hotplug4
    #[arg(long)]
    pub hotplug: bool,
    /// Put a host file, with its mode, at an absolute path of the guest; repeatable
    #[arg(long = "file", value_name = "HOST:GUEST")]
    #[arg(value_parser = OsStringValueParser::new().try_map(GuestFile::parse))]
    pub files: Vec<GuestFile>,
    /// Do not load the kernel module
    #[arg(long = "no-module", action = ArgAction::SetFalse)]
    pub module: bool,
    /// Run the kernel's self-test at boot, which seeds the device and takes numbers from it
    #[arg(long)]
    pub selftest: bool,
    /// More arguments for the kernel
    #[arg(
        long,
        value_name = "ARGS",
        default_value = "",
        hide_default_value = true
    )]
    #[arg(allow_hyphen_values = true)]
    pub append: String,
    /// Let QEMU listen for QMP on this Unix socket
    #[arg(long, value_name = "PATH")]
    pub qmp: Option<PathBuf>,
    /// Wait for gdb before the guest's first instruction, and print the command that attaches it
    #[arg(long)]
    pub gdb: bool,
    /// One more argument for QEMU itself; repeatable
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub qemu_args: Vec<OsString>,
}

impl Vm {
    /// The usual machine from what `make` has built. The environment variable `MY_RNG_ARCH` chooses the
    /// architecture, `ACCEL` the accelerator, `MY_RNG_BUILD` the build directory.
    pub fn from_build() -> Result<Self, Error> {
        let built = Built::here()?;
        let vm = Self::new(
            built.arch(),
            built.file("qemu")?,
            built.file("kernel")?,
            built.file("initramfs")?,
        );
        Ok(Self {
            accel: Accel::from_env()?,
            ..vm
        })
    }

    /// The usual machine of an architecture, from these three.
    pub fn new(arch: Arch, qemu: PathBuf, kernel: PathBuf, initramfs: PathBuf) -> Self {
        Self {
            arch,
            qemu,
            kernel,
            initramfs,
            ..Self::with_options(&[])
        }
    }

    /// A machine without files, with options of `vm/run`.
    pub fn with_options(options: &[&str]) -> Self {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            vm: Vm,
        }
        Only::parse_from([&["vm"], options].concat()).vm
    }

    /// The machine as QEMU's `-machine` takes it.
    pub fn machine(&self) -> &str {
        self.machine.as_deref().unwrap_or(self.arch.machine())
    }

    /// Its type, if the guest boots on it.
    pub(crate) fn machine_type(&self) -> Result<&'static MachineType, Error> {
        self.arch.machine_type(self.machine())
    }
}

/// Where a run's output goes.
pub enum Console {
    /// The command's streams; the serial console is only kept for errors.
    Streams {
        /// Takes the command's stdout.
        stdout: Box<dyn Write + Send>,
        /// Takes the command's stderr.
        stderr: Box<dyn Write + Send>,
    },
    /// What the guest says on its serial console, as it says it.
    Live(Box<dyn Write + Send>),
    /// The serial console is our terminal.
    Terminal,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Streams { .. } => "Streams",
            Self::Live(_) => "Live",
            Self::Terminal => "Terminal",
        })
    }
}
