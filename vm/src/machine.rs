// SPDX-License-Identifier: GPL-2.0-or-later

//! What a virtual machine consists of.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::Error;
use crate::accel::Accel;
use crate::built::Built;
use crate::initramfs::GuestFile;
use crate::signals::Interrupt;

/// A virtual machine, to be started any number of times. Its fields may be set freely before.
#[derive(Clone, Debug)]
pub struct Vm {
    /// The QEMU binary.
    pub qemu: PathBuf,
    /// The kernel image.
    pub kernel: PathBuf,
    /// The base initramfs.
    pub initramfs: PathBuf,
    /// The accelerator.
    pub accel: Accel,
    /// How many virtual CPUs.
    pub smp: u32,
    /// How much memory, as QEMU's `-m` takes it.
    pub mem: String,
    /// The machine type, as QEMU's `-machine` takes it.
    pub machine: String,
    /// `-device` options.
    pub devices: Vec<String>,
    /// Whether devices can be plugged into pc's root bus, and unplugged, while the guest runs. It
    /// takes time at boot, and gives every device a "Physical Slot".
    pub hotplug: bool,
    /// Host files for the guest.
    pub files: Vec<GuestFile>,
    /// Whether init loads the kernel module before it does its job.
    pub module: bool,
    /// Whether the kernel tests the device at boot.
    pub selftest: bool,
    /// More words for the kernel's command line.
    pub append: String,
    /// Where to keep what the guest says on its serial console.
    pub keep_log: Option<PathBuf>,
    /// Where QEMU listens for QMP.
    pub qmp: Option<PathBuf>,
    /// Whether the guest waits for gdb before its first instruction.
    pub gdb: bool,
    /// More arguments for QEMU.
    pub qemu_args: Vec<OsString>,
    /// When to give up, counted from the start; `None` for never.
    pub timeout: Option<Duration>,
    /// A request to stop.
    pub interrupt: Interrupt,
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

impl Vm {
    /// The usual machine from what `make` has built. The environment variable `ACCEL` chooses the
    /// accelerator, `MY_RNG_BUILD` the build directory.
    pub fn from_build() -> Result<Self, Error> {
        let built = Built::here()?;
        let vm = Self::new(
            built.file("qemu")?,
            built.file("kernel")?,
            built.file("initramfs")?,
        );
        Ok(Self {
            accel: Accel::from_env()?,
            ..vm
        })
    }

    /// The usual machine from these three.
    pub fn new(qemu: PathBuf, kernel: PathBuf, initramfs: PathBuf) -> Self {
        Self {
            qemu,
            kernel,
            initramfs,
            accel: Accel::Auto,
            smp: 2,
            mem: "256M".into(),
            machine: "pc".into(),
            devices: vec!["my_rng".into()],
            hotplug: false,
            files: Vec::new(),
            module: true,
            selftest: false,
            append: String::new(),
            keep_log: None,
            qmp: None,
            gdb: false,
            qemu_args: Vec::new(),
            timeout: Some(Duration::from_secs(120)),
            interrupt: Interrupt::default(),
        }
    }
}
