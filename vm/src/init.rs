// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's init (PID 1): gets the guest ready, does the job that the launcher left in the
//! initramfs, says how it went, and powers off.
//!
//! Nothing here may end the process: the kernel panics when PID 1 does. Errors go to the launcher
//! or, before there is a channel to it, to the console; then the guest is switched off.

use std::convert::Infallible;
use std::env::set_current_dir;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::mount::{MountFlags, mount};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, WaitOptions, getpid, ioctl_tiocsctty, setsid, wait};
use rustix::system::{RebootCommand, finit_module, reboot, uname};
use rustix::termios::{Winsize, tcdrain, tcsetwinsize};

use crate::job::{JOB_PATH, Job, MODULE_PATH, MODULES, Step, Terminal, Work};
use crate::protocol::{self, CONTROL_PORT, FromGuest, FromHost, OPENING, Refusal, Status, Stream};

/// How long the ports may take to appear. The kernel finds them by itself, in the background.
/// The launcher has a limit of its own.
const PORTS_LIMIT: Duration = Duration::from_secs(60);

/// How long to look for the launcher's port in a guest that has some virtio-serial device but no
/// job.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Where the ports are listed by the names of their devices.
const PORTS: &str = "/sys/class/virtio-ports";

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const HOME: &str = "/root";

/// The program.
pub fn main() -> ! {
    if !getpid().is_init() {
        eprintln!("vm-init is the guest's first process and of no use anywhere else");
        std::process::exit(1);
    }
    let Err(error) = work();
    println!("vm-init: {error}");
    power_off()
}

/// All of init's work, which ends by switching the guest off, or in an error.
fn work() -> Result<Infallible, String> {
    mount_all()?;
    set_current_dir(HOME).map_err(|error| format!("cannot change to {HOME}: {error}"))?;
    let job = match fs::read(JOB_PATH) {
        // The kernel leaves what there was no room for cut off, or empty.
        Ok(bytes) => Job::decode(&bytes).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("cannot read {JOB_PATH}: {error}")),
    };
    // A guest booted by hand has no job and no ports: it gives a shell.
    let launcher = match &job {
        Some(_) => Some(Launcher::connect()?),
        None if launcher_is_there() => {
            let why = "the files do not fit into the guest's memory: give it more with --mem";
            Launcher::connect()?.last_word(&FromGuest::Failed(why.to_owned()))
        }
        None => None,
    };
    match do_job(&job.unwrap_or_default(), launcher.as_ref()) {
        Ok(message) => match &launcher {
            Some(launcher) => launcher.last_word(&message),
            None => power_off(),
        },
        Err(error) => match &launcher {
            Some(launcher) => launcher.last_word(&FromGuest::Failed(error)),
            None => Err(error),
        },
    }
}

/// Does the job. The message says how it ended.
fn do_job(job: &Job, launcher: Option<&Launcher>) -> Result<FromGuest, String> {
    if let Some(launcher) = launcher {
        launcher.say(&FromGuest::Up);
    }
    if job.load_module {
        load_module()?;
    }
    match (&job.work, launcher) {
        (Work::Run(argv), Some(launcher)) => run(argv, launcher),
        (Work::Console(steps), Some(launcher)) => run_on_console(steps, launcher),
        (Work::Shell(terminal), _) => shell(terminal),
        (_, None) => Err("there is nobody to tell how it went".to_owned()),
    }
}

/// Mounts what programs expect.
fn mount_all() -> Result<(), String> {
    let none = MountFlags::empty();
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        match mount(kind, place, kind, none, None) {
            // The kernel may have mounted it by itself.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(format!("cannot mount {kind} on {place}: {error}")),
        }
    }
    // These are there only if the kernel has them.
    for (kind, place) in [
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("debugfs", "/sys/kernel/debug"),
    ] {
        let _ = fs::create_dir_all(place);
        let _ = mount(kind, place, kind, none, None);
    }
    for (target, place) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        let _ = symlink(target, place);
    }
    // The folder of modules serves whichever kernel was booted.
    let release = uname().release().to_string_lossy().into_owned();
    let _ = symlink(MODULES, Path::new(MODULES).join(release));
    Ok(())
}

fn load_module() -> Result<(), String> {
    let file =
        File::open(MODULE_PATH).map_err(|error| format!("cannot open {MODULE_PATH}: {error}"))?;
    match finit_module(&file, c"", 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(format!(
            "cannot load {MODULE_PATH}: {error}; `make` builds it for the kernel that it builds, and \
             --no-module does without it"
        )),
    }
}

