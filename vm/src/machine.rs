// SPDX-License-Identifier: GPL-2.0-or-later

//! A virtual machine: what it is made of, and one run of it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use crate::accel::{self, Accel, Chosen, Prober};
use crate::built::Built;
use crate::capture::Captured;
use crate::initramfs::{self, GuestFile};
use crate::job::{Job, Work};
use crate::kernel::{self, Tail};
use crate::protocol::{CONTROL_PORT, FromGuest, FromHost, Refusal, Status, Stream};
use crate::qemu::{BASICS, Foreground, Process, complaint, find, option_value};
use crate::signals::Interrupt;
use crate::{Error, protocol};

/// How long QEMU may take to end after the guest has done all it had to do.
const FAREWELL: Duration = Duration::from_secs(10);

/// A Unix socket's path must fit into this many bytes, its closing NUL included.
const SOCKET_PATH_MAX: usize = 108;

/// A virtual machine to be started, any number of times.
///
/// The fields may be set at will between [`Vm::from_build`] and the start.
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
    /// Whether devices can be plugged into pc's root bus, and out of it, while the guest runs. It
    /// costs time at boot, and gives every device a "Physical Slot".
    pub hotplug: bool,
    /// Host files for the guest.
    pub files: Vec<GuestFile>,
    /// Whether init loads the kernel module before it does its job.
    pub module: bool,
    /// Whether the kernel tests the device at boot.
    pub selftest: bool,
    /// More words for the kernel's command line.
    pub append: String,
    /// Where the serial console is kept, if anywhere.
    pub keep_log: Option<PathBuf>,
    /// Where QEMU is to listen for QMP, if anywhere.
    pub qmp: Option<PathBuf>,
    /// More options for QEMU.
    pub qemu_args: Vec<OsString>,
    /// When to give up, counted from the start; never, if there is none.
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
    /// The serial console is the terminal that we are used from.
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

/// How a captured run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How the command ended.
    pub status: Status,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    /// What the guest said on the serial console.
    pub console: Vec<u8>,
    /// What QEMU itself said.
    pub qemu: String,
}

impl Outcome {
    /// The command's stdout as text, for what cannot be otherwise.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The command's stderr as text, likewise.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The console's lines.
    pub fn console_lines(&self) -> Vec<String> {
        kernel::lines(&self.console)
    }
}

/// What a run may hear of while it waits.
#[derive(Debug)]
pub(crate) enum Event {
    /// The control port is open; answers go here.
    ControlOpen(UnixStream),
    /// The guest said something on the control port.
    Control(FromGuest),
    /// Guest and launcher do not understand each other.
    Confused(String),
    /// So many more bytes of a stream have been written out.
    Delivered(Stream, u64),
    /// More of the console is there.
    ConsoleGrew,
    /// Output could not be written.
    WriteFailed(Stream, io::Error),
    /// A reader of QEMU's sockets has ended.
    ReaderEnded,
    /// QEMU has ended.
    QemuGone,
    /// We are asked to stop.
    Interrupt(i32),
}

impl Vm {
    /// A machine out of what `make` has built. `ACCEL` says which accelerator, `MY_RNG_BUILD`
    /// where to look.
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

