// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU itself, with a guest or without one, for what `vm/run` does not reach: a machine that is saved,
//! moved to another process, put to sleep, or driven by QEMU's own test protocol.
#![expect(
    clippy::indexing_slicing,
    reason = "what is not as it should be ends the test"
)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{build_folder, built, guest_program, log_text};

/// How long QEMU or a guest may keep silent: far more than any does, so that only one that hangs meets
/// it.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// The same, for the kernel.
const DEADLINE_SPEC: Timespec = Timespec {
    tv_sec: DEADLINE.as_secs() as i64,
    tv_nsec: 0,
};

/// What the guest's shell says when it waits for a line.
const PROMPT: &str = "guest:~#";
/// What ends each line that the shell is given. The shell echoes what is typed, which must not be taken for
/// what is printed.
const END: &str = "; echo e''nd:$?";

/// A machine's command line.
#[derive(Debug)]
pub struct Machine {
    qemu: PathBuf,
    arguments: Vec<OsString>,
    folder: TempDir,
}

impl Machine {
    /// Without a guest, for [`Process::qtest`].
    pub fn qtest(machine: &str) -> Self {
        Self::bare().args(["-machine", &format!("{machine},accel=qtest")])
    }

    /// With the guest that `make` has built: a shell on its serial console, the module loaded, no
    /// self-test. Under TCG, so that it is the same machine everywhere.
    pub fn guest(machine: &str) -> Self {
        Self::guest_with(machine, "")
    }

    /// Likewise, with more arguments for the kernel.
    pub fn guest_with(machine: &str, append: &str) -> Self {
        Self::linux(machine, &format!("my_rng_selftest=0 {append}"))
            .args(["-m", "256M"])
            .arg("-initrd")
            .arg(built("initramfs"))
    }

    /// With Debian, from the disk that `scripts/debian-vm.sh` has made, which stays as it is: root's shell on
    /// its serial console, and on its screen a user's, if there is a screen.
    pub fn debian(append: &str) -> Self {
        let disk = build_folder().join("debian/debian.img");
        assert!(
            disk.is_file(),
            "there is no {}; run `scripts/debian-vm.sh image`",
            disk.display()
        );
        let disk = disk.display().to_string().replace(',', ",,");
        Self::linux("pc", &format!("root=/dev/vda rw {append}"))
            .args(["-m", "512M", "-smp", "2"])
            // It would give each device a "Physical Slot".
            .args(["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"])
            .arg("-drive")
            .arg(format!(
                "file={disk},format=raw,snapshot=on,if=none,id=disk"
            ))
            // The slot of the network card that there is none of, so that the next device has the usual one.
            .device("virtio-blk-pci,drive=disk,addr=3")
    }

    /// With the kernel that `make` has built, under TCG.
    fn linux(machine: &str, append: &str) -> Self {
        Self::bare()
            .args(["-machine", &format!("{machine},accel=tcg")])
            // What these features promise is slow under TCG.
            .args(["-cpu", "max,-erms,-fsrm,-fsrs"])
            .arg("-kernel")
            .arg(built("kernel"))
            // The kernel's checks of timers fail now and then, or never end, on a busy host.
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=-1 no_timer_check tsc=reliable loglevel=0 {append}"
            ))
    }

    fn bare() -> Self {
        Self {
            qemu: built("qemu"),
            arguments: vec![],
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
        .args(["-nodefaults", "-display", "none"])
    }

    /// A folder that lives as long as the machine.
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

    /// Adds a disk that holds the programs compiled from `guest/NAME.c`. The guest, of which it is the first or
    /// the second disk, unpacks it with `tar -xf`.
    pub fn programs(self, names: &[&str]) -> Self {
        let archive = self.folder().join("programs.tar");
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive);
        for name in names {
            let program = guest_program(name);
            let folder = program.parent().expect("a folder").to_owned();
            tar.arg("-C").arg(folder).arg(name);
        }
        assert!(tar.status().expect("tar can be run").success());
        assert!(std::fs::metadata(&archive).is_ok_and(|archive| archive.len() > 0));
        let archive = archive.display().to_string().replace(',', ",,");
        self.arg("-drive")
            .arg(format!(
                "file={archive},format=raw,readonly=on,if=none,id=programs"
            ))
            .device("virtio-blk-pci,drive=programs,addr=8")
    }

    /// Takes another QEMU than the one that `make` has built.
    pub fn qemu(self, path: &Path) -> Self {
        Self {
            qemu: path.to_owned(),
            ..self
        }
    }

    /// Adds a device.
    pub fn device(self, spec: &str) -> Self {
        self.args(["-device", spec])
    }

    /// Starts it.
    pub fn start(self) -> Process {
        Process::start(self)
    }
}