/// Switches the guest off.
fn power_off() -> ! {
    rustix::fs::sync();
    loop {
        let _ = reboot(RebootCommand::PowerOff);
        // Without a way to switch off there is at least a restart, which ends QEMU too.
        let _ = reboot(RebootCommand::Restart);
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// The launcher on the host, and the ports to it.
struct Launcher {
    control: File,
    stdout: File,
    stderr: File,
    answers: Receiver<FromHost>,
}

impl Launcher {
    fn connect() -> Result<Self, String> {
        let deadline = Instant::now() + PORTS_LIMIT;
        let control = open_port(CONTROL_PORT, deadline)?;
        let stdout = open_port(Stream::Stdout.port(), deadline)?;
        let stderr = open_port(Stream::Stderr.port(), deadline)?;
        let (sender, answers) = channel();
        let mut lines = BufReader::new(
            control
                .try_clone()
                .map_err(|error| format!("cannot read the control port: {error}"))?,
        );
        thread::spawn(move || {
            loop {
                match protocol::receive(&mut lines) {
                    Ok(Some(FromHost::Go)) => drop(sender.send(FromHost::Go)),
                    // At the end of the port, the launcher is gone.
                    Ok(Some(FromHost::Bye) | None) | Err(_) => power_off(),
                }
            }
        });
        Ok(Self {
            control,
            stdout,
            stderr,
            answers,
        })
    }

    fn say(&self, message: &FromGuest) {
        // One that cannot be told is gone, which the thread above sees.
        let _ = protocol::send(&self.control, message);
    }

    /// Says how it went, and waits to be dismissed.
    fn last_word(&self, message: &FromGuest) -> ! {
        self.say(message);
        loop {
            thread::park();
        }
    }

    /// Waits until all that the kernel has logged so far is on the serial console, which a thread
    /// of its own writes: the launcher looks for a line logged last.
    fn wait_for_kernel_log(&self, line: &str) {
        if fs::write("/dev/kmsg", format!("<6>vm-init: {line}\n")).is_ok() {
            self.say(&FromGuest::Mark(format!("vm-init: {line}")));
            let _ = self.answers.recv();
        }
    }
}

/// Opens a virtio-serial port by its name and says the opening line on it, which waits until the
/// launcher is connected.
fn open_port(name: &str, deadline: Instant) -> Result<File, String> {
    loop {
        if let Some(device) = find_port(Path::new(PORTS), name) {
            let path = Path::new("/dev").join(device);
            let opened = File::options().read(true).write(true).open(&path);
            let mut port =
                opened.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            return port
                .write_all(OPENING.as_bytes())
                .map(|()| port)
                .map_err(|error| format!("cannot write to the port {name}: {error}"));
        }
        if Instant::now() > deadline {
            return Err(format!(
                "there is no virtio-serial port named {name}: boot this guest with vm/run, or \
                 without {JOB_PATH}"
            ));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the guest was booted by the launcher, which is to be asked only if there is no job.
fn launcher_is_there() -> bool {
    let deadline = Instant::now() + LOOK_LIMIT;
    while has_device(Path::new("/sys/bus/virtio/drivers/virtio_console")) {
        if find_port(Path::new(PORTS), CONTROL_PORT).is_some() {
            return true;
        }
        if Instant::now() > deadline {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Whether a driver of the virtio bus has a device.
fn has_device(driver: &Path) -> bool {
    fs::read_dir(driver)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"virtio"))
}

/// The device whose `name` file says `name`.
fn find_port(class: &Path, name: &str) -> Option<OsString> {
    fs::read_dir(class)
        .ok()?
        .flatten()
        .find(|entry| {
            fs::read_to_string(entry.path().join("name")).is_ok_and(|found| found.trim() == name)
        })
        .map(|entry| entry.file_name())
}

/// Gets a command started, with the environment that all commands get. The message says why it
/// could not be.
///
/// std is to use posix_spawn here, not fork, for which it wants Unix sockets, which the guest's
/// kernel lacks: so the command is looked up by us, and the working folder is init's own.
fn start(argv: &[OsString], stdio: impl FnOnce(&mut Command)) -> Result<Pid, FromGuest> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(FromGuest::Failed("there is no command to run".to_owned()));
    };
    let name = protocol::shortened(&program.to_string_lossy());
    let Some(path) = look_up(program, PATH) else {
        return Err(FromGuest::Refused(Refusal::NotFound, name));
    };
    let mut command = Command::new(&path);
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", HOME)
        .env("USER", "root")
        .env("SHELL", "/bin/sh")
        .env("TERM", "dumb");
    stdio(&mut command);
    command
        .spawn()
        .map(|child| Pid::from_child(&child))
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => FromGuest::Refused(Refusal::NoInterpreter, name),
            Some(Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR) => {
                FromGuest::Refused(Refusal::NotExecutable, name)
            }
            _ => FromGuest::Failed(format!("cannot start {name}: {error}")),
        })
}

/// The file that a command's name means. One that is there but not executable is better than none,
/// as the error then says so.
fn look_up(program: &OsString, search: &str) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return path.exists().then_some(path);
    }
    if program.is_empty() {
        return None;
    }
    let found: Vec<_> = search
        .split(':')
        .map(|folder| Path::new(folder).join(program))
        .filter(|path| path.is_file())
        .collect();
    let executable = |path: &&PathBuf| {
        path.metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
    };
    found.iter().find(executable).or(found.first()).cloned()
}

