// SPDX-License-Identifier: GPL-2.0-or-later

//! The launcher's command line.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use rustix::termios::isatty;

use crate::accel::{Accel, Chosen, Prober};
use crate::built::Built;
use crate::initramfs::GuestFile;
use crate::job::Work;
use crate::machine::Vm;
use crate::signals::Interrupt;
use crate::{Error, qemu, terminal};

const AFTER_HELP: &str = "\
The command runs as root, in /root, with no standard input. What it writes to stdout and stderr
arrives byte for byte and apart; the console's text is not mixed in. When the command ends, so does
the guest, with whatever still runs in it.

Exit status: the command's; 128 + n if signal n ended it; 127 if it is not in the guest, 126 if it
cannot be executed there; 124 after the time-out; 125 for any other error, which is told on stderr;
141 if nobody reads the output any more.

Environment:
  ACCEL           the accelerator, if --accel is not given: auto, kvm or tcg
  MY_RNG_BUILD    the build folder, if it is not build/ in the repository
  XDG_CACHE_HOME  where the verdict on KVM is remembered (my_rng/accel; ~/.cache by default)

Examples:
  vm/run -- lspci -v
  vm/run -- my-rng read 10
  vm/run --file ./probe:/bin/probe --device my_rng --device my_rng -- probe
  vm/run --machine q35 --qmp /tmp/qmp --timeout 300 -- sh -c 'my-rng read 1000 | wc -l'
  vm/run --shell";

/// Run a command in the guest, as root, and exit with its status
#[derive(Debug, Parser)]
#[command(name = "vm/run", after_help = AFTER_HELP, arg_required_else_help = true)]
#[command(override_usage = "vm/run [OPTIONS] -- COMMAND [ARG...]\n       vm/run [OPTIONS] --shell")]
pub struct Options {
    /// What both the launcher and the demo take.
    #[command(flatten)]
    pub common: Common,
    /// How many virtual CPUs
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub smp: u32,
    /// How much memory
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub mem: String,
    /// A device, as QEMU's -device takes it; repeatable, replaces the default [default: my_rng]
    #[arg(long = "device", value_name = "SPEC")]
    pub devices: Vec<String>,
    /// Let devices be plugged into pc's root bus, and out of it, while the guest runs
    #[arg(long)]
    pub hotplug: bool,
    /// Put a host file, with its mode, at an absolute path of the guest; repeatable
    #[arg(long = "file", value_name = "HOST:GUEST", value_parser = OsParser(guest_file))]
    pub files: Vec<GuestFile>,
    /// Do not load the kernel module
    #[arg(long)]
    pub no_module: bool,
    /// Let the kernel test the device at boot (which seeds it and takes numbers from it)
    #[arg(long)]
    pub selftest: bool,
    /// More words for the kernel's command line
    #[arg(
        long,
        value_name = "ARGS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub append: String,
    /// The machine type: pc, q35, or a version of one of them such as pc-q35-8.2; options may follow
    #[arg(long, value_name = "TYPE", default_value = "pc", value_parser = machine)]
    pub machine: String,
    /// Let QEMU listen for QMP on this Unix socket, for hot-plug and the like
    #[arg(long, value_name = "PATH")]
    pub qmp: Option<PathBuf>,
    /// One more argument for QEMU itself; repeatable
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub qemu_args: Vec<OsString>,
    /// Let the guest wait for gdb before its first instruction, and print the command that attaches gdb
    #[arg(long)]
    pub gdb: bool,
    /// Print QEMU's command line, quoted for a shell, and do not start the guest
    #[arg(long)]
    pub dry_run: bool,
    /// Print QEMU's arguments for the accelerator: for run-ubuntu.sh
    #[arg(long, hide = true)]
    pub print_accel: bool,
    /// Give an interactive shell on the serial console instead of running a command
    #[arg(long, conflicts_with = "command")]
    pub shell: bool,
    /// The command to run, and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["shell", "print_accel"])]
    pub command: Vec<OsString>,
}