/// A QEMU that runs. It is ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its monitor.
    pub qmp: Qmp,
    /// Its serial console.
    pub console: Console,
    qtest: Option<Lines>,
    /// Readable when QEMU has ended.
    ended: OwnedFd,
    folder: TempDir,
}

impl Process {
    fn start(machine: Machine) -> Self {
        let folder = machine.folder;
        let socket = |name: &str| {
            let path = folder.path().join(name);
            let listener = UnixListener::bind(&path).expect("a socket");
            (listener, format!("unix:{}", path.display()))
        };
        // QEMU connects to us: so nobody has to wait for it to listen.
        let (console, console_address) = socket("console");
        let (qmp, qmp_address) = socket("qmp");
        let (qtest, qtest_address) = socket("qtest");
        let with_qtest = machine
            .arguments
            .iter()
            .any(|argument| argument.to_string_lossy().contains("accel=qtest"));
        let errors = File::create(folder.path().join("errors")).expect("a file");
        // QEMU ends with the test, however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&machine.qemu)
            .args(&machine.arguments)
            .args(["-serial", &console_address, "-qmp", &qmp_address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        if with_qtest {
            command.args(["-qtest", &qtest_address]);
        }
        let child = command
            .spawn()
            .expect("setpriv (util-linux) and QEMU can be run");
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("a pidfd");
        let accept = |listener: &UnixListener| {
            let mut ready = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&ended, PollFlags::IN),
            ];
            poll(&mut ready, Some(&DEADLINE_SPEC)).expect("poll");
            assert!(
                ready[0].revents().contains(PollFlags::IN),
                "QEMU ended as it started, or did not connect: {}",
                log_text(&folder.path().join("errors"))
            );
            let (stream, _) = listener.accept().expect("a connection of QEMU's");
            stream
        };
        let console = Console::new(accept(&console));
        let mut qmp = Qmp::new(Lines::new(accept(&qmp)));
        let qtest = with_qtest.then(|| Lines::new(accept(&qtest)));
        qmp.greet();
        Self {
            child,
            qmp,
            console,
            qtest,
            ended,
            folder,
        }
    }

    /// A folder that lives as long as this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What QEMU has written to its standard error so far.
    pub fn errors(&self) -> String {
        log_text(&self.folder.path().join("errors"))
    }

    /// Waits for QEMU to end by itself; its status and its standard error.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut ready = [PollFd::new(&self.ended, PollFlags::IN)];
        poll(&mut ready, Some(&DEADLINE_SPEC)).expect("poll");
        let [ended] = ready;
        assert!(
            ended.revents().contains(PollFlags::IN),
            "QEMU does not end: {}\n{}",
            self.console.take(),
            self.errors()
        );
        let status = self.child.wait().expect("QEMU ends");
        (status, self.errors())
    }

    /// Ends QEMU.
    pub fn quit(mut self) {
        self.qmp.execute("quit", json!({}));
        self.wait();
    }

    /// Resets the machine, whose shell must wait, and waits for the shell of the new boot.
    pub fn reset(&mut self) {
        self.console.change_prompt();
        self.qmp.execute("system_reset", json!({}));
        self.console.shell();
    }

    /// A property of the device whose id is `rng`.
    pub fn property(&mut self, name: &str) -> Value {
        let path = "/machine/peripheral/rng";
        self.qmp
            .execute("qom-get", json!({ "path": path, "property": name }))
    }

    /// Gives a command of the test protocol; QEMU's answer, without the OK.
    pub fn qtest(&mut self, command: &str) -> String {
        let qtest = self.qtest.as_mut().expect("a machine for tests");
        qtest.send(command);
        loop {
            let answer = qtest.next("an answer");
            // Interrupts are told in between.
            if answer.starts_with("IRQ") {
                continue;
            }
            return answer
                .strip_prefix("OK")
                .unwrap_or_else(|| panic!("{command}: {answer}"))
                .trim()
                .to_owned();
        }
    }
}

