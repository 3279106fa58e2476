// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU itself, with a guest or without one, for tests that `vm/run` cannot do: they save a machine, migrate it,
//! put it to sleep, or drive it by QEMU's test protocol.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use my_rng_vm::accel::Chosen;
use my_rng_vm::qemu::{self, BASICS, Foreground, option_value};
use my_rng_vm::{GuestFile, initramfs};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::arch::{arch, facts, usual_machine};
use crate::qtest::{Qtest, SLOT};
use crate::{Console, Qmp, all_built, built, guest_program, log_text};

/// How long QEMU or a guest may be silent. Much more than needed: only one that hangs takes so long.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The command line of a machine.
#[derive(Debug)]
pub struct Machine {
    qemu: PathBuf,
    arguments: Vec<OsString>,
    /// Files for the guest that `make` has built, if this machine runs it.
    files: Option<Vec<GuestFile>>,
    has_qtest: bool,
    folder: TempDir,
}

impl Machine {
    /// A machine without a guest, for QEMU's test protocol, with one device, and room for another one.
    pub fn qtest(properties: &str) -> Self {
        let mut machine = Self::new(&format!("{},accel=qtest", usual_machine()));
        machine.has_qtest = true;
        if let Some(bus) = facts().hotplug_bus {
            machine = machine.device(&format!("pcie-root-port,id={bus}"));
        }
        machine
            .args(["-qtest-log", "/dev/null"])
            .device(&format!("my_rng,id=rng,addr={SLOT}{properties}"))
    }

    /// A machine with the guest that `make` has built: a shell on its serial console, the module loaded, no
    /// self-test. Always under TCG, so that it is the same machine everywhere.
    pub fn guest() -> Self {
        Self::guest_with(usual_machine(), "")
    }

    /// The same on this machine, with more arguments for the kernel.
    pub fn guest_with(machine: &str, append: &str) -> Self {
        let mut guest = Self::linux(
            machine,
            &built("kernel"),
            &format!("my_rng_selftest=0 {append}"),
        );
        guest.files = Some(vec![]);
        guest.args(["-m", "256M"])
    }

    /// A machine with Debian, from the disk that `scripts/debian-vm.sh` has made; changes to the disk are
    /// discarded. root's shell is on its serial console, and a user's shell on its screen, if it has one.
    pub fn debian(append: &str) -> Self {
        Self::debian_with(&built("kernel"), append)
    }

    /// The same disk with Debian's own kernel, which has no driver of the device.
    pub fn debian_kernel() -> Self {
        let folder = debian_folder();
        Self::debian_with(&folder.join("vmlinuz"), "")
            .arg("-initrd")
            .arg(folder.join("initrd.img"))
    }

    fn debian_with(kernel: &Path, append: &str) -> Self {
        let disk = debian_folder().join("debian.img");
        assert!(
            disk.is_file(),
            "there is no {}; run `scripts/debian-vm.sh image`",
            disk.display()
        );
        Self::linux(
            usual_machine(),
            kernel,
            &format!("root=/dev/vda rw {append}"),
        )
        .args(["-m", "512M", "-smp", "2"])
        // Otherwise each device of a PC has a "Physical Slot".
        .args(arch().without_hotplug())
        // The slot of the network card, which is not there: so the next device has its usual slot.
        .disk("disk", &disk, "snapshot=on", 3)
    }

    /// A machine with Debian 13 and its own kernel, on which apt has installed our packages. `scripts/stock-disk.sh image`
    /// makes the disk. The rest is as for [`debian`](Self::debian), but devices can be plugged.
    pub fn stock() -> Self {
        let file = |name| debian_folder().join(name);
        let disk = file("stock.img");
        assert!(
            disk.is_file(),
            "there is no {}; run `scripts/stock-disk.sh image`",
            disk.display()
        );
        Self::linux(usual_machine(), &file("stock.vmlinuz"), "root=/dev/vda rw")
            .arg("-initrd")
            .arg(file("stock.initrd"))
            .args(["-m", "1G", "-smp", "2"])
            .disk("disk", &disk, "snapshot=on", 3)
    }