/// Options of the launcher and of the demo.
#[derive(Args, Debug)]
pub struct Common {
    /// The QEMU binary [default: the one that `make` built]
    #[arg(long, value_name = "BIN")]
    pub qemu: Option<PathBuf>,
    /// The kernel image [default: the one that `make` built]
    #[arg(long, value_name = "IMAGE")]
    pub kernel: Option<PathBuf>,
    /// auto tries whether a guest really runs on KVM, once, and falls back to tcg [default: auto]
    #[arg(long, value_name = "auto|kvm|tcg")]
    pub accel: Option<Accel>,
    /// Keep what the guest says on its serial console
    #[arg(long, value_name = "FILE")]
    pub keep_log: Option<PathBuf>,
    /// Give up after so many seconds [default: 120; none for --gdb, and for --shell on a terminal]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub timeout: Option<u64>,
}

impl Common {
    /// The machine that the options and the build directory describe.
    pub fn vm(&self) -> Result<Vm, Error> {
        let built = Built::here()?;
        let kernel = match &self.kernel {
            Some(path) => path.clone(),
            None => built.file("kernel")?,
        };
        let mut vm = Vm::new(self.qemu(&built)?, kernel, built.file("initramfs")?);
        vm.accel = self.accel()?;
        vm.keep_log.clone_from(&self.keep_log);
        if let Some(seconds) = self.timeout {
            vm.timeout = Some(Duration::from_secs(seconds));
        }
        Ok(vm)
    }

    /// The accelerator that QEMU would get, found with the kernel if there is one.
    pub fn chosen(&self, interrupt: &Interrupt) -> Result<Chosen, Error> {
        let built = Built::here()?;
        let kernel = self.kernel.clone().or_else(|| built.file("kernel").ok());
        Prober::new(&self.qemu(&built)?, kernel.as_deref()).choose(self.accel()?, interrupt)
    }

    fn qemu(&self, built: &Built) -> Result<PathBuf, Error> {
        match &self.qemu {
            Some(path) => qemu::find(path),
            None => qemu::find(&built.file("qemu")?),
        }
    }

    fn accel(&self) -> Result<Accel, Error> {
        self.accel.map_or_else(Accel::from_env, Ok)
    }
}

impl Options {
    /// The machine, and what it is to do.
    pub fn vm(self) -> Result<(Vm, Work), Error> {
        let mut vm = self.common.vm()?;
        vm.smp = self.smp;
        vm.mem = self.mem;
        vm.machine = self.machine;
        if !self.devices.is_empty() {
            vm.devices = self.devices;
        }
        vm.hotplug = self.hotplug;
        vm.files = self.files;
        vm.module = !self.no_module;
        vm.selftest = self.selftest;
        vm.append = self.append;
        vm.qmp = self.qmp;
        vm.gdb = self.gdb;
        vm.qemu_args = self.qemu_args;
        // A user at a terminal or in gdb takes their time. Input from a file or a pipe may be at its
        // end, which the guest's shell would not see.
        let interactive = self.gdb || self.shell && isatty(io::stdin());
        if interactive && self.common.timeout.is_none() {
            vm.timeout = None;
        }
        let work = if self.shell {
            Work::Shell(terminal::describe())
        } else {
            Work::Run(self.command)
        };
        Ok((vm, work))
    }
}

/// Reads a machine type. The guest needs a PC's timers and firmware tables: on others, microvm for one, its
/// kernel stops before it runs anything.
fn machine(value: &str) -> Result<String, String> {
    let name = value.split(',').next().unwrap_or_default();
    if name == "pc" || name == "q35" || name.starts_with("pc-") {
        return Ok(value.to_owned());
    }
    Err(
        "the guest boots on pc and q35 only; say one of them, or a version of one, as in pc-q35-8.2"
            .to_owned(),
    )
}

/// Reads `HOST:GUEST`. The guest's path is absolute, so the host's may hold colons.
fn guest_file(value: &OsStr) -> Result<GuestFile, String> {
    let bytes = value.as_bytes();
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    bytes
        .windows(2)
        .rposition(|window| window == b":/")
        .filter(|colon| *colon > 0)
        .and_then(|colon| {
            Some(GuestFile {
                host: path(bytes.get(..colon)?),
                guest: path(bytes.get(colon + 1..)?),
            })
        })
        .ok_or_else(|| {
            "write HOST:GUEST with an absolute path for the guest, as in tool:/usr/bin/tool"
                .to_owned()
        })
}

