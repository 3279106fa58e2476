// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs of a stand-in for QEMU, with the test as the guest.

use super::*;
use crate::job::Work;
use crate::{Accel, Arch, Console, Vm};
use std::io::{BufReader, Write};
use std::path::Path;
use std::thread;

/// A stand-in for QEMU that does what a script says.
struct Fake {
    folder: tempfile::TempDir,
    vm: Vm,
}

impl Fake {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let script = format!("cd {}\n{script}\n", folder.path().display());
        fs::write(path("kernel"), script).unwrap();
        fs::write(path("initramfs"), "").unwrap();
        let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
        let mut vm = Vm::new(
            Arch::host().unwrap(),
            qemu,
            path("kernel"),
            path("initramfs"),
        );
        vm.accel = Accel::Tcg;
        Self { folder, vm }
    }

    /// One that tells the test where its ports are, and ends when told to.
    fn waiting() -> Self {
        Self::waiting_after("")
    }

    /// The same, after these lines.
    fn waiting_after(script: &str) -> Self {
        let fake = Self::new(&format!("{script}{WAITS}"));
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, fake.path("ready"), kind, mode, 0).unwrap();
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
        self.start().0.wait().unwrap_err()
    }

    /// The guest of a stand-in that waits, for the test to play.
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

const WAITS: &str = "mkfifo end
printf '%s\\n' \"$stdout\" \"$stderr\" \"$control\" > ready
read status < end
exit \"$status\"";

struct Guest {
    stdout: UnixStream,
    stderr: UnixStream,
    control: BufReader<UnixStream>,
    end: PathBuf,
}

impl Guest {
    fn say(&mut self, message: &FromGuest) {
        protocol::send(self.control.get_mut(), message).unwrap();
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
        // The end comes before the output: two ports have no common order.
        guest.say(&FromGuest::Ended {
            status: Status::Exited(7),
            written: [sent.len() as u64, 5],
        });
        guest.stdout.write_all(&sent).unwrap();
        guest.stderr.write_all(b"oops\n").unwrap();
        let answer = protocol::receive(&mut guest.control).unwrap();
        assert_eq!(answer, Some(FromHost::Bye));
        guest.end(0);
    });
    let status = running.wait().unwrap();
    guest.join().unwrap();
    assert_eq!(status, Status::Exited(7));
    assert!(stdout.take() == bytes);
    assert_eq!(stderr.take(), b"oops\n");
}

#[test]
fn guest_goes_on_when_its_mark_is_on_the_console() {
    let fake = Fake::waiting();
    let shown = Captured::default();
    let console = Console::Live(Box::new(shown.clone()));
    let running = fake.vm.start(Work::Console(vec![]), console).unwrap();
    let folder = running.folder.as_ref().unwrap().path().to_owned();
    let mut guest = fake.guest();
    let mut serial = UnixStream::connect(folder.join("console.socket")).unwrap();
    let guest = thread::spawn(move || {
        guest.say(&FromGuest::Mark("booted".into()));
        serial.write_all(b"it has booted\r\n").unwrap();
        let answer = protocol::receive(&mut guest.control).unwrap();
        assert_eq!(answer, Some(FromHost::Go));
        guest.say(&FromGuest::Ended {
            status: Status::Killed(9),
            written: [0, 0],
        });
        let answer = protocol::receive(&mut guest.control).unwrap();
        assert_eq!(answer, Some(FromHost::Bye));
        guest.end(0);
    });
    assert_eq!(running.wait().unwrap(), Status::Killed(9));
    guest.join().unwrap();
    assert_eq!(shown.text(), "it has booted\r\n");
}

#[test]
fn nothing_is_left_behind() {
    let mut fake = Fake::waiting();
    fake.vm.qmp = Some(fake.path("qmp"));
    // Such a socket is what a killed QEMU leaves.
    drop(std::os::unix::net::UnixListener::bind(fake.path("qmp")).unwrap());
    let (running, ..) = fake.start();
    let folder = running.folder.as_ref().unwrap().path().to_owned();
    assert!(folder.exists());
    let mut guest = fake.guest();
    guest.say(&FromGuest::Up);
    guest.say(&FromGuest::Mark("never seen".into()));
    drop(guest);
    fake.vm.interrupt.raise(15);
    let error = running.wait().unwrap_err();
    assert!(matches!(error, Error::Interrupted(15)));
    assert_eq!(error.exit_status(), 143);
    assert!(!folder.exists());
    assert!(!fake.path("qmp").exists());
}

#[test]
fn dropped_machine_is_killed() {
    let fake = Fake::waiting();
    let (running, ..) = fake.start();
    let pidfd = running.process.pidfd();
    drop(running);
    let flags = rustix::event::PollFlags::IN;
    let mut fds = [rustix::event::PollFd::new(&pidfd, flags)];
    assert_eq!(rustix::event::poll(&mut fds, None).unwrap(), 1);
}

/// The files did not fit into the guest's memory.
const UNPACKING: &str = "echo '[ 1.0] Initramfs unpacking failed: write error' > \"$console\"";

#[test]
fn early_end_of_qemu_is_explained() {
    const PANIC: &str = "[ 1.0] Kernel panic - not syncing: x";
    for (script, told) in [
        (
            "echo \"qemu-system-x86_64: -device nothing: no such\" >&2; exit 1",
            "QEMU would not start the guest: -device nothing: no such",
        ),
        ("kill -SEGV $$", "it was ended by signal 11"),
        ("echo 'name \"my_rng\"'", "name \"my_rng\""),
        (
            &format!("echo '{PANIC}' > \"$console\""),
            &format!("the guest's kernel panicked; the console's last lines:\n  | {PANIC}"),
        ),
        (
            "echo '[ 1.0] reboot: Power down' > \"$console\"",
            "the guest went down before the command had ended",
        ),
        (UNPACKING, "too little memory: give it more with --mem"),
        (
            &format!("{UNPACKING}; echo '{PANIC}' >> \"$console\""),
            "too little memory: give it more with --mem",
        ),
        ("exit 0", "--mem"),
    ] {
        let error = Fake::new(script).error();
        let text = error.to_string();
        assert!(text.contains(told), "{script}: {text}");
        assert!(!text.contains("ACCEL"), "{text}");
        assert_eq!(error.exit_status(), 125);
    }
    let mut kvm = Fake::new("kill -ABRT $$");
    kvm.vm.accel = Accel::Kvm;
    let text = kvm.error().to_string();
    assert!(
        text.contains("signal 6") && text.contains("ACCEL=tcg"),
        "{text}"
    );
}

#[test]
fn time_out_for_want_of_memory_is_explained() {
    let fake = Fake::waiting_after(&format!("{UNPACKING}\n"));
    let (running, ..) = fake.start();
    let guest = fake.guest();
    assert!(matches!(running.timed_out(), Error::TooLittleMemory(_)));
    drop(guest);
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
fn another_protocol_is_noticed() {
    let fake = Fake::waiting();
    let (running, ..) = fake.start();
    let mut guest = fake.guest();
    guest.control.get_mut().write_all(b"gibberish\n").unwrap();
    drop(guest);
    let text = running.wait().unwrap_err().to_string();
    assert!(text.contains("gibberish"), "{text}");
}
