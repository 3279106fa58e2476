// SPDX-License-Identifier: GPL-2.0-or-later

//! The start of a machine.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Instant;

use crate::Error;
use crate::accel::{Accel, Chosen, Prober};
use crate::arch::MachineType;
use crate::arguments::{Files, Serial, arguments, ports};
use crate::capture::Captured;
use crate::files::{RunFolder, create, fit_for_log, free_for_socket, readable};
use crate::initramfs;
use crate::job::{Job, Work};
use crate::machine::{Console, Vm};
use crate::ports::{Event, Port, Reader};
use crate::protocol::Stream;
use crate::qemu::{Foreground, Process, find, shell_quoted};
use crate::run::Running;
use crate::terminal::SavedTerminal;

impl Vm {
    /// Starts the machine. QEMU ends with the value returned, or with the thread that calls this.
    pub fn start(&self, work: Work, console: Console) -> Result<Running, Error> {
        let deadline = self.timeout.map(|limit| Instant::now() + limit);
        let (sender, events) = channel();
        let interrupted = sender.clone();
        self.interrupt
            .subscribe(move |signal| interrupted.send(Event::Interrupt(signal)).is_ok());

        let (qemu, machine) = self.check()?;
        let folder = RunFolder::new()?;
        let files = self.files_of_run(folder.path());
        let job = Job {
            load_module: self.module,
            work,
        };
        initramfs::with_files(&self.initramfs, &self.files, Some(&job), &files.initrd())?;
        let chosen = self.prober(&qemu).choose(self.accel, &self.interrupt)?;
        let log = create(&folder.path().join("messages"))?;
        let console_file = File::create(&files.console)
            .and_then(|_| File::open(&files.console))
            .map_err(|error| Error::file("write", &files.console, &error))?;

        let mut sinks: [Box<dyn Write + Send>; 2] = [Box::new(io::sink()), Box::new(io::sink())];
        let live = Captured::default();
        let mut sockets = Vec::new();
        let serial = match console {
            Console::Streams { stdout, stderr } => {
                sinks = [stdout, stderr];
                Serial::File
            }
            Console::Live(sink) => {
                let reader = Reader::Console(sink, live.clone());
                sockets.push(Port::bind(&files.socket("console"), reader)?);
                Serial::Socket
            }
            Console::Terminal => Serial::Terminal,
        };
        let [stdout, stderr] = sinks;
        let readers = [
            Reader::Output(Stream::Stdout, stdout),
            Reader::Output(Stream::Stderr, stderr),
            Reader::Control,
        ];
        for ((name, _), reader) in ports().into_iter().zip(readers) {
            sockets.push(Port::bind(&files.socket(name), reader)?);
        }

        let interactive = serial == Serial::Terminal;
        let (foreground, terminal) = if interactive {
            (Foreground::Qemu, SavedTerminal::save())
        } else {
            (Foreground::Launcher, None)
        };
        let args = arguments(self, machine, chosen, serial, &files);
        let process = Process::start(&qemu, &args, &log, foreground)?;
        let ended = sender.clone();
        process.when_ended(move || {
            let _ = ended.send(Event::QemuGone);
        });
        let readers = sockets.len();
        for socket in sockets {
            socket.serve(process.pidfd(), sender.clone());
        }
        Ok(Running {
            process,
            _terminal: terminal,
            folder: Some(folder),
            events,
            deadline,
            timeout: self.timeout.unwrap_or_default(),
            console: console_file,
            live,
            log,
            qmp: self.qmp.clone(),
            gdb: self.gdb.then(|| self.gdb_command(&files)),
            keeps_folder: self.gdb,
            readers,
            control: None,
            interactive,
            kvm_is_asked_for: self.accel == Accel::Kvm,
            up: false,
            mark: None,
            delivered: [0; 2],
            ended: None,
        })
    }