/// Lets clap parse a value that need not be text.
#[derive(Clone, Copy)]
struct OsParser<T>(fn(&OsStr) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> clap::builder::TypedValueParser for OsParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        (self.0)(value).map_err(|reason| {
            let name = argument.map(ToString::to_string).unwrap_or_default();
            clap::Error::raw(
                clap::error::ErrorKind::ValueValidation,
                format!(
                    "invalid value '{}' for '{name}': {reason}\n",
                    value.to_string_lossy()
                ),
            )
            .with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["vm/run"], arguments].concat())
    }

    #[test]
    fn a_machine_that_the_guest_does_not_boot_on_is_refused_at_once() {
        for machine in [
            "pc",
            "q35",
            "q35,smm=off",
            "pc-i440fx-8.2",
            "pc-q35-8.2,usb=off",
        ] {
            let options = parse(&["--machine", machine, "--", "true"]).unwrap();
            assert_eq!(options.machine, machine);
        }
        for machine in ["microvm,pcie=on", "microvm", "isapc", "none", "pcx", ""] {
            let refused = parse(&["--machine", machine, "--", "true"]).unwrap_err();
            let sentence = "the guest boots on pc and q35 only; say one of them";
            assert!(refused.to_string().contains(sentence), "{refused}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let options = parse(&["--", "ls"]).unwrap();
        assert_eq!(options.command, ["ls"]);
        assert_eq!((options.smp, options.mem.as_str()), (2, "256M"));
        assert_eq!(options.machine, "pc");
        assert!(options.devices.is_empty() && options.files.is_empty());
        assert!(!options.no_module && !options.selftest && !options.shell);
        assert!(options.common.accel.is_none() && options.common.timeout.is_none());
    }

    #[test]
    fn every_option_is_understood() {
        let options = parse(&[
            "--qemu",
            "/q",
            "--kernel",
            "/k",
            "--accel",
            "tcg",
            "--smp",
            "4",
            "--mem",
            "1G",
            "--device",
            "my_rng",
            "--device",
            "edu,id=e",
            "--file",
            "a:/b",
            "--file",
            "c:d:/e",
            "--no-module",
            "--selftest",
            "--append",
            "-x y=z",
            "--keep-log",
            "log",
            "--timeout",
            "7",
            "--hotplug",
            "--machine",
            "q35",
            "--qmp",
            "/s",
            "--qemu-arg",
            "-d",
            "--",
            "-v",
            "--smp",
            "--",
        ])
        .unwrap();
        assert_eq!(options.common.qemu, Some("/q".into()));
        assert_eq!(options.common.kernel, Some("/k".into()));
        assert_eq!(options.common.accel, Some(Accel::Tcg));
        assert_eq!(options.common.keep_log, Some("log".into()));
        assert_eq!(options.common.timeout, Some(7));
        assert_eq!((options.smp, options.mem.as_str()), (4, "1G"));
        assert_eq!(options.devices, ["my_rng", "edu,id=e"]);
        let file = |host: &str, guest: &str| GuestFile {
            host: host.into(),
            guest: guest.into(),
        };
        assert_eq!(options.files, [file("a", "/b"), file("c:d", "/e")]);
        assert!(options.no_module && options.selftest && options.hotplug);
        assert_eq!(options.append, "-x y=z");
        assert_eq!(options.machine, "q35");
        assert_eq!(options.qmp, Some("/s".into()));
        assert_eq!(options.qemu_args, ["-d"]);
        assert_eq!(options.command, ["-v", "--smp", "--"]);
    }

    #[test]
    fn mistakes_are_refused() {
        for arguments in [
            &["ls"][..],
            &["--smp", "2"],
            &["--"],
            &["--smp", "0", "--", "ls"],
            &["--timeout", "0", "--", "ls"],
            &["--timeout", "soon", "--", "ls"],
            &["--accel", "hvf", "--", "ls"],
            &["--file", "a", "--", "ls"],
            &["--file", "a:b", "--", "ls"],
            &["--file", ":/b", "--", "ls"],
            &["--shell", "--", "ls"],
            &["--sell"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        let error = parse(&["--file", "a:b", "--", "ls"]).unwrap_err();
        assert!(error.to_string().contains("HOST:GUEST"), "{error}");
    }

    #[test]
    fn a_file_need_not_be_text() {
        let value = OsString::from_vec(b"caf\xe9:/x".to_vec());
        let file = guest_file(&value).unwrap();
        assert_eq!(file.host.as_os_str().as_bytes(), b"caf\xe9");
    }
}