/// What firmware and a driver would do, by the test protocol.
impl Process {
    /// Gives a device's first BAR an address, and writes its command register (2: memory decoding, 4: DMA).
    pub fn enable(&mut self, slot: u64, address: u64, command: u16) {
        let device = 0x8000_0000_u64 | slot << 11;
        self.qtest(&format!("outl 0xcf8 {:#x}", device | 0x10));
        self.qtest(&format!("outl 0xcfc {address:#x}"));
        self.qtest(&format!("outl 0xcf8 {:#x}", device | 0x04));
        self.qtest(&format!("outw 0xcfc {command:#x}"));
    }

    /// Reads 1, 2, 4 or 8 bytes of memory: `b`, `w`, `l` or `q`.
    pub fn read(&mut self, size: char, address: u64) -> u64 {
        let answer = self.qtest(&format!("read{size} {address:#x}"));
        let digits = answer.strip_prefix("0x").expect("a hexadecimal number");
        u64::from_str_radix(digits, 16).expect("a hexadecimal number")
    }

    /// Writes them.
    pub fn write(&mut self, size: char, address: u64, value: u64) {
        self.qtest(&format!("write{size} {address:#x} {value:#x}"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let status = self.child.try_wait();
            eprintln!("QEMU's status: {status:?}, its errors: {}", self.errors());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines to and from QEMU.
#[derive(Debug)]
struct Lines {
    commands: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Lines {
    fn new(commands: UnixStream) -> Self {
        commands
            .set_read_timeout(Some(DEADLINE))
            .expect("a deadline");
        let answers = BufReader::new(commands.try_clone().expect("a second handle"));
        Self { commands, answers }
    }

    fn send(&mut self, line: &str) {
        // In one piece: QEMU carries out a command as soon as it is whole, and after `quit` there is
        // nobody to take the end of the line.
        let line = format!("{line}\n");
        self.commands
            .write_all(line.as_bytes())
            .expect("QEMU takes commands");
    }

    fn next(&mut self, what: &str) -> String {
        let mut line = String::new();
        let length = self
            .answers
            .read_line(&mut line)
            .unwrap_or_else(|error| panic!("QEMU did not send {what}: {error}"));
        assert!(length > 0, "QEMU went away instead of sending {what}");
        line.truncate(line.trim_end().len());
        line
    }
}

/// QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines,
    /// Events that came while something else was waited for.
    events: Vec<Value>,
}

impl Qmp {
    /// Connects to the socket at which QEMU listens.
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("QEMU listens at its QMP socket");
        let mut qmp = Self::new(Lines::new(stream));
        qmp.greet();
        qmp
    }

    fn new(lines: Lines) -> Self {
        Self {
            lines,
            events: Vec::new(),
        }
    }

    fn greet(&mut self) {
        while self.receive("its greeting").get("QMP").is_none() {}
        self.execute("qmp_capabilities", json!({}));
    }

    /// Waits for an event, or takes note of one that came already; its data.
    pub fn wait_for_event(&mut self, name: &str) -> Value {
        self.wait_for_event_with(name, |_| true)
    }

    /// Likewise, for an event with such data. What came before it is forgotten.
    pub fn wait_for_event_with(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let found = self
                .events
                .iter()
                .position(|event| event["event"] == name && wanted(&event["data"]));
            if let Some(index) = found {
                let event = self.events.drain(..=index).next_back();
                return event.expect("the event")["data"].take();
            }
            self.receive(name);
        }
    }

    fn receive(&mut self, what: &str) -> Value {
        let line = self.lines.next(what);
        let message: Value = serde_json::from_str(&line).expect("QMP is JSON");
        if message.get("event").is_some() {
            self.events.push(message.clone());
        }
        message
    }

    /// Gives a command that has to succeed; what it returns.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Value {
        self.give(command, &arguments)
            .unwrap_or_else(|error| panic!("{command} {arguments}: {error}"))
    }

    /// Gives a command that has to fail; what QEMU says of it.
    pub fn refused(&mut self, command: &str, arguments: Value) -> String {
        match self.give(command, &arguments) {
            Ok(value) => panic!("{command} {arguments} was not refused: {value}"),
            Err(reason) => reason,
        }
    }

    fn give(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let message = json!({ "execute": command, "arguments": arguments });
        self.lines.send(&message.to_string());
        loop {
            let mut message = self.receive(command);
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                return Err(error["desc"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    /// Runs a job (`snapshot-save` and its like) to its end; its error, if it has one.
    pub fn job(&mut self, command: &str, mut arguments: Value) -> Result<(), String> {
        arguments["job-id"] = json!("job");
        self.execute(command, arguments);
        // Some jobs wait to be dismissed, and some are gone by themselves.
        self.wait_for_event_with("JOB_STATUS_CHANGE", |data| {
            data["id"] == "job" && data["status"] == "concluded"
        });
        let jobs = self.execute("query-jobs", json!({}));
        let job = jobs
            .as_array()
            .and_then(|jobs| jobs.iter().find(|job| job["id"] == "job"))
            .expect("the job");
        let error = job["error"].as_str().map(str::to_owned);
        self.execute("job-dismiss", json!({ "id": "job" }));
        error.map_or(Ok(()), Err)
    }
}

/// The guest's serial console.
#[derive(Debug)]
pub struct Console {
    input: UnixStream,
    output: Receiver<Vec<u8>>,
    /// What has come and was not asked for yet.
    pending: String,
}

impl Console {
    fn new(input: UnixStream) -> Self {
        let mut stream = input.try_clone().expect("a second handle");
        let (sender, output) = channel();
        // It is read all the time, so that the guest never waits for us.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            input,
            output,
            pending: String::new(),
        }
    }

    /// Waits for the shell that the guest gives.
    pub fn shell(&mut self) {
        self.until(PROMPT);
    }

    /// Gives the shell a line. What it prints at the end, `until_end` waits for.
    pub fn shell_line(&mut self, line: &str) {
        writeln!(self.input, "{line}{END}").expect("QEMU takes input");
    }

    /// What the shell's line printed, line by line, without its echo; the line must end with 0.
    pub fn until_end(&mut self) -> Vec<String> {
        let end = "\nend:0\r\n";
        let text = self.until(end);
        self.shell();
        lines(text.strip_suffix(end).unwrap_or_default())
            .skip_while(|line| !line.contains(END))
            .skip(1)
            .map(str::to_owned)
            .collect()
    }

    /// Waits until the shell has echoed a line, so that none of it is still on its way.
    pub fn echo(&mut self) {
        self.until(&format!("{END}\r\n"));
    }

    /// Gives the shell another prompt than [`Console::shell`] waits for, so that none of it can be taken for
    /// that of the next boot.
    pub fn change_prompt(&mut self) {
        self.shell_line("PS1=before''-the-reset");
        self.until("before-the-reset");
    }

    /// Interrupts what the shell's line runs; what that has printed since it was last waited for.
    pub fn interrupt(&mut self) -> Vec<String> {
        const ECHO: &str = "^C";
        self.input.write_all(b"\x03").expect("QEMU takes input");
        // The kernel signals first, and echoes then: what is interrupted may have its say before.
        let before = self.until(ECHO);
        let text = before.strip_suffix(ECHO).unwrap_or_default().to_owned() + &self.until(PROMPT);
        lines(&text).map(str::to_owned).collect()
    }

    /// Runs a line of the shell's, which must end with 0; what it printed.
    pub fn run(&mut self, line: &str) -> Vec<String> {
        self.shell_line(line);
        self.until_end()
    }

    /// Everything up to `marker`.
    pub fn until(&mut self, marker: &str) -> String {
        loop {
            if let Some(at) = self.pending.find(marker) {
                let rest = self.pending.split_off(at + marker.len());
                return std::mem::replace(&mut self.pending, rest);
            }
            assert!(
                self.more(),
                "the console ended before {marker:?}: {}",
                self.pending
            );
        }
    }

    /// Everything that has come so far.
    fn take(&mut self) -> String {
        while let Ok(bytes) = self.output.try_recv() {
            self.pending.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.pending)
    }

    fn more(&mut self) -> bool {
        match self.output.recv_timeout(DEADLINE) {
            Ok(bytes) => {
                self.pending.push_str(&String::from_utf8_lossy(&bytes));
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the guest keeps silent after: {}", self.pending)
            }
        }
    }
}

/// The lines of what a terminal shows.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.trim_end_matches('\r'))
}