    /// The command that [`Vm::start`] would execute, quoted for a shell. A run has a directory of
    /// its own, whose name ends in `XXXXXX` here.
    pub fn command_line(&self, terminal: bool) -> Result<OsString, Error> {
        let (qemu, machine) = self.check()?;
        let chosen = self.prober(&qemu).choose(self.accel, &self.interrupt)?;
        let serial = if terminal {
            Serial::Terminal
        } else {
            Serial::File
        };
        let files = self.files_of_run(&RunFolder::example());
        let mut line = shell_quoted(qemu.as_os_str());
        for argument in arguments(self, machine, chosen, serial, &files) {
            line.push(" ");
            line.push(shell_quoted(&argument));
        }
        Ok(line)
    }

    /// The accelerator that the machine runs on.
    pub fn accelerator(&self) -> Result<Chosen, Error> {
        let (qemu, _) = self.check()?;
        self.prober(&qemu).choose(self.accel, &self.interrupt)
    }

    /// Finds QEMU and the type of machine, and refuses what would make it hang, fail without a clear message, or remain.
    fn check(&self) -> Result<(PathBuf, &'static MachineType), Error> {
        let qemu = find(&self.qemu)?;
        readable(&self.kernel)?;
        readable(&self.initramfs)?;
        if let Some(path) = &self.keep_log {
            fit_for_log(path)?;
        }
        if let Some(path) = &self.qmp {
            free_for_socket(path)?;
        }
        if self.qemu_args.iter().any(|arg| arg == "-daemonize") {
            return Err(Error::Host(
                "-daemonize would leave QEMU running: leave it out".to_owned(),
            ));
        }
        Ok((qemu, self.machine_type()?))
    }

    fn prober<'a>(&'a self, qemu: &'a Path) -> Prober<'a> {
        Prober::new(self.arch, qemu, Some(&self.kernel))
    }

    fn files_of_run(&self, folder: &Path) -> Files {
        Files {
            console: match &self.keep_log {
                Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
                None => folder.join("console"),
            },
            folder: folder.to_owned(),
        }
    }

    /// The command that attaches gdb to the guest's kernel.
    fn gdb_command(&self, files: &Files) -> String {
        // arch/ARCH/boot/IMAGE has it at the root of the build tree.
        let root = fs::canonicalize(&self.kernel).unwrap_or_default();
        let vmlinux = root.ancestors().nth(4).map(|root| root.join("vmlinux"));
        let target = format!("target remote {}", files.socket("gdb").display());
        let mut command = OsString::from(format!("{} -ex ", self.arch.gdb()));
        command.push(shell_quoted(target.as_ref()));
        if let Some(vmlinux) = vmlinux.filter(|path| path.is_file()) {
            command.push(" ");
            command.push(shell_quoted(vmlinux.as_os_str()));
        }
        command.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Arch, other_arch};
    use crate::initramfs::GuestFile;

    /// QEMU's arguments as `--dry-run` prints them.
    fn dry_run(vm: &Vm, terminal: bool) -> String {
        let line = vm.command_line(terminal).unwrap();
        let example = RunFolder::example().display().to_string();
        line.into_string().unwrap().replace(&example, "RUN")
    }

    fn vm(folder: &Path, options: &str) -> Vm {
        for name in ["kernel", "initramfs"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let options: Vec<_> = options.split_whitespace().collect();
        Vm {
            qemu: "/bin/true".into(),
            kernel: folder.join("kernel"),
            initramfs: folder.join("initramfs"),
            accel: Accel::Tcg,
            ..Vm::with_options(&options)
        }
    }

    const USUAL: &str = "/bin/true -nodefaults -no-user-config -no-reboot -display none -accel tcg \
        -cpu max,erms=off,fsrm=off,fsrs=off -machine pc -smp 2 -m 256M -kernel HERE/kernel \
        -initrd RUN/initrd -append \
        'console=ttyS0 panic=-1 no_timer_check tsc=reliable my_rng_selftest=0 -- job' \
        -chardev file,id=console,path=RUN/console -serial chardev:console \
        -global PIIX4_PM.acpi-root-pci-hotplug=off -device virtio-serial-pci,id=my-rng-vm,addr=1e \
        -chardev socket,id=stdout,path=RUN/stdout.socket \
        -device virtserialport,bus=my-rng-vm.0,chardev=stdout,name=my-rng-vm.stdout \
        -chardev socket,id=stderr,path=RUN/stderr.socket \
        -device virtserialport,bus=my-rng-vm.0,chardev=stderr,name=my-rng-vm.stderr \
        -chardev socket,id=control,path=RUN/control.socket \
        -device virtserialport,bus=my-rng-vm.0,chardev=control,name=my-rng-vm.control \
        -device my_rng";

    #[test]
    fn usual_command_line_is_this() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        let line = dry_run(&vm(folder.path(), ""), false);
        assert_eq!(line.replace(&here, "HERE"), USUAL);
    }

