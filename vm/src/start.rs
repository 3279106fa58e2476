// SPDX-License-Identifier: GPL-2.0-or-later

//! The start of a machine.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Instant;

use crate::Error;
use crate::accel::{Accel, Prober};
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

        let qemu = self.check()?;
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
        let args = arguments(self, chosen, serial, &files);
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
        let qemu = self.check()?;
        let chosen = self.prober(&qemu).choose(self.accel, &self.interrupt)?;
        let serial = if terminal {
            Serial::Terminal
        } else {
            Serial::File
        };
        let files = self.files_of_run(&RunFolder::example());
        let mut line = shell_quoted(qemu.as_os_str());
        for argument in arguments(self, chosen, serial, &files) {
            line.push(" ");
            line.push(shell_quoted(&argument));
        }
        Ok(line)
    }

    /// Finds QEMU, and refuses what would make it hang, fail without a clear message, or remain.
    fn check(&self) -> Result<PathBuf, Error> {
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
        Ok(qemu)
    }

    fn prober<'a>(&'a self, qemu: &'a Path) -> Prober<'a> {
        Prober::new(qemu, Some(&self.kernel))
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
        // arch/x86/boot/bzImage has it at the root of the build tree.
        let root = fs::canonicalize(&self.kernel).unwrap_or_default();
        let vmlinux = root.ancestors().nth(4).map(|root| root.join("vmlinux"));
        let target = format!("target remote {}", files.socket("gdb").display());
        let mut command = OsString::from("gdb -ex ");
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
    use crate::initramfs::GuestFile;

    /// QEMU's arguments as `--dry-run` prints them.
    fn dry_run(vm: &Vm, terminal: bool) -> String {
        let line = vm.command_line(terminal).unwrap();
        let example = RunFolder::example().display().to_string();
        line.into_string().unwrap().replace(&example, "RUN")
    }

    fn vm(folder: &Path) -> Vm {
        for name in ["kernel", "initramfs"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let qemu = "/bin/true".into();
        let mut vm = Vm::new(qemu, folder.join("kernel"), folder.join("initramfs"));
        vm.accel = Accel::Tcg;
        vm
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
        let line = dry_run(&vm(folder.path()), false);
        assert_eq!(line.replace(&here, "HERE"), USUAL);
    }

    #[test]
    fn each_setting_changes_the_command_line() {
        const KERNEL: &str = "'console=ttyS0 panic=-1 no_timer_check tsc=reliable";
        let folder = tempfile::tempdir().unwrap();
        let check = |set: &dyn Fn(&mut Vm), present: &[&str], absent: &[&str]| {
            let mut vm = vm(folder.path());
            set(&mut vm);
            let line = dry_run(&vm, false);
            for words in present {
                assert!(line.contains(words), "no {words} in {line}");
            }
            for words in absent {
                assert!(!line.contains(words), "{words} in {line}");
            }
        };
        const HOTPLUG: &str = "acpi-root-pci-hotplug";
        check(
            &|vm| vm.devices = vec!["edu".into(), "my_rng,id=b".into()],
            &["-device edu -device my_rng,id=b"],
            &["-device my_rng "],
        );
        check(
            &|vm| vm.machine = "q35,smm=off".into(),
            &["-machine q35,smm=off", "id=my-rng-vm,addr=1f.7 "],
            &[HOTPLUG],
        );
        check(
            &|vm| vm.machine = "pc-q35-8.2".into(),
            &["id=my-rng-vm "],
            &[HOTPLUG],
        );
        check(
            &|vm| vm.devices = vec!["my_rng".into(); 30],
            &["id=my-rng-vm,addr=01.7 "],
            &[],
        );
        check(&|vm| vm.hotplug = true, &[], &[HOTPLUG]);
        check(
            &|vm| vm.selftest = true,
            &[&format!("{KERNEL} -- job'")],
            &[],
        );
        check(
            &|vm| vm.append = "a=b".into(),
            &[&format!("{KERNEL} my_rng_selftest=0 a=b -- job'")],
            &[],
        );
        check(&|vm| vm.smp = 4, &["-smp 4 "], &[]);
        check(&|vm| vm.mem = "1G".into(), &["-m 1G "], &[]);
        check(
            &|vm| vm.qmp = Some("/nowhere/s".into()),
            &["path=/nowhere/s -mon chardev=qmp,mode=control"],
            &[],
        );
        check(
            &|vm| vm.qemu_args = vec!["-d".into(), "it's".into()],
            &["-device my_rng -d 'it'\\''s'"],
            &[],
        );
        check(
            &|vm| vm.keep_log = Some("/nowhere/c,d".into()),
            &["-chardev file,id=console,path=/nowhere/c,,d -serial"],
            &[],
        );
        check(
            &|vm| vm.gdb = true,
            &[
                "-chardev socket,id=gdb,server=on,wait=off,path=RUN/gdb.socket -gdb chardev:gdb ",
                "-device my_rng -S",
                " nokaslr -- job'",
            ],
            &[],
        );
        let shell = dry_run(&vm(folder.path()), true);
        assert!(shell.contains("-chardev stdio,id=console,mux=on,signal=off,logfile=RUN/console "));
        assert!(shell.contains(" -mon chardev=console ") && shell.contains(" quiet -- job'"));
    }

    #[test]
    fn missing_file_or_bad_setting_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |set: &dyn Fn(&mut Vm), why: &str| {
            let mut vm = vm(folder.path());
            set(&mut vm);
            for error in [
                vm.command_line(false).unwrap_err(),
                vm.start(Work::Run(vec![]), Console::Terminal).unwrap_err(),
            ] {
                assert!(error.to_string().contains(why), "{error}");
            }
        };
        refused(
            &|vm| vm.initramfs = "/nowhere/initramfs".into(),
            "/nowhere/initramfs",
        );
        refused(
            &|vm| vm.kernel = "/nowhere/kernel".into(),
            "/nowhere/kernel",
        );
        refused(&|vm| vm.kernel = "/dev".into(), "no regular file");
        refused(&|vm| vm.qemu = "/nowhere/qemu".into(), "/nowhere/qemu");
        refused(&|vm| vm.qemu_args = vec!["-daemonize".into()], "-daemonize");
        refused(&|vm| vm.keep_log = Some("/dev".into()), "no regular file");
        refused(&|vm| vm.qmp = Some("/dev/null".into()), "no socket");
        let start = |set: &dyn Fn(&mut Vm), why: &str| {
            let mut vm = vm(folder.path());
            set(&mut vm);
            let error = vm.start(Work::Run(vec![]), Console::Terminal).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        };
        start(
            &|vm| vm.keep_log = Some("/nowhere/log".into()),
            "/nowhere/log",
        );
        let file = GuestFile {
            host: "/nowhere/tool".into(),
            guest: "/tool".into(),
        };
        start(&|vm| vm.files = vec![file.clone()], "/nowhere/tool");
    }

    #[test]
    fn gdb_is_given_the_vmlinux_of_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let boot = folder.path().join("out/arch/x86/boot");
        fs::create_dir_all(&boot).unwrap();
        let mut vm = vm(folder.path());
        vm.kernel = boot.join("bzImage");
        fs::write(&vm.kernel, "").unwrap();
        let files = vm.files_of_run(Path::new("/r"));
        let target = "gdb -ex 'target remote /r/gdb.socket'";
        assert_eq!(vm.gdb_command(&files), target);
        let vmlinux = fs::canonicalize(folder.path()).unwrap().join("out/vmlinux");
        fs::write(&vmlinux, "").unwrap();
        let expected = format!("{target} {}", vmlinux.display());
        assert_eq!(vm.gdb_command(&files), expected);
    }
}