    /// A machine with the usual settings out of these three.
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
            qemu_args: Vec::new(),
            timeout: Some(Duration::from_secs(120)),
            interrupt: Interrupt::default(),
        }
    }

    /// Runs a command in the guest and returns what it printed.
    pub fn run<I>(&self, argv: I) -> Result<Outcome, Error>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let running = self.start(
            Work::Run(argv.into_iter().map(Into::into).collect()),
            Console::Streams {
                stdout: Box::new(stdout.clone()),
                stderr: Box::new(stderr.clone()),
            },
        )?;
        let ended = running.wait()?;
        Ok(Outcome {
            status: ended.status,
            stdout: stdout.take(),
            stderr: stderr.take(),
            console: ended.console,
            qemu: ended.qemu,
        })
    }

    /// Starts the machine. QEMU lives no longer than the value returned, nor than the thread that
    /// calls this.
    pub fn start(&self, work: Work, console: Console) -> Result<Running, Error> {
        let deadline = self.timeout.map(|limit| Instant::now() + limit);
        let (sender, events) = channel();
        let interrupted = sender.clone();
        self.interrupt
            .subscribe(move |signal| interrupted.send(Event::Interrupt(signal)).is_ok());

        let qemu = find(&self.qemu)?;
        readable(&self.kernel)?;
        readable(&self.initramfs)?;
        if let Some(path) = &self.keep_log {
            fit_for_log(path)?;
        }
        if let Some(path) = &self.qmp {
            free_for_socket(path)?;
        }
        if self
            .qemu_args
            .iter()
            .any(|argument| argument == "-daemonize")
        {
            return Err(Error::Host(
                "-daemonize would leave QEMU running behind: leave it out".to_owned(),
            ));
        }
        let job = Job {
            load_module: self.module,
            work,
        };
        let folder = run_folder()?;
        let initrd = folder.path().join("initrd");
        initramfs::with_files(&self.initramfs, &self.files, Some(&job), &initrd)?;

        let chosen = Prober {
            qemu: &qemu,
            kernel: &self.kernel,
            kvm: Path::new("/dev/kvm"),
            verdicts: accel::verdicts_file(),
            limit: accel::PROBE_LIMIT,
        }
        .choose(self.accel, &self.interrupt)?;

        let log = create(&folder.path().join("messages"))?;
        let console_path = match &self.keep_log {
            // QEMU is told an absolute path, and we find out here if it cannot be written.
            Some(path) => {
                File::create(path).map_err(|error| Error::file("write", path, &error))?;
                fs::canonicalize(path).map_err(|error| Error::file("find", path, &error))?
            }
            None => {
                let path = folder.path().join("console");
                create(&path)?;
                path
            }
        };
        let console_file = File::open(&console_path)
            .map_err(|error| Error::file("read", &console_path, &error))?;

        let sockets = Sockets::bind(folder.path(), matches!(console, Console::Live(_)))?;
        let args = self.args(chosen, &initrd, &console_path, &console, &sockets);
        let (foreground, terminal) = match console {
            Console::Terminal => (Foreground::Qemu, SavedTerminal::save()),
            _ => (Foreground::Launcher, None),
        };
        let process = Process::start(&qemu, &args, &log, foreground)?;
        let ended = sender.clone();
        process.when_ended(move || {
            let _ = ended.send(Event::QemuGone);
        });
        let (readers, live) = sockets.serve(&process.pidfd(), console, &sender);

        Ok(Running {
            _terminal: terminal,
            process,
            folder: Some(folder),
            events,
            deadline,
            timeout: self.timeout.unwrap_or_default(),
            console: console_file,
            live,
            log,
            qmp: self.qmp.clone(),
            readers,
            control: None,
            interactive: foreground == Foreground::Qemu,
            kvm_is_asked_for: self.accel == Accel::Kvm,
            up: false,
            mark: None,
            delivered: [0; 2],
            ended: None,
        })
    }

    /// QEMU's command line.
    fn args(
        &self,
        chosen: Chosen,
        initrd: &Path,
        console_path: &Path,
        console: &Console,
        sockets: &Sockets,
    ) -> Vec<OsString> {
        let mut args: Vec<OsString> = BASICS.map(OsString::from).into();
        let mut add = |option: &str, value: &OsStr| {
            args.push(option.into());
            args.push(value.into());
        };
        let path_option = |start: &str, path: &Path| {
            let mut option = OsString::from(start);
            option.push(option_value(path.as_os_str()));
            option
        };
        let [accel_option, accel, cpu_option, cpu] = chosen.args();
        add(accel_option, accel.as_ref());
        add(cpu_option, cpu.as_ref());
        add("-machine", self.machine.as_ref());
        add("-smp", self.smp.to_string().as_ref());
        add("-m", self.mem.as_ref());
        add("-kernel", self.kernel.as_os_str());
        add("-initrd", initrd.as_os_str());
        add("-append", self.kernel_command_line(console).as_ref());

        let console_option = match console {
            Console::Streams { .. } => path_option("file,id=console,path=", console_path),
            Console::Live(_) => {
                let mut option = path_option("socket,id=console,path=", &sockets.console_path);
                option.push(path_option(",logfile=", console_path));
                option
            }
            // Ctrl-A X ends QEMU; all else that is typed, Ctrl-C included, is the guest's.
            Console::Terminal => {
                path_option("stdio,id=console,mux=on,signal=off,logfile=", console_path)
            }
        };
        add("-chardev", &console_option);
        add("-serial", "chardev:console".as_ref());
        if matches!(console, Console::Terminal) {
            add("-mon", "chardev=console".as_ref());
        }

        if !self.hotplug && machine_name(&self.machine) == "pc" {
            add("-global", "PIIX4_PM.acpi-root-pci-hotplug=off".as_ref());
        }
        let mut serial = String::from("virtio-serial-pci,id=my-rng-vm");
        if let Some(slot) = quiet_slot(&self.machine, self.devices.len()) {
            serial.push_str(",addr=");
            serial.push_str(slot);
        }
        add("-device", serial.as_ref());
        for port in &sockets.ports {
            let name = port.kind.name();
            add(
                "-chardev",
                &path_option(&format!("socket,id={name},path="), &port.path),
            );
            let port = format!(
                "virtserialport,bus=my-rng-vm.0,chardev={name},name={}",
                port.kind.port()
            );
            add("-device", port.as_ref());
        }
        for device in &self.devices {
            add("-device", device.as_ref());
        }
        if let Some(path) = &self.qmp {
            let mut option = path_option("socket,id=qmp,server=on,wait=off,path=", path);
            add("-chardev", &option);
            option = "chardev=qmp,mode=control".into();
            add("-mon", &option);
        }
        args.extend(self.qemu_args.iter().cloned());
        args
    }

    fn kernel_command_line(&self, console: &Console) -> String {
        let mut line = String::from(kernel::ARGUMENTS);
        if !self.selftest {
            line.push_str(" my_rng_selftest=0");
        }
        if matches!(console, Console::Terminal) {
            line.push_str(" quiet");
        }
        if !self.append.is_empty() {
            line.push(' ');
            line.push_str(&self.append);
        }
        line
    }
}

/// Where the ports' own device is put, so that the slots from the first free one on are left to the
/// devices asked for. A function of the south bridge leaves them all; on pc, Linux complains about
/// that one's interrupt (which is not used), so there it is for those who need every slot. Not slot 31:
/// QEMU 10.0 plugs nothing into a slot of its own choice while function 0 of that one is taken.
fn quiet_slot(machine: &str, devices: usize) -> Option<&'static str> {
    const PC_FREE_SLOTS: usize = 30;
    match machine_name(machine) {
        "pc" if devices < PC_FREE_SLOTS => Some("1e"),
        "pc" => Some("01.7"),
        "q35" => Some("1f.7"),
        _ => None,
    }
}