    #[test]
    fn architectures_differ_in_this() {
        let folder = tempfile::tempdir().unwrap();
        let line = |arch, options| {
            let mut vm = vm(folder.path(), options);
            vm.arch = arch;
            dry_run(&vm, false)
        };
        for (arch, machine, kernel) in [
            (
                Arch::Arm64,
                "-accel tcg -cpu max -machine virt -smp 2 ",
                "-append 'console=ttyAMA0 panic=-1 my_rng_selftest=0 -- job' ",
            ),
            (
                Arch::Riscv64,
                "-accel tcg -cpu rv64 -machine virt -smp 2 ",
                "-append 'console=ttyS0 panic=-1 my_rng_selftest=0 -- job' ",
            ),
        ] {
            let usual = line(arch, "");
            for part in [
                machine,
                kernel,
                "-device virtio-serial-pci,id=my-rng-vm,addr=1f ",
            ] {
                assert!(usual.contains(part), "no {part} in {usual}");
            }
            assert!(
                !usual.contains("PIIX4") && !usual.contains("root-port"),
                "{usual}"
            );
            let hotplug = line(arch, "--hotplug --machine=virt,its=off");
            assert!(hotplug.contains("-machine virt,its=off "), "{hotplug}");
            assert!(
                hotplug.contains(
                    "-device pcie-root-port,id=hotplug1,slot=1,addr=1e.0,multifunction=on \
                 -device pcie-root-port,id=hotplug2,slot=2,addr=1e.1 "
                ),
                "{hotplug}"
            );
        }
    }

    #[test]
    fn each_option_changes_the_command_line() {
        const HOTPLUG: &str = "acpi-root-pci-hotplug";
        let folder = tempfile::tempdir().unwrap();
        let every_slot = "--device=my_rng ".repeat(30);
        for (options, present, absent) in [
            (
                "--device=edu --device=my_rng,id=b",
                "-device edu -device my_rng,id=b",
                "-device my_rng ",
            ),
            ("--machine=q35,smm=off", "-machine q35,smm=off ", HOTPLUG),
            ("--machine=q35", "id=my-rng-vm,addr=1f.7 ", HOTPLUG),
            ("--machine=pc-q35-8.2", "id=my-rng-vm,addr=1f.7 ", HOTPLUG),
            ("--machine=pc-i440fx-8.2", HOTPLUG, "addr=1f.7"),
            (&every_slot, "id=my-rng-vm,addr=01.7 ", "addr=1e"),
            ("--hotplug", "addr=1e ", HOTPLUG),
            ("--selftest", "tsc=reliable -- job'", "selftest"),
            ("--append=a=b", "my_rng_selftest=0 a=b -- job'", "quiet"),
            ("--smp=4", "-smp 4 ", "-smp 2"),
            ("--mem=1G", "-m 1G ", "-m 256M"),
            (
                "--qmp=/nowhere/s,t",
                "path=/nowhere/s,,t -mon chardev=qmp,mode=control",
                "gdb",
            ),
            (
                "--qemu-arg=-d --qemu-arg=it's",
                "-device my_rng -d 'it'\\''s'",
                "-S",
            ),
            (
                "--gdb",
                "-chardev socket,id=gdb,server=on,wait=off,path=RUN/gdb.socket -gdb chardev:gdb ",
                "qmp",
            ),
            ("--gdb", " nokaslr -- job'", "quiet"),
            ("--gdb", "-device my_rng -S", "qmp"),
        ] {
            let line = dry_run(&vm(folder.path(), options), false);
            assert!(line.contains(present), "no {present} in {line}");
            assert!(!line.contains(absent), "{absent} in {line}");
        }
        let mut vm = vm(folder.path(), "");
        vm.keep_log = Some("/nowhere/c,d".into());
        let line = dry_run(&vm, false);
        assert!(line.contains("-chardev file,id=console,path=/nowhere/c,,d -serial"));
        let shell = dry_run(&vm, true);
        assert!(shell.contains("stdio,id=console,mux=on,signal=off,logfile=/nowhere/c,,d "));
        assert!(shell.contains(" -mon chardev=console ") && shell.contains(" quiet -- job'"));
    }

