// SPDX-License-Identifier: GPL-2.0-or-later

//! The launcher's command line.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use rustix::termios::isatty;

use crate::accel::{Accel, Prober};
use crate::arch::Arch;
use crate::built::Built;
use crate::job::Work;
use crate::machine::Vm;
use crate::signals::Interrupt;
use crate::{Error, qemu, terminal};

const AFTER_HELP: &str = "\
The command runs as root in /root, without standard input. Its stdout and stderr arrive separately,
byte for byte, without the console's text. When the command ends, the guest ends, with all processes
that still run in it.

Exit status: that of the command; 128 + n if signal n ended it; 127 if it is not in the guest; 126 if
it cannot be executed there; 124 after the time-out; 125 for any other error, with a message on stderr;
141 if the reader of the output is gone.

Environment:
  MY_RNG_ARCH     the guest's architecture, if --arch is not given
  ACCEL           the accelerator, if --accel is not given: auto, kvm or tcg
  MY_RNG_BUILD    the build directory, if it is not build/ in the repository
  XDG_CACHE_HOME  the result of the KVM probe is kept in my_rng/accel there (default: ~/.cache)

Examples:
  vm/run -- lspci -v
  vm/run -- my-rng read 10
  vm/run --file ./probe:/bin/probe --device my_rng --device my_rng -- probe
  vm/run --machine q35 --qmp /tmp/qmp --timeout 300 -- sh -c 'my-rng read 1000 | wc -l'
  vm/run --arch arm64 -- uname -m
  vm/run --shell
  vm/run --gdb -- my-rng read";

/// Run a command in the guest, as root, and exit with its status
#[derive(Debug, Parser)]
#[command(name = "vm/run", after_help = AFTER_HELP, arg_required_else_help = true)]
#[command(override_usage = "vm/run [OPTIONS] -- COMMAND [ARG...]\n       vm/run [OPTIONS] --shell")]
pub struct Options {
    /// What both the launcher and the demo take.
    #[command(flatten)]
    pub common: Common,
    /// The machine.
    #[command(flatten)]
    pub vm: Vm,
    /// Print QEMU's command line, quoted for a shell, and do not start the guest
    #[arg(long)]
    pub dry_run: bool,
    /// Print QEMU's arguments for the machine and, on a second line, the kernel's: for scripts that start QEMU
    #[arg(long, hide = true)]
    pub print_machine: bool,
    /// Give an interactive shell on the serial console instead of running a command
    #[arg(long, conflicts_with = "command")]
    pub shell: bool,
    /// The command to run, and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["shell", "print_machine"])]
    pub command: Vec<OsString>,
}

/// Options of the launcher and of the demo.
#[derive(Args, Debug)]
pub struct Common {
    /// The guest's architecture: x86_64, arm64 or riscv64 [default: the host's]
    #[arg(long, value_name = "NAME")]
    pub arch: Option<Arch>,
    /// The QEMU binary [default: the one that `make` built]
    #[arg(long, value_name = "BIN")]
    pub qemu: Option<PathBuf>,
    /// The kernel image [default: the one that `make` built]
    #[arg(long, value_name = "IMAGE")]
    pub kernel: Option<PathBuf>,
    /// auto checks once whether a guest runs on KVM, and uses tcg if not [default: auto]
    #[arg(long, value_name = "auto|kvm|tcg")]
    pub accel: Option<Accel>,
    /// Keep the guest's serial console in this file
    #[arg(long, value_name = "FILE")]
    pub keep_log: Option<PathBuf>,
    /// Give up after this many seconds [default: 120; none for --gdb, and for --shell on a terminal]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub timeout: Option<u64>,
}

impl Common {
    /// Completes a machine by these options and by what `make` has built.
    pub fn complete(&self, vm: Vm) -> Result<Vm, Error> {
        let built = self.built()?;
        Ok(Vm {
            arch: built.arch(),
            qemu: self.qemu(&built)?,
            kernel: match &self.kernel {
                Some(path) => path.clone(),
                None => built.file("kernel")?,
            },
            initramfs: built.file("initramfs")?,
            accel: self.accel()?,
            keep_log: self.keep_log.clone(),
            timeout: self.timeout.map(Duration::from_secs).or(vm.timeout),
            ..vm
        })
    }