/// Waits for a process to end, and meanwhile for all those that have been orphaned.
fn reap_until(pid: Pid) -> Result<Status, String> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                if let Some(code) = status.exit_status() {
                    return Ok(Status::Exited(u8::try_from(code).unwrap_or(u8::MAX)));
                }
                if let Some(signal) = status.terminating_signal() {
                    return Ok(Status::Killed(signal));
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the command: {error}")),
        }
    }
}

/// Runs a command with its output going to the ports.
fn run(argv: &[OsString], launcher: &Launcher) -> Result<FromGuest, String> {
    let failed = |error: io::Error| format!("cannot pass the command's output on: {error}");
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()));
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let (stop, stop_end) = pipe()?;
    // Larger pipes mean fewer switches between the command and us; the usual size works too.
    let _ = fcntl_setpipe_size(&stdout, 1 << 20);

    let started = start(argv, |command| {
        command
            .stdin(Stdio::null())
            .stdout(stdout_end)
            .stderr(stderr_end);
    });
    let pid = match started {
        Ok(pid) => pid,
        Err(message) => return Ok(message),
    };

    let stop = &stop;
    let (stdout_port, stderr_port) = (&launcher.stdout, &launcher.stderr);
    thread::scope(|scope| {
        let stdout = scope.spawn(move || forward(&File::from(stdout), stdout_port, stop));
        let stderr = scope.spawn(move || forward(&File::from(stderr), stderr_port, stop));
        let status = reap_until(pid)?;
        // What the command has left running may hold the pipes open: it ends with the guest.
        drop(stop_end);
        let written = |thread: thread::ScopedJoinHandle<'_, io::Result<u64>>| {
            thread
                .join()
                .map_err(|_| "a thread of init's failed".to_owned())?
                .map_err(failed)
        };
        Ok(FromGuest::Ended {
            status,
            written: [written(stdout)?, written(stderr)?],
        })
    })
}