    #[test]
    fn missing_file_or_bad_setting_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |set: fn(&mut Vm, PathBuf), path: &str, why: &str, in_dry_run: bool| {
            let mut vm = vm(folder.path(), "");
            set(&mut vm, path.into());
            let dry_run = vm.command_line(false);
            assert_eq!(dry_run.is_err(), in_dry_run);
            let start = vm.start(Work::Run(vec![]), Console::Terminal);
            assert!(start.is_err());
            for error in dry_run.err().into_iter().chain(start.err()) {
                assert!(error.to_string().contains(why), "{error}");
            }
        };
        const NOWHERE: &str = "/nowhere/it";
        check(|vm, path| vm.qemu = path, NOWHERE, NOWHERE, true);
        check(|vm, path| vm.kernel = path, NOWHERE, NOWHERE, true);
        check(
            |vm, path| vm.kernel = path,
            "/dev",
            "not a regular file",
            true,
        );
        check(|vm, path| vm.initramfs = path, NOWHERE, NOWHERE, true);
        check(
            |vm, path| vm.keep_log = Some(path),
            "/dev",
            "not a regular file",
            true,
        );
        check(
            |vm, path| vm.qmp = Some(path),
            "/dev/null",
            "not a socket",
            true,
        );
        check(
            |vm, path| vm.qemu_args = vec![path.into()],
            "-daemonize",
            "-daemonize",
            true,
        );
        check(
            |vm, path| vm.machine = Some(path.display().to_string()),
            "virt",
            "an x86_64 guest boots on pc and q35 only",
            true,
        );
        check(|vm, path| vm.keep_log = Some(path), NOWHERE, NOWHERE, false);
        let put = |vm: &mut Vm, host| {
            let guest = "/tool".into();
            vm.files = vec![GuestFile { host, guest }];
        };
        check(put, NOWHERE, NOWHERE, false);
    }

    #[test]
    fn gdb_is_given_the_vmlinux_of_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let boot = folder.path().join("out/arch/x86/boot");
        fs::create_dir_all(&boot).unwrap();
        let mut vm = vm(folder.path(), "");
        vm.kernel = boot.join("bzImage");
        fs::write(&vm.kernel, "").unwrap();
        let files = vm.files_of_run(Path::new("/r"));
        vm.arch = Arch::host().unwrap();
        let target = "gdb -ex 'target remote /r/gdb.socket'";
        assert_eq!(vm.gdb_command(&files), target);
        let vmlinux = fs::canonicalize(folder.path()).unwrap().join("out/vmlinux");
        fs::write(&vmlinux, "").unwrap();
        let expected = format!("{target} {}", vmlinux.display());
        assert_eq!(vm.gdb_command(&files), expected);
        vm.arch = other_arch();
        let foreign = vm.gdb_command(&files);
        assert_eq!(foreign, expected.replacen("gdb", "gdb-multiarch", 1));
    }
}