    fn built(&self) -> Result<Built, Error> {
        self.arch.map_or_else(Built::here, Built::of)
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
    /// QEMU's arguments for the machine, and a line with the arguments that the kernel always gets. The accelerator is
    /// found with the kernel if there is one.
    pub fn machine_lines(&self, interrupt: &Interrupt) -> Result<String, Error> {
        let built = self.common.built()?;
        let arch = built.arch();
        let kernel = self.common.kernel.clone();
        let kernel = kernel.or_else(|| built.file("kernel").ok());
        let chosen = Prober::new(arch, &self.common.qemu(&built)?, kernel.as_deref())
            .choose(self.common.accel()?, interrupt)?;
        let vm = Vm {
            arch,
            ..self.vm.clone()
        };
        let mut words = vec!["-machine", vm.machine()];
        words.extend(chosen.args(arch));
        for (option, value) in vm.machine_type()?.options(vm.hotplug) {
            words.extend([option, value]);
        }
        Ok(format!("{}\n{}", words.join(" "), arch.kernel_arguments()))
    }

    /// The machine, and what it is to do.
    pub fn vm(mut self) -> Result<(Vm, Work), Error> {
        if self.waits_for_user(isatty(io::stdin())) {
            self.vm.timeout = None;
        }
        let work = if self.shell {
            Work::Shell(terminal::describe())
        } else {
            Work::Run(self.command)
        };
        Ok((self.common.complete(self.vm)?, work))
    }

    /// Whether a user decides how long the run takes. Without a terminal, the shell's input may come to
    /// an end that the guest does not see.
    fn waits_for_user(&self, on_terminal: bool) -> bool {
        self.vm.gdb || self.shell && on_terminal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initramfs::GuestFile;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["vm/run"], arguments].concat())
    }

    #[test]
    fn command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let options = parse(&["--", "ls"]).unwrap();
        assert_eq!(options.command, ["ls"]);
        assert!(!options.shell && !options.dry_run && !options.print_machine);
        let Common { arch, accel, .. } = options.common;
        assert!(arch.is_none() && accel.is_none() && options.common.timeout.is_none());
        let Vm { smp, mem, .. } = &options.vm;
        assert_eq!((*smp, mem.as_str()), (2, "256M"));
        let Vm { machine, files, .. } = &options.vm;
        assert!(machine.is_none() && files.is_empty());
        assert_eq!(options.vm.devices, ["my_rng"]);
        assert!(options.vm.module && !options.vm.selftest && !options.vm.gdb);
        assert_eq!(options.vm.timeout, Some(Duration::from_secs(120)));
    }

    #[test]
    fn every_option_is_understood() {
        let options = parse(&[
            "--arch=arm64",
            "--qemu=/q",
            "--kernel=/k",
            "--accel=tcg",
            "--smp=4",
            "--mem=1G",
            "--device=my_rng",
            "--device=edu,id=e",
            "--file=a:/b",
            "--file=c:d:/e",
            "--no-module",
            "--selftest",
            "--append",
            "-x y=z",
            "--keep-log=log",
            "--timeout=7",
            "--hotplug",
            "--machine=q35",
            "--qmp=/s",
            "--gdb",
            "--dry-run",
            "--qemu-arg",
            "-d",
            "--",
            "-v",
            "--smp",
            "--",
        ])
        .unwrap();
        let file = |host: &str, guest: &str| GuestFile {
            host: host.into(),
            guest: guest.into(),
        };
        let Common {
            arch,
            qemu,
            kernel,
            accel,
            keep_log,
            timeout,
        } = options.common;
        assert_eq!((qemu, kernel), (Some("/q".into()), Some("/k".into())));
        assert_eq!((arch, accel), (Some(Arch::Arm64), Some(Accel::Tcg)));
        assert_eq!(timeout, Some(7));
        assert_eq!(keep_log, Some("log".into()));
        let vm = options.vm;
        assert_eq!((vm.smp, vm.mem.as_str()), (4, "1G"));
        assert_eq!(vm.devices, ["my_rng", "edu,id=e"]);
        assert_eq!(vm.files, [file("a", "/b"), file("c:d", "/e")]);
        assert!(!vm.module && vm.selftest && vm.hotplug && vm.gdb);
        assert_eq!(vm.append, "-x y=z");
        assert_eq!(vm.machine.as_deref(), Some("q35"));
        assert_eq!(vm.qmp, Some("/s".into()));
        assert_eq!(vm.qemu_args, ["-d"]);
        assert!(options.dry_run);
        assert_eq!(options.command, ["-v", "--smp", "--"]);
    }

    #[test]
    fn user_in_gdb_or_at_a_shell_decides_how_long_it_takes() {
        for (arguments, at_terminal, elsewhere) in [
            (&["--gdb", "--", "ls"][..], true, true),
            (&["--shell"], true, false),
            (&["--", "ls"], false, false),
        ] {
            let options = parse(arguments).unwrap();
            assert_eq!(options.waits_for_user(true), at_terminal);
            assert_eq!(options.waits_for_user(false), elsewhere);
        }
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
            &["--arch", "arm", "--", "ls"],
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
}