/// A machine type without its options.
fn machine_name(machine: &str) -> &str {
    machine.split(',').next().unwrap_or_default()
}

fn readable(path: &Path) -> Result<(), Error> {
    let cannot_read = |error: io::Error| Error::file("read", path, &error);
    // Asked before it is opened, as opening a FIFO waits for its other end.
    if !fs::metadata(path).map_err(cannot_read)?.is_file() {
        return Err(Error::Host(format!(
            "{} is no regular file: name one",
            path.display()
        )));
    }
    File::open(path).map(drop).map_err(cannot_read)
}

/// The console can be kept in a new file, in a regular one, or in a device such as `/dev/null`.
fn fit_for_log(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.file_type().is_char_device() => {
            Err(Error::Host(format!(
                "{} is there already and no regular file: choose another path",
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

fn create(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Error::file("create", path, &error))
}

/// QEMU removes what stands where it is to listen; let that be a socket left behind, at most.
fn free_for_socket(path: &Path) -> Result<(), Error> {
    if path.as_os_str().len() >= SOCKET_PATH_MAX {
        return Err(Error::Host(format!(
            "{} is too long for a socket: choose a path of less than {SOCKET_PATH_MAX} bytes",
            path.display()
        )));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(Error::Host(format!(
            "{} is there already and no socket: choose another path",
            path.display()
        ))),
        Ok(_) if somebody_listens(path) => Err(Error::Host(format!(
            "another QEMU listens at {}: choose another path",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether a process has the socket that is there, rather than having left it behind.
fn somebody_listens(path: &Path) -> bool {
    let connected = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    // One whose queue is full has an owner too.
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

/// A folder for one run, whose path leaves room for a socket's name.
fn run_folder() -> Result<RunFolder, Error> {
    let usual = env::temp_dir();
    let parent = if usual.as_os_str().len() > SOCKET_PATH_MAX - 40 {
        PathBuf::from("/tmp")
    } else {
        usual
    };
    remove_left_behind(&parent);
    RunFolder::create(&parent).map_err(|error| Error::file("create a folder in", &parent, &error))
}

const RUN_FOLDER_PREFIX: &str = "my-rng-vm-";

/// A run's folder, locked as long as the run needs it.
struct RunFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl RunFolder {
    fn create(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(RUN_FOLDER_PREFIX)
            .tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of launchers that were killed before they could do so themselves: they are
/// ours, locked by nobody, and not so new that their lock may still be to come.
fn remove_left_behind(parent: &Path) {
    const NEW: Duration = Duration::from_secs(60);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(RUN_FOLDER_PREFIX.as_bytes());
        let (true, Ok(metadata)) = (ours, entry.metadata()) else {
            continue;
        };
        let old = metadata
            .modified()
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > NEW));
        if metadata.is_dir() && metadata.uid() == geteuid().as_raw() && old {
            let free = File::open(entry.path()).is_ok_and(|folder| {
                flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
            });
            if free {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// What a port carries.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Output(Stream),
    Control,
}

impl Kind {
    const ALL: [Self; 3] = [
        Self::Output(Stream::Stdout),
        Self::Output(Stream::Stderr),
        Self::Control,
    ];

    /// The name of the character device behind the port.
    fn name(self) -> &'static str {
        match self {
            Self::Output(Stream::Stdout) => "stdout",
            Self::Output(Stream::Stderr) => "stderr",
            Self::Control => "control",
        }
    }

    /// The port's name in the guest.
    fn port(self) -> &'static str {
        match self {
            Self::Output(stream) => stream.port(),
            Self::Control => CONTROL_PORT,
        }
    }
}

struct Port {
    kind: Kind,
    path: PathBuf,
    listener: UnixListener,
}

/// The sockets that QEMU connects to.
struct Sockets {
    ports: Vec<Port>,
    console_path: PathBuf,
    console: Option<UnixListener>,
}

impl Sockets {
    fn bind(folder: &Path, live: bool) -> Result<Self, Error> {
        let listen = |path: &Path| {
            UnixListener::bind(path).map_err(|error| Error::file("listen on", path, &error))
        };
        let mut ports = Vec::new();
        for kind in Kind::ALL {
            let path = folder.join(format!("{}.socket", kind.name()));
            let listener = listen(&path)?;
            ports.push(Port {
                kind,
                path,
                listener,
            });
        }
        let console_path = folder.join("console.socket");
        let console = if live {
            Some(listen(&console_path)?)
        } else {
            None
        };
        Ok(Self {
            ports,
            console_path,
            console,
        })
    }

    /// Starts a reader for each socket; they end with QEMU at the latest. Returns how many there
    /// are and where the live console is gathered.
    fn serve(
        self,
        pidfd: &Arc<OwnedFd>,
        console: Console,
        events: &Sender<Event>,
    ) -> (usize, Captured) {
        let live = Captured::default();
        let mut readers = 0;
        let mut spawn = |listener: UnixListener, reader: Reader| {
            readers += 1;
            let (pidfd, events) = (Arc::clone(pidfd), events.clone());
            thread::spawn(move || {
                if let Ok(Some(socket)) = crate::qemu::accept(&listener, &pidfd, None) {
                    reader.read(socket, &events);
                }
                let _ = events.send(Event::ReaderEnded);
            });
        };
        let (mut stdout, mut stderr): (Box<dyn Write + Send>, Box<dyn Write + Send>) =
            (Box::new(io::sink()), Box::new(io::sink()));
        match console {
            Console::Streams {
                stdout: given_stdout,
                stderr: given_stderr,
            } => (stdout, stderr) = (given_stdout, given_stderr),
            Console::Live(sink) => {
                if let Some(listener) = self.console {
                    spawn(listener, Reader::Console(sink, live.clone()));
                }
            }
            Console::Terminal => {}
        }
        let mut sinks = (Some(stdout), Some(stderr));
        for port in self.ports {
            let sink = match port.kind {
                Kind::Output(Stream::Stdout) => sinks.0.take(),
                Kind::Output(Stream::Stderr) => sinks.1.take(),
                Kind::Control => None,
            };
            match (port.kind, sink) {
                (Kind::Output(stream), Some(sink)) => {
                    spawn(port.listener, Reader::Output(stream, sink));
                }
                _ => spawn(port.listener, Reader::Control),
            }
        }
        (readers, live)
    }
}

/// What is done with what comes over a socket.
enum Reader {
    Output(Stream, Box<dyn Write + Send>),
    Control,
    Console(Box<dyn Write + Send>, Captured),
}

impl Reader {
    /// Reads to the end. Errors in sending an event are passed over: the run is over then.
    fn read(self, mut socket: UnixStream, events: &Sender<Event>) {
        match self {
            Self::Output(stream, mut sink) => {
                if opened(&mut socket, events) {
                    for_each_chunk(&mut socket, |bytes| {
                        let event = match sink.write_all(bytes).and_then(|()| sink.flush()) {
                            Ok(()) => Event::Delivered(stream, bytes.len() as u64),
                            Err(error) => Event::WriteFailed(stream, error),
                        };
                        let go_on = matches!(event, Event::Delivered(..));
                        events.send(event).is_ok() && go_on
                    });
                }
            }
            Self::Console(mut sink, mut gathered) => {
                for_each_chunk(&mut socket, |bytes| {
                    let event = match sink.write_all(bytes).and_then(|()| sink.flush()) {
                        Ok(()) => Event::ConsoleGrew,
                        Err(error) => Event::WriteFailed(Stream::Stdout, error),
                    };
                    let go_on = matches!(event, Event::ConsoleGrew);
                    let _ = gathered.write_all(bytes);
                    events.send(event).is_ok() && go_on
                });
            }
            Self::Control => {
                if !opened(&mut socket, events) {
                    return;
                }
                let Ok(answers) = socket.try_clone() else {
                    return;
                };
                let _ = events.send(Event::ControlOpen(answers));
                let mut socket = BufReader::new(socket);
                loop {
                    let event = match protocol::read_line(&mut socket) {
                        Ok(None) => return,
                        Ok(Some(line)) => FromGuest::parse(&line).map_or_else(
                            || Event::Confused(format!("it said '{line}'")),
                            Event::Control,
                        ),
                        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                            Event::Confused(error.to_string())
                        }
                        Err(_) => return,
                    };
                    if events.send(event).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Reads a port's opening line.
fn opened(socket: &mut UnixStream, events: &Sender<Event>) -> bool {
    match protocol::read_opening(socket) {
        Ok(opened) => opened,
        Err(error) => {
            if error.kind() == io::ErrorKind::InvalidData {
                let _ = events.send(Event::Confused(error.to_string()));
            }
            false
        }
    }
}

/// Hands on what a socket brings, until its end or until `take` wants no more. A QEMU that is
/// killed may end it by an error, which says no more than an end does.
fn for_each_chunk(socket: &mut UnixStream, mut take: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if !buffer.get(..length).is_some_and(&mut take) {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// The terminal's settings, put back in the end even if QEMU was killed before it could do so.
struct SavedTerminal(Termios);

impl SavedTerminal {
    fn save() -> Option<Self> {
        let stdin = io::stdin();
        isatty(&stdin).then(|| tcgetattr(&stdin).ok().map(Self))?
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// A machine that runs. Dropped before its end, it is killed.
pub struct Running {
    // Fields are dropped in this order: first QEMU, then what it has left behind.
    process: Process,
    _terminal: Option<SavedTerminal>,
    folder: Option<RunFolder>,
    events: Receiver<Event>,
    deadline: Option<Instant>,
    timeout: Duration,
    console: File,
    live: Captured,
    log: File,
    qmp: Option<PathBuf>,
    readers: usize,
    control: Option<UnixStream>,
    interactive: bool,
    kvm_is_asked_for: bool,
    up: bool,
    /// What must be seen on the console before the guest goes on.
    mark: Option<String>,
    delivered: [u64; 2],
    ended: Option<Ended>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// What the guest said of the command's end.
#[derive(Clone, Copy, Debug)]
struct Ended {
    status: Status,
    written: [u64; 2],
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How the command ended.
    pub status: Status,
    /// What the guest said on the serial console.
    pub console: Vec<u8>,
    /// What QEMU itself said.
    pub qemu: String,
}

impl Running {
    /// Waits for the command's end and the machine's.
    pub fn wait(mut self) -> Result<Finished, Error> {
        let result = self.watch();
        if result.is_err() {
            self.process.kill();
        }
        // The guest has been told good-bye, or QEMU has ended or been killed.
        let farewell = Instant::now() + FAREWELL;
        if self.process.wait(FAREWELL).is_none() {
            self.process.kill();
            self.process.wait(FAREWELL);
        }
        if !matches!(
            result,
            Err(Error::Interrupted(_) | Error::ReaderGone(_) | Error::Write(..))
        ) {
            self.let_readers_end(farewell);
        }
        if let Some(qmp) = &self.qmp {
            // A killed QEMU leaves its socket behind. What answers there is not ours.
            if free_for_socket(qmp).is_ok() {
                let _ = fs::remove_file(qmp);
            }
        }
        Ok(Finished {
            status: result?,
            console: self.console_bytes(),
            qemu: self.log_text(),
        })
    }

    /// Lets the readers hand on what QEMU had given them before its end.
    fn let_readers_end(&mut self, deadline: Instant) {
        while self.readers > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::ReaderEnded) => self.readers -= 1,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Listens until the guest has been told good-bye.
    fn watch(&mut self) -> Result<Status, Error> {
        loop {
            let event = match self.deadline {
                None => self
                    .events
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => self
                    .events
                    .recv_timeout(deadline.saturating_duration_since(Instant::now())),
            };
            let Ok(event) = event else {
                return Err(self.timed_out());
            };
            match event {
                Event::ControlOpen(socket) => self.control = Some(socket),
                Event::Control(message) => self.hear(message)?,
                Event::Confused(what) => {
                    return Err(Error::GuestSetup(format!(
                        "launcher and init differ: {what}"
                    )));
                }
                Event::Delivered(stream, length) => {
                    let [stdout, stderr] = &mut self.delivered;
                    match stream {
                        Stream::Stdout => *stdout += length,
                        Stream::Stderr => *stderr += length,
                    }
                }
                Event::ConsoleGrew => {}
                Event::WriteFailed(stream, error) => {
                    return Err(if error.kind() == io::ErrorKind::BrokenPipe {
                        Error::ReaderGone(stream)
                    } else {
                        Error::Write(stream, error)
                    });
                }
                Event::ReaderEnded => self.readers = self.readers.saturating_sub(1),
                Event::QemuGone => return self.qemu_gone(),
                Event::Interrupt(signal) => return Err(Error::Interrupted(signal)),
            }
            if let Some(mark) = self.mark.take_if(|mark| self.live.contains(mark)) {
                drop(mark);
                self.say(FromHost::Go);
            }
            match self.ended {
                Some(ended) if ended.written == self.delivered => {
                    self.say(FromHost::Bye);
                    return Ok(ended.status);
                }
                _ => {}
            }
        }
    }

    /// What the guest said on the control port.
    fn hear(&mut self, message: FromGuest) -> Result<(), Error> {
        match message {
            FromGuest::Up => {
                self.up = true;
                // QEMU has read and connected to all that is in there, so even a launcher that is
                // killed leaves nothing behind from now on.
                self.folder = None;
            }
            FromGuest::Mark(text) => self.mark = Some(text),
            FromGuest::Ended {
                status,
                stdout,
                stderr,
            } => {
                self.ended = Some(Ended {
                    status,
                    written: [stdout, stderr],
                });
            }
            FromGuest::Refused(why, program) => {
                let (status, what) = match why {
                    Refusal::NotFound => (
                        127,
                        format!(
                            "{program} is not in the guest: put a host file there with \
                             --file HOST:GUEST"
                        ),
                    ),
                    Refusal::NoInterpreter => (
                        127,
                        format!(
                            "{program} is in the guest, but its interpreter or dynamic loader is \
                             not: link it statically, or add that with --file HOST:GUEST"
                        ),
                    ),
                    Refusal::NotExecutable => (
                        126,
                        format!(
                            "{program} is in the guest, but cannot be executed there: is it an \
                             executable file (chmod +x) for this machine?"
                        ),
                    ),
                };
                return Err(Error::NotStarted {
                    status,
                    message: what,
                });
            }
            FromGuest::Failed(text) => return Err(Error::GuestSetup(text)),
        }
        Ok(())
    }

    /// A guest that cannot be told will notice that we are gone, and QEMU's end is waited for.
    fn say(&mut self, message: FromHost) {
        if let Some(control) = &mut self.control {
            let _ = control.write_all(message.line().as_bytes());
        }
    }

    fn qemu_gone(&mut self) -> Result<Status, Error> {
        let status = self.process.wait(FAREWELL);
        if !status.is_some_and(|status| status.success()) {
            let mut message = complaint(&self.log_text(), status);
            if !self.up && self.kvm_is_asked_for {
                message.push_str("; ACCEL=tcg (--accel tcg) does without KVM");
            }
            return Err(Error::Qemu {
                when: if self.up {
                    "failed while the guest was running"
                } else {
                    "would not start the guest"
                },
                message,
            });
        }
        if self.interactive && self.up && !kernel::shows_panic(&self.console_bytes()) {
            // Ctrl-A X, or a command that switches off: whoever did it knows.
            return Ok(Status::Exited(0));
        }
        let console = self.console_bytes();
        if !self.up && kernel::shows_failed_unpacking(&console) {
            return Err(Error::TooLittleMemory(Tail::of(&console)));
        }
        if kernel::shows_panic(&console) {
            return Err(Error::GuestPanicked(Tail::of_panic(&console)));
        }
        if console.is_empty() && !self.up {
            let log = self.log_text();
            let mut message = complaint(&log, status);
            if log.trim().is_empty() {
                message.push_str("; if it was given little memory, give it more with --mem");
            }
            return Err(Error::Qemu {
                when: "started no guest",
                message,
            });
        }
        Err(Error::GuestDown(Tail::of(&console)))
    }

    fn timed_out(&self) -> Error {
        Error::TimedOut {
            what: if self.up {
                "the command did not end"
            } else {
                "the guest did not come up"
            },
            seconds: self.timeout.as_secs(),
            console: Tail::of(&self.console_bytes()),
        }
    }

    fn console_bytes(&self) -> Vec<u8> {
        contents(&self.console)
    }

    fn log_text(&self) -> String {
        String::from_utf8_lossy(&contents(&self.log)).into_owned()
    }
}

/// All of a file that may have been unlinked; nothing if it cannot be read.
fn contents(file: &File) -> Vec<u8> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for QEMU that does what a script says.
    struct Fake {
        folder: tempfile::TempDir,
        vm: Vm,
    }

    impl Fake {
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            fs::write(
                path("kernel"),
                format!("cd {}\n{script}\n", folder.path().display()),
            )
            .unwrap();
            fs::write(path("initramfs"), "").unwrap();
            let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
            let mut vm = Vm::new(qemu, path("kernel"), path("initramfs"));
            vm.accel = Accel::Tcg;
            Self { folder, vm }
        }

        /// One that waits for a test to play the guest.
        fn waiting() -> Self {
            let fake = Self::new(WAITS);
            rustix::fs::mknodat(
                rustix::fs::CWD,
                fake.path("ready"),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap();
            fake
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn start(&self) -> (Running, Captured, Captured) {
            let (stdout, stderr) = (Captured::default(), Captured::default());
            let console = Console::Streams {
                stdout: Box::new(stdout.clone()),
                stderr: Box::new(stderr.clone()),
            };
            let work = Work::Run(vec!["true".into()]);
            (self.vm.start(work, console).unwrap(), stdout, stderr)
        }

        fn error(&self) -> Error {
            self.vm.run(["true"]).unwrap_err()
        }

        fn guest(&self) -> Guest {
            let ready = fs::read_to_string(self.path("ready")).unwrap();
            let mut ports = ready.lines().map(|path| {
                let mut port = UnixStream::connect(path).unwrap();
                port.write_all(protocol::OPENING.as_bytes()).unwrap();
                port
            });
            Guest {
                stdout: ports.next().unwrap(),
                stderr: ports.next().unwrap(),
                control: BufReader::new(ports.next().unwrap()),
                end: self.path("end"),
            }
        }
    }

    /// Hangs, in a process of its own as a wrapper around QEMU might, until the group is killed.
    const HANGS: &str = "sleep 1000 & wait";

    /// Says that it runs, and where, and ends when told to.
    const WAITS: &str = "mkfifo end
printf '%s\\n' \"$stdout\" \"$stderr\" \"$control\" > ready
read status < end
exit \"$status\"";

    /// The guest's side, played by a test.
    struct Guest {
        stdout: UnixStream,
        stderr: UnixStream,
        control: BufReader<UnixStream>,
        end: PathBuf,
    }

    impl Guest {
        fn say(&mut self, message: &FromGuest) {
            let line = message.line();
            self.control.get_mut().write_all(line.as_bytes()).unwrap();
        }

        fn hear(&mut self) -> Option<FromHost> {
            protocol::read_line(&mut self.control)
                .unwrap()
                .and_then(|line| FromHost::parse(&line))
        }

        fn end(&self, status: u8) {
            fs::write(&self.end, format!("{status}\n")).unwrap();
        }
    }

    #[test]
    fn output_and_status_come_through() {
        let fake = Fake::waiting();
        let (running, stdout, stderr) = fake.start();
        let mut guest = fake.guest();
        guest.say(&FromGuest::Up);
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let guest = thread::spawn(move || {
            // The end is told before all output is there, as two ports have no common order.
            guest.say(&FromGuest::Ended {
                status: Status::Exited(7),
                stdout: sent.len() as u64,
                stderr: 5,
            });
            guest.stdout.write_all(&sent).unwrap();
            guest.stderr.write_all(b"oops\n").unwrap();
            assert_eq!(guest.hear(), Some(FromHost::Bye));
            guest.end(0);
        });
        let finished = running.wait().unwrap();
        guest.join().unwrap();
        assert_eq!(finished.status, Status::Exited(7));
        assert!(stdout.take() == bytes);
        assert_eq!(stderr.take(), b"oops\n");
    }

    #[test]
    fn nothing_is_left_behind() {
        let mut fake = Fake::waiting();
        fake.vm.qmp = Some(fake.path("qmp"));
        fs::write(fake.path("not-a-socket"), "").unwrap();
        let other_qemu = UnixListener::bind(fake.path("qmp")).unwrap();
        assert!(fake.error().to_string().contains("another QEMU listens"));
        assert!(fake.path("qmp").exists());
        // Now it is what a killed QEMU leaves behind.
        drop(other_qemu);
        let (running, ..) = fake.start();
        let folder = running.folder.as_ref().unwrap().path().to_owned();
        assert!(folder.exists());
        let mut guest = fake.guest();
        guest.say(&FromGuest::Up);
        guest.say(&FromGuest::Mark("never seen".into()));
        drop(guest);
        fake.vm.interrupt.raise(15);
        assert!(matches!(running.wait(), Err(Error::Interrupted(15))));
        assert!(!folder.exists());
        assert!(!fake.path("qmp").exists());
        fake.vm.qmp = Some(fake.path("not-a-socket"));
        assert!(fake.error().to_string().contains("no socket"));
    }

    #[test]
    fn what_a_killed_launcher_left_is_removed_by_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let age = |path: &Path| {
            let times = fs::FileTimes::new().set_modified(long_ago);
            File::open(path).unwrap().set_times(times).unwrap();
        };
        let running = RunFolder::create(parent.path()).unwrap();
        let left = parent.path().join("my-rng-vm-left");
        let new = parent.path().join("my-rng-vm-new");
        let other = parent.path().join("other");
        for path in [&left, &new, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("initrd"), "").unwrap();
        }
        for path in [running.path(), &left, &other] {
            age(path);
        }
        remove_left_behind(parent.path());
        assert!(!left.exists());
        assert!(running.path().exists() && new.exists() && other.exists());
    }

    #[test]
    fn a_machine_dropped_is_a_machine_killed() {
        let fake = Fake::waiting();
        let (running, ..) = fake.start();
        let pidfd = running.process.pidfd();
        drop(running);
        let mut fds = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        assert_eq!(rustix::event::poll(&mut fds, None).unwrap(), 1);
    }

    #[test]
    fn a_guest_that_never_comes_up_is_given_up() {
        let mut fake = Fake::new(&format!("echo 'BIOS here' > \"$console\"\n{HANGS}"));
        fake.vm.timeout = Some(Duration::from_millis(300));
        let error = fake.error();
        assert_eq!(error.exit_status(), 124);
        let text = error.to_string();
        assert!(
            text.starts_with("the guest did not come up within"),
            "{text}"
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_given_up() {
        let mut fake = Fake::waiting();
        fake.vm.timeout = Some(Duration::from_secs(10));
        let (running, ..) = fake.start();
        let mut guest = fake.guest();
        guest.say(&FromGuest::Up);
        drop(guest);
        let text = running.wait().unwrap_err().to_string();
        assert!(
            text.starts_with("the command did not end within 10 s"),
            "{text}"
        );
    }

    #[test]
    fn an_interrupt_ends_it() {
        let fake = Fake::new(HANGS);
        fake.vm.interrupt.raise(2);
        let error = fake.error();
        assert!(matches!(error, Error::Interrupted(2)));
        assert_eq!(error.exit_status(), 130);
    }

    #[test]
    fn qemu_s_own_words_are_passed_on() {
        let fake = Fake::new("echo \"qemu-system-x86_64: -device nothing: no such\" >&2; exit 1");
        let error = fake.error();
        assert_eq!(error.exit_status(), 125);
        assert_eq!(
            error.to_string(),
            "QEMU would not start the guest: -device nothing: no such"
        );
        let text = Fake::new("kill -SEGV $$").error().to_string();
        assert!(text.contains("it was ended by signal 11"), "{text}");
        assert!(!text.contains("ACCEL"), "{text}");
        let mut kvm = Fake::new("kill -ABRT $$");
        kvm.vm.accel = Accel::Kvm;
        let text = kvm.error().to_string();
        assert!(
            text.contains("signal 6") && text.contains("ACCEL=tcg"),
            "{text}"
        );
        let text = Fake::new("echo 'name \"my_rng\"'").error().to_string();
        assert!(text.contains("name \"my_rng\""), "{text}");
    }

    #[test]
    fn a_panic_and_an_early_end_are_told_apart() {
        let panic = "echo '[ 1.0] Kernel panic - not syncing: x' > \"$console\"";
        let error = Fake::new(panic).error();
        assert!(matches!(error, Error::GuestPanicked(_)));
        assert!(
            error
                .to_string()
                .ends_with("  | [ 1.0] Kernel panic - not syncing: x")
        );
        let error = Fake::new("echo '[ 1.0] reboot: Power down' > \"$console\"").error();
        assert!(matches!(error, Error::GuestDown(_)), "{error}");
    }

    #[test]
    fn too_little_memory_is_named() {
        let unpacking = "echo '[ 1.0] Initramfs unpacking failed: write error' > \"$console\"";
        let panic = "echo '[ 1.1] Kernel panic - not syncing: x' >> \"$console\"";
        for script in [unpacking, &format!("{unpacking}; {panic}"), "exit 0"] {
            let error = Fake::new(script).error();
            assert_eq!(error.exit_status(), 125);
            assert!(error.sentence().contains("--mem"), "{error}");
        }
    }

    #[test]
    fn output_before_a_crash_is_delivered() {
        let fake = Fake::waiting();
        let (running, stdout, _) = fake.start();
        let mut guest = fake.guest();
        guest.say(&FromGuest::Up);
        guest.stdout.write_all(b"last words").unwrap();
        guest.end(1);
        drop(guest);
        let error = running.wait().unwrap_err();
        assert!(matches!(error, Error::Qemu { .. }), "{error}");
        assert_eq!(stdout.take(), b"last words");
    }

    #[test]
    fn a_command_that_is_not_there_gives_127() {
        let fake = Fake::waiting();
        let (running, ..) = fake.start();
        fake.guest()
            .say(&FromGuest::Refused(Refusal::NotFound, "frobnicate".into()));
        let error = running.wait().unwrap_err();
        assert_eq!(error.exit_status(), 127);
        assert!(
            error
                .to_string()
                .starts_with("frobnicate is not in the guest")
        );
    }

    #[test]
    fn another_protocol_is_noticed() {
        let fake = Fake::waiting();
        let (running, ..) = fake.start();
        let mut guest = fake.guest();
        guest.control.get_mut().write_all(b"gibberish\n").unwrap();
        drop(guest);
        let text = running.wait().unwrap_err().to_string();
        assert!(text.contains("gibberish"), "{text}");
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_quietly_and_a_full_disk_does_not() {
        for (kind, status) in [
            (io::ErrorKind::BrokenPipe, 141),
            (io::ErrorKind::StorageFull, 125),
        ] {
            let fake = Fake::waiting();
            let console = Console::Streams {
                stdout: Box::new(Broken(kind)),
                stderr: Box::new(io::sink()),
            };
            let work = Work::Run(vec!["true".into()]);
            let running = fake.vm.start(work, console).unwrap();
            let mut guest = fake.guest();
            guest.stdout.write_all(b"x").unwrap();
            assert_eq!(running.wait().unwrap_err().exit_status(), status);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut fake = Fake::new("");
        fake.vm.files = vec![GuestFile {
            host: "/nowhere/tool".into(),
            guest: "/tool".into(),
        }];
        assert!(fake.error().to_string().contains("/nowhere/tool"));
        fake.vm.files.clear();
        fake.vm.initramfs = "/nowhere/initramfs".into();
        assert!(fake.error().to_string().contains("/nowhere/initramfs"));
        fake.vm.kernel = "/nowhere/kernel".into();
        assert!(fake.error().to_string().contains("/nowhere/kernel"));
        fake.vm.qemu = "/nowhere/qemu".into();
        assert!(fake.error().to_string().contains("/nowhere/qemu"));
        let mut fake = Fake::new("");
        fake.vm.qemu_args = vec!["-daemonize".into()];
        assert!(fake.error().to_string().contains("-daemonize"));
        let mut fake = Fake::new("");
        fake.vm.keep_log = Some("/nowhere/log".into());
        assert!(fake.error().to_string().contains("/nowhere/log"));
    }

    #[test]
    fn what_would_wait_for_another_process_is_refused() {
        let fake = Fake::waiting();
        let fifo = fake.path("ready");
        for path in [fifo.as_path(), fake.folder.path()] {
            assert!(readable(path).is_err());
            assert!(fit_for_log(path).is_err());
        }
        for path in ["/dev/null", "/nowhere/log"] {
            assert!(fit_for_log(Path::new(path)).is_ok(), "{path}");
        }
        assert!(fit_for_log(&fake.path("kernel")).is_ok());
        let mut fake = Fake::new("");
        fake.vm.kernel.clone_from(&fifo);
        assert!(fake.error().to_string().contains("no regular file"));
        let mut fake = Fake::new("");
        fake.vm.keep_log = Some(fifo);
        assert!(fake.error().to_string().contains("no regular file"));
    }

    /// QEMU's arguments for a run whose output goes to streams.
    fn arguments(vm: &Vm) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let sockets = Sockets::bind(folder.path(), false).unwrap();
        let console = Console::Streams {
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
        };
        vm.args(
            Chosen::Tcg,
            Path::new("/i"),
            Path::new("/c,d"),
            &console,
            &sockets,
        )
        .into_iter()
        .map(|argument| argument.into_string().unwrap())
        .collect()
    }

    fn values<'a>(arguments: &'a [String], option: &str) -> Vec<&'a str> {
        arguments
            .windows(2)
            .filter(|pair| pair[0] == option)
            .map(|pair| pair[1].as_str())
            .collect()
    }

    #[test]
    fn qemu_is_told_what_was_asked_for() {
        let mut vm = Vm::new("/q".into(), "/k".into(), "/i".into());
        let usual = arguments(&vm);
        assert!(values(&usual, "-device").contains(&"my_rng"));
        assert!(values(&usual, "-device")[0].ends_with(",addr=1e"));
        assert_eq!(
            values(&usual, "-append"),
            ["console=ttyS0 panic=-1 no_timer_check tsc=reliable my_rng_selftest=0"]
        );
        assert!(values(&usual, "-chardev").contains(&"file,id=console,path=/c,,d"));
        assert_eq!(values(&usual, "-global").len(), 1);

        vm.devices = vec!["edu".into(), "my_rng,id=b".into()];
        vm.machine = "q35,smm=off".into();
        vm.selftest = true;
        vm.append = "a=b".into();
        vm.smp = 4;
        vm.mem = "1G".into();
        vm.qmp = Some("/s".into());
        vm.qemu_args = vec!["-d".into(), "guest_errors".into()];
        let special = arguments(&vm);
        let devices = values(&special, "-device");
        assert!(devices[0].ends_with(",addr=1f.7"));
        assert_eq!(devices[devices.len() - 2..], ["edu", "my_rng,id=b"]);
        assert_eq!(
            values(&special, "-append"),
            ["console=ttyS0 panic=-1 no_timer_check tsc=reliable a=b"]
        );
        assert_eq!(values(&special, "-smp"), ["4"]);
        assert_eq!(values(&special, "-m"), ["1G"]);
        assert_eq!(values(&special, "-global").len(), 0);
        assert_eq!(values(&special, "-mon"), ["chardev=qmp,mode=control"]);
        assert_eq!(special[special.len() - 2..], ["-d", "guest_errors"]);

        vm.machine = "pc".into();
        vm.hotplug = true;
        assert_eq!(values(&arguments(&vm), "-global").len(), 0);
        vm.devices = vec!["my_rng".into(); 30];
        assert!(values(&arguments(&vm), "-device")[0].ends_with(",addr=01.7"));
        vm.machine = "pc-q35-8.2".into();
        assert!(!values(&arguments(&vm), "-device")[0].contains("addr="));
    }
}