    /// A machine with a kernel, under TCG.
    fn linux(machine: &str, kernel: &Path, append: &str) -> Self {
        let arch = all_built().arch();
        Self::new(machine)
            .args(Chosen::Tcg.args(arch))
            .arg("-kernel")
            .arg(kernel)
            .arg("-append")
            .arg(format!("{} loglevel=0 {append}", arch.kernel_arguments()))
    }

    fn new(machine: &str) -> Self {
        Self {
            qemu: built("qemu"),
            arguments: vec![],
            files: None,
            has_qtest: false,
            folder: tempfile::tempdir().expect("a temporary directory"),
        }
        .args(BASICS)
        .args(["-action", "reboot=reset", "-machine", machine])
    }

    /// A directory that lives as long as the machine.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds an argument for QEMU.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments for QEMU.
    pub fn args<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Adds a device.
    pub fn device(self, spec: &str) -> Self {
        self.args(["-device", spec])
    }

    /// Adds a raw disk, with an option for its drive, and the slot of its device.
    fn disk(self, name: &str, file: &Path, option: &str, slot: u32) -> Self {
        let mut drive = OsString::from(format!("format=raw,if=none,id={name},{option},file="));
        drive.push(option_value(file.as_os_str()));
        self.arg("-drive")
            .arg(drive)
            .device(&format!("virtio-blk-pci,drive={name},addr={slot}"))
    }

    /// Puts programs compiled from `guest/NAME.c` into the guest that `make` has built, as `/NAME`.
    pub fn programs(mut self, names: &[&str]) -> Self {
        let files = self
            .files
            .as_mut()
            .expect("the guest that `make` has built");
        files.extend(names.iter().map(|name| GuestFile {
            host: guest_program(name),
            guest: Path::new("/").join(name),
        }));
        self
    }

    /// Adds a disk for Debian with these programs, to be unpacked by `tar`.
    pub fn disk_of_programs(self, names: &[&str]) -> Self {
        let programs: Vec<_> = names.iter().map(|name| guest_program(name)).collect();
        self.disk_of_files(&programs)
    }

    /// Adds a disk for Debian with these files, to be unpacked by `tar`.
    pub fn disk_of_files(self, files: &[impl AsRef<Path>]) -> Self {
        let archive = self.folder().join("files.tar");
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive);
        for file in files {
            let file = file.as_ref();
            tar.arg("-C")
                .arg(file.parent().expect("a directory"))
                .arg(file.file_name().expect("a file"));
        }
        assert!(tar.status().expect("tar can be run").success());
        self.disk("files", &archive, "readonly=on", 8)
    }

    /// Uses another QEMU than the one that `make` has built.
    pub fn qemu(mut self, path: &Path) -> Self {
        self.qemu = path.to_owned();
        self
    }

    /// Starts it.
    pub fn start(self) -> Process {
        let Self {
            qemu,
            mut arguments,
            files,
            has_qtest,
            folder,
        } = self;
        if let Some(files) = files {
            let mut initrd = built("initramfs");
            if !files.is_empty() {
                let base = initrd;
                initrd = folder.path().join("initrd");
                initramfs::with_files(&base, &files, None, &initrd)
                    .unwrap_or_else(|error| panic!("{error}"));
            }
            arguments.extend(["-initrd".into(), initrd.into()]);
        }
        // QEMU connects to us, so nobody has to wait until it listens.
        let mut listen = |option: &str| {
            let path = folder.path().join(option);
            let listener = UnixListener::bind(&path).expect("a socket");
            let address = format!("unix:{}", path.display());
            arguments.extend([option.into(), address.into()]);
            listener
        };
        let console = listen("-serial");
        let qmp = listen("-qmp");
        let qtest = has_qtest.then(|| listen("-qtest"));
        let log = folder.path().join(LOG);
        let log_file = File::create(&log).expect("a file");
        let process = qemu::Process::start(&qemu, &arguments, &log_file, Foreground::Launcher)
            .unwrap_or_else(|error| panic!("{error}"));
        let accept = |listener: UnixListener| {
            qemu::accept(&listener, &process.pidfd(), Some(DEADLINE))
                .expect("a connection from QEMU")
                .unwrap_or_else(|| panic!("QEMU did not connect: {}", log_text(&log)))
        };
        Process {
            console: Console::new(accept(console)),
            qmp: Qmp::new(accept(qmp)),
            qtest: qtest.map(|qtest| Qtest::new(accept(qtest))),
            process,
            folder,
        }
    }
}