/// Passes on what comes through a pipe, until its end or, once `stop` has ended, until all that was
/// in it then is through. Returns how many bytes that were.
fn forward(from: &File, mut to: &File, stop: &OwnedFd) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    let mut left = None;
    while left != Some(0) {
        if left.is_none() {
            let mut fds = [
                PollFd::new(from, PollFlags::IN),
                PollFd::new(stop, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [data, stopped] = &fds;
            if !stopped.revents().is_empty() {
                left = Some(ioctl_fionread(from)?);
                continue;
            }
            if data.revents().is_empty() {
                continue;
            }
        }
        let limit = left.map_or(buffer.len(), |left| {
            buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        let mut from = from;
        let length = from.read(buffer.get_mut(..limit).unwrap_or_default())?;
        if length == 0 {
            break;
        }
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        written += length as u64;
        left = left.map(|left| left.saturating_sub(length as u64));
    }
    Ok(written)
}

/// Runs commands on the console, as if typed there. The status is that of the first that failed.
fn run_on_console(steps: &[Step], launcher: &Launcher) -> Result<FromGuest, String> {
    launcher.wait_for_kernel_log("the boot is over");
    let mut result = Status::Exited(0);
    for step in steps {
        // What the kernel logs must not cut into a line of the command's.
        set_console_level(if step.kernel_log { "7" } else { "1" });
        let words: Vec<_> = step
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        println!("# {}", words.join(" "));
        drain_console();
        let pid = match start(&step.argv, |_| {}) {
            Ok(pid) => pid,
            Err(message) => return Ok(message),
        };
        let status = reap_until(pid)?;
        drain_console();
        if step.kernel_log {
            launcher.wait_for_kernel_log(&format!("{} is done", words.first().map_or("", |w| w)));
        }
        if result == Status::Exited(0) {
            result = status;
        }
    }
    set_console_level("7");
    Ok(FromGuest::Ended {
        status: result,
        written: [0, 0],
    })
}

/// Sets which of the kernel's messages reach the console.
fn set_console_level(level: &str) {
    let argv = ["dmesg", "-n", level].map(OsString::from);
    if let Ok(pid) = start(&argv, |_| {}) {
        let _ = reap_until(pid);
    }
}

/// Waits until all that was written to the console is out.
fn drain_console() {
    let _ = io::stdout().flush();
    let _ = tcdrain(io::stdout());
}

/// Gives a shell on the serial console.
fn shell(terminal: &Terminal) -> Result<FromGuest, String> {
    let failed = |error: io::Error| format!("cannot give a shell: {error}");
    // /dev/console itself can control no session.
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let name = active.split_whitespace().last().unwrap_or("ttyS0");
    let tty = File::options()
        .read(true)
        .write(true)
        .open(Path::new("/dev").join(name))
        .map_err(failed)?;
    let _ = setsid();
    ioctl_tiocsctty(&tty).map_err(|error| failed(error.into()))?;
    if terminal.rows > 0 && terminal.columns > 0 {
        let size = Winsize {
            ws_row: terminal.rows,
            ws_col: terminal.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let _ = tcsetwinsize(&tty, size);
    }
    let _ = (&tty).write_all(
        b"\nThis is the my_rng guest. Leave it with `exit`; Ctrl-A X ends it at once.\n\n",
    );
    let clone = || tty.try_clone().map_err(failed);
    let (stdin, stdout, stderr) = (clone()?, clone()?, clone()?);
    let argv = ["/bin/sh", "-l"].map(OsString::from);
    let started = start(&argv, |shell| {
        shell
            .env("PS1", "guest:\\w\\$ ")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if !terminal.name.is_empty() {
            shell.env("TERM", &terminal.name);
        }
    });
    let pid = match started {
        Ok(pid) => pid,
        Err(message) => return Ok(message),
    };
    let status = reap_until(pid)?;
    let _ = tcdrain(tty.as_fd());
    Ok(FromGuest::Ended {
        status,
        written: [0, 0],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let class = tempfile::tempdir().unwrap();
        for (device, name) in [("vport0p1", "one\n"), ("vport0p2", "two\n")] {
            fs::create_dir(class.path().join(device)).unwrap();
            fs::write(class.path().join(device).join("name"), name).unwrap();
        }
        fs::create_dir(class.path().join("vport0p3")).unwrap();
        assert_eq!(find_port(class.path(), "two"), Some("vport0p2".into()));
        assert_eq!(find_port(class.path(), "three"), None);
        assert_eq!(find_port(Path::new("/nowhere"), "one"), None);
    }

    #[test]
    fn a_driver_s_devices_are_seen() {
        let driver = tempfile::tempdir().unwrap();
        fs::write(driver.path().join("bind"), "").unwrap();
        assert!(!has_device(driver.path()));
        fs::create_dir(driver.path().join("virtio0")).unwrap();
        assert!(has_device(driver.path()));
        assert!(!has_device(Path::new("/nowhere")));
    }

    #[test]
    fn a_command_is_looked_up_as_shells_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("tool"), "").unwrap();
        }
        let search = format!("{}:{}", path("one").display(), path("two").display());
        let tool = OsString::from("tool");
        assert_eq!(look_up(&tool, &search), Some(path("one/tool")));
        fs::set_permissions(path("two/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look_up(&tool, &search), Some(path("two/tool")));
        assert_eq!(
            look_up(&"one".into(), &folder.path().to_string_lossy()),
            None
        );
        assert_eq!(look_up(&"".into(), &search), None);
        assert_eq!(look_up(&"other".into(), &search), None);
        assert_eq!(look_up(&path("no").into(), &search), None);
        let given = path("one/tool");
        assert_eq!(look_up(&given.clone().into(), ""), Some(given));
    }

    #[test]
    fn output_is_forwarded_to_its_end() {
        let (from, mut writer) = pipes();
        let (stop, _stop_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        let to = tempfile::tempfile().unwrap();
        let written = thread::scope(|scope| {
            let forwarder = scope.spawn(|| forward(&from, &to, &stop));
            writer.write_all(&sent).unwrap();
            drop(writer);
            forwarder.join().unwrap().unwrap()
        });
        assert_eq!(written, 1_000_000);
        assert_eq!(read_all(to), sent);
    }

    #[test]
    fn a_pipe_held_open_is_left_once_its_content_is_through() {
        let (from, mut writer) = pipes();
        writer.write_all(b"the last words").unwrap();
        let (stop, stop_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(stop_end);
        let to = tempfile::tempfile().unwrap();
        assert_eq!(forward(&from, &to, &stop).unwrap(), 14);
        assert_eq!(read_all(to), b"the last words");
        drop(writer);
    }

    fn pipes() -> (File, File) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        (File::from(reader), File::from(writer))
    }

    fn read_all(file: File) -> Vec<u8> {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }
}
