// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::accel::Chosen;
use crate::arch::MachineType;
use crate::job::JOB_ARGUMENT;
use crate::machine::Vm;
use crate::protocol::{CONTROL_PORT, Stream};
use crate::qemu::{BASICS, option_value};

/// The ports: the name of the character device, and the port's name in the guest.
pub(crate) fn ports() -> [(&'static str, &'static str); 3] {
    [
        ("stdout", Stream::Stdout.port()),
        ("stderr", Stream::Stderr.port()),
        ("control", CONTROL_PORT),
    ]
}

/// What the serial console is connected to. All of them keep what the guest says in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serial {
    /// Only the file.
    File,
    /// A socket of the launcher's.
    Socket,
    /// The terminal. Ctrl-A X ends QEMU; all else that is typed, Ctrl-C included, is the guest's.
    Terminal,
}

/// The files of one run.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The run's own directory.
    pub folder: PathBuf,
    /// What the guest says on its serial console.
    pub console: PathBuf,
}

impl Files {
    pub fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.socket"))
    }
}

/// The arguments for a machine and a run of it.
pub(crate) fn arguments(
    vm: &Vm,
    machine: &MachineType,
    chosen: Chosen,
    serial: Serial,
    files: &Files,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = BASICS.map(OsString::from).into();
    args.extend(chosen.args(vm.arch).map(OsString::from));
    let mut add = |option: &str, value: &dyn AsRef<OsStr>| {
        args.push(option.into());
        args.push(value.as_ref().to_owned());
    };
    add("-machine", &vm.machine());
    add("-smp", &vm.smp.to_string());
    add("-m", &vm.mem);
    add("-kernel", &vm.kernel);
    add("-initrd", &files.initrd());
    add("-append", &kernel_command_line(vm, serial));

    if vm.gdb {
        // The first of the sockets: when the others are connected, QEMU listens on this one.
        let path = files.socket("gdb");
        add(
            "-chardev",
            &with_path("socket,id=gdb,server=on,wait=off,path=", &path),
        );
        add("-gdb", &"chardev:gdb");
    }
    let console = match serial {
        Serial::File => with_path("file,id=console,path=", &files.console),
        Serial::Socket => {
            let mut option = with_path("socket,id=console,path=", &files.socket("console"));
            option.push(with_path(",logfile=", &files.console));
            option
        }
        Serial::Terminal => with_path(
            "stdio,id=console,mux=on,signal=off,logfile=",
            &files.console,
        ),
    };
    add("-chardev", &console);
    add("-serial", &"chardev:console");
    if serial == Serial::Terminal {
        add("-mon", &"chardev=console");
    }

    for (option, value) in machine.options(vm.hotplug) {
        add(option, value);
    }
    let slot = (machine.slot)(vm.devices.len());
    add(
        "-device",
        &format!("virtio-serial-pci,id=my-rng-vm,addr={slot}"),
    );
    for (name, port) in ports() {
        let socket = format!("socket,id={name},path=");
        add("-chardev", &with_path(&socket, &files.socket(name)));
        let port = format!("virtserialport,bus=my-rng-vm.0,chardev={name},name={port}");
        add("-device", &port);
    }
    for device in &vm.devices {
        add("-device", device);
    }
    if let Some(path) = &vm.qmp {
        add(
            "-chardev",
            &with_path("socket,id=qmp,server=on,wait=off,path=", path),
        );
        add("-mon", &"chardev=qmp,mode=control");
    }
    if vm.gdb {
        // The guest waits until gdb lets it run.
        args.push("-S".into());
    }
    args.extend(vm.qemu_args.iter().cloned());
    args
}

fn with_path(start: &str, path: &Path) -> OsString {
    let mut option = OsString::from(start);
    option.push(option_value(path.as_os_str()));
    option
}

fn kernel_command_line(vm: &Vm, serial: Serial) -> String {
    let mut words = vec![vm.arch.needs().kernel];
    if !vm.selftest {
        words.push("my_rng_selftest=0");
    }
    if serial == Serial::Terminal {
        words.push("quiet");
    }
    if vm.gdb {
        // So that addresses are those of vmlinux.
        words.push("nokaslr");
    }
    if !vm.append.is_empty() {
        words.push(&vm.append);
    }
    // Words behind the dashes are for init.
    words.extend(["--", JOB_ARGUMENT]);
    words.join(" ")
}