/// The directory with Debian's disks and kernels.
fn debian_folder() -> PathBuf {
    let built = all_built();
    built
        .directory()
        .join(built.arch().to_string())
        .join("debian")
}

/// The name of the file with what QEMU prints.
const LOG: &str = "log";

/// A running QEMU. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Process {
    process: qemu::Process,
    /// Its monitor.
    pub qmp: Qmp,
    /// Its serial console.
    pub console: Console,
    pub(crate) qtest: Option<Qtest>,
    folder: TempDir,
}

impl Process {
    /// A directory that lives as long as QEMU.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What QEMU has printed so far: errors and its log.
    pub fn errors(&self) -> String {
        log_text(&self.folder.path().join(LOG))
    }

    /// Waits until QEMU ends by itself. Returns its status and what it has printed.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let Some(status) = self.process.wait(DEADLINE) else {
            panic!("QEMU does not end: {}", self.console.take());
        };
        (status, self.errors())
    }

    /// Ends QEMU, which must succeed. Returns what it has printed.
    pub fn quit(mut self) -> String {
        self.qmp.execute("quit", json!({}));
        let (status, errors) = self.wait();
        assert!(status.success(), "{status}: {errors}");
        errors
    }

    /// Resets the machine, whose shell must be idle, and waits for the shell of the new boot.
    pub fn reset(&mut self) {
        self.console.change_prompt();
        self.qmp.execute("system_reset", json!({}));
        self.console.shell();
    }

    /// A property of the device whose id is `rng`.
    pub fn property(&mut self, name: &str) -> Value {
        self.property_of("rng", name)
    }

    /// A property of the device with this id.
    pub fn property_of(&mut self, id: &str, name: &str) -> Value {
        let path = format!("/machine/peripheral/{id}");
        self.qmp
            .execute("qom-get", json!({ "path": path, "property": name }))
    }

    /// A counter of the device with this id.
    pub fn counter_of(&mut self, id: &str, name: &str) -> u64 {
        self.property_of(id, name).as_u64().expect("a counter")
    }

    /// How many numbers the device whose id is `rng` has given.
    pub fn reads(&mut self) -> u64 {
        self.counter_of("rng", "reads")
    }

    /// Waits until that device has given so many numbers.
    pub fn wait_for_reads(&mut self, wanted: u64) {
        self.wait_for_counter("rng", "reads", wanted);
    }

    /// Waits until a counter of the device with this id is so high.
    pub fn wait_for_counter(&mut self, id: &str, name: &str, wanted: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.counter_of(id, name) < wanted {
            assert!(
                Instant::now() < deadline,
                "{name} of {id} does not become {wanted}: {}",
                self.console.take()
            );
        }
    }

    /// Executes a command of the monitor for people.
    pub fn monitor(&mut self, command: &str) -> String {
        let arguments = json!({ "command-line": command });
        let text = self.qmp.execute("human-monitor-command", arguments);
        text.as_str().expect("text").to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let status = self.process.wait(Duration::ZERO);
            eprintln!("QEMU: {status:?}, it printed: {}", self.errors());
        }
    }
}
