// SPDX-License-Identifier: GPL-2.0-or-later

//! `vm/run` itself: what a script that calls it relies on.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use my_rng_e2e::arch::facts;
use my_rng_e2e::{Finished, Guest, built, write_program};
use rustix::process::{Pid, Signal, kill_process_group};

/// The exit status for errors of `vm/run` itself.
const OWN_ERROR: i32 = 125;

/// The bytes that `guest/noise.c` writes, from this start.
fn noise(mut state: u32, count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 24) as u8
    })
    .take(count)
    .collect()
}

/// Like `assert_eq!`, but does not print the bytes.
fn assert_same(got: &[u8], expected: &[u8], what: &str) {
    let common = got
        .iter()
        .zip(expected)
        .take_while(|(got, expected)| got == expected)
        .count();
    assert!(
        got == expected,
        "{what}: {} of {} bytes, the same up to byte {common}",
        got.len(),
        expected.len()
    );
}

#[test]
fn stdout_and_stderr_arrive_byte_for_byte_and_apart() {
    const COUNT: usize = 3_000_000;
    let run = Guest::new()
        .program("noise")
        .run(&["/noise", &COUNT.to_string()])
        .expect_code(42);
    assert_same(&run.stdout, &noise(1, COUNT), "stdout");
    assert_same(&run.stderr, &noise(2, COUNT), "stderr");
}

#[test]
fn arguments_and_files_arrive_unchanged() {
    let guest = Guest::new();
    let data = guest.folder().join("data with spaces");
    let program = guest.folder().join("program");
    let content = noise(7, 100_000);
    fs::write(&data, &content).expect("a file");
    write_program(
        &program,
        "#!/bin/sh\nprintf '<%s>' \"$@\"\ncat /deep/er/data\n",
    );
    let run = guest
        .file(&data, "/deep/er/data")
        .file(&program, "/bin/program")
        .run(&[
            "program",
            "a b",
            "",
            "'\"$HOME\\",
            "--",
            "-x",
            "new\nline",
            "ü",
        ])
        .success();
    let mut expected = "<a b><><'\"$HOME\\><--><-x><new\nline><ü>"
        .as_bytes()
        .to_vec();
    expected.extend(content);
    assert_same(&run.stdout, &expected, "stdout");
    assert!(run.stderr.is_empty(), "{}", run.report());
}

#[test]
fn exit_status_is_that_of_the_command() {
    Guest::new().run(&["true"]).success();
    Guest::new().sh("exit 255").expect_code(255);
    // As in a shell.
    Guest::new().sh("kill -KILL $$").expect_code(128 + 9);
}

#[test]
fn options_reach_the_guest() {
    let run = Guest::new()
        .option("--smp", "3")
        .option("--mem", "384M")
        .option("--append", "a.word=1 another=2")
        .switch("--no-module")
        .sh("nproc; id -u
             tr ' ' '\\n' </proc/cmdline | grep -c -e a.word=1 -e another=2
             wc -l </proc/modules
             awk '/MemTotal/ { print $2 }' /proc/meminfo")
        .success();
    let lines: Vec<_> = run
        .text()
        .lines()
        .map(|line| line.parse::<u32>().expect("a number"))
        .collect();
    let [processors, user, words, modules, memory] = lines[..] else {
        panic!("{}", run.report());
    };
    assert_eq!((processors, user, words, modules), (3, 0, 2, 0));
    assert!((256 << 10..384 << 10).contains(&memory), "{memory} KiB");
}

/// The kernel cuts off a line of 2 KiB or more, and takes all behind an open quote for one value.
#[test]
fn init_finds_its_job_even_if_the_kernel_drops_its_argument() {
    for append in [" x=".repeat(800), "x=\"open".to_owned()] {
        let guest = Guest::new().option("--append", &append);
        assert_eq!(guest.run(&["echo", "done"]).success().text(), "done\n");
    }
}

/// The interactive guest. The test waits for the prompt, as a user would.
#[test]
fn a_shell_with_the_usual_tools() {
    const PROMPT: &[u8] = b"guest:~# ";
    let guest = Guest::new();
    let mut run = guest
        .shell()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("vm/run is there and can be run");
    let mut stdout = run.stdout.take().expect("stdout");
    let mut screen = Vec::new();
    while !screen.ends_with(PROMPT) {
        let mut byte = [0];
        if stdout.read(&mut byte).expect("stdout") == 0 {
            panic!("no prompt: {}", String::from_utf8_lossy(&screen));
        }
        screen.extend(byte);
    }
    run.stdin
        .take()
        .expect("stdin")
        .write_all(b"lspci -n -d 1234:cafe; my-rng read; seq 3 | tail -n 1; exit 7\n")
        .expect("the shell takes commands");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    let lines: Vec<_> = rest.lines().map(str::trim_end).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("00ff: 1234:cafe (rev 10)")),
        "{rest}"
    );
    assert!(
        lines.contains(&"1804289383") && lines.contains(&"3"),
        "{rest}"
    );
    assert_eq!(run.wait().expect("vm/run ends").code(), Some(7));
}

/// The unit tests of `vm/` have the whole line; here a shell splits it.
#[test]
fn dry_run_prints_the_command_line_and_starts_nothing() {
    let run = Guest::new()
        .option("--append", "it's=here")
        .option("--qemu-arg", "two words")
        .switch("--dry-run")
        .run(&["true"])
        .expect_code(0);
    assert!(run.stderr.is_empty() && run.console.is_empty());
    let line = run.text();
    assert_eq!(line.lines().count(), 1, "{line}");
    let split = Command::new("sh")
        .arg("-c")
        .arg(format!("printf '%s\\n' {line}"))
        .output()
        .expect("sh can be run");
    let words = String::from_utf8(split.stdout).expect("text");
    let words: Vec<_> = words.lines().collect();
    let [qemu, "-nodefaults", .., "-device", "my_rng", "two words"] = words[..] else {
        panic!("{words:#?}");
    };
    assert_eq!(Path::new(qemu), built("qemu"));
    let value = |option| {
        let at = words.iter().position(|word| *word == option);
        at.and_then(|at| words.get(at + 1)).expect("an option")
    };
    assert_eq!(Path::new(value("-kernel")), built("kernel"));
    assert!(value("-append").ends_with(" it's=here -- job"));
    assert!(value("-initrd").ends_with("/my-rng-vm-XXXXXX/initrd"));
}

/// gdb's side of its remote protocol.
struct Gdb(BufReader<UnixStream>);

impl Gdb {
    /// The socket is in the command that `vm/run` prints for the user.
    fn attach(command: &str) -> Self {
        let socket = command
            .split_once(" -ex 'target remote ")
            .and_then(|(_, rest)| rest.split('\'').next())
            .unwrap_or_else(|| panic!("no socket in {command}"));
        let stream = UnixStream::connect(socket).expect("QEMU listens for gdb");
        Self(BufReader::new(stream))
    }

    /// Sends a packet, and returns the content of the answer.
    fn ask(&mut self, packet: &str) -> String {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        let stream = self.0.get_mut();
        write!(stream, "${packet}#{sum:02x}").expect("QEMU takes packets");
        let (mut answer, mut sum) = (Vec::new(), [0; 2]);
        self.0.read_until(b'#', &mut answer).expect("QEMU answers");
        self.0.read_exact(&mut sum).expect("QEMU answers");
        let stream = self.0.get_mut();
        stream.write_all(b"+").expect("QEMU takes packets");
        let answer = String::from_utf8(answer).expect("text");
        let (_, content) = answer.split_once('$').expect("a packet");
        content.trim_end_matches('#').to_owned()
    }
}

/// Two at a time, so that their sockets must differ.
#[test]
fn gdb_attaches_before_the_first_instruction() {
    let guests = [(); 2].map(|()| Guest::new().switch("--gdb"));
    let mut runs = guests.each_ref().map(|guest| {
        let mut run = guest
            .command(&["cat", "/proc/cmdline"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vm/run is there and can be run");
        let mut said = BufReader::new(run.stderr.take().expect("stderr")).lines();
        let mut line = || said.next().expect("a line").expect("text");
        assert_eq!(line(), "vm/run: the guest waits for gdb; attach it with");
        let command = line();
        assert!(command.ends_with("/vmlinux"), "{command}");
        (run, Gdb::attach(&command))
    });
    for (_, gdb) in &mut runs {
        assert!(gdb.ask("?").starts_with('T'));
        let registers = gdb.ask("g");
        let (number, start) = facts().program_counter;
        let start = format!("{:016x}", start.swap_bytes());
        assert_eq!(registers[16 * number..16 * (number + 1)], start);
    }
    for (run, mut gdb) in runs {
        assert_eq!(gdb.ask("D"), "OK");
        let run = run.wait_with_output().expect("vm/run ends");
        assert!(run.status.success(), "{run:?}");
        let arguments = String::from_utf8(run.stdout).expect("text");
        assert!(arguments.contains(" nokaslr"), "{arguments}");
    }
}

#[test]
fn missing_build_is_an_error_that_says_how_to_build() {
    let guest = Guest::new();
    let run = guest
        .command(&["true"])
        .env("MY_RNG_BUILD", guest.folder())
        .output()
        .expect("vm/run is there and can be run");
    assert_eq!(run.status.code(), Some(OWN_ERROR));
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(errors.contains("`make`"), "{errors}");
}

/// Checks that stderr has these words, and stdout nothing.
fn assert_error(run: &Finished, words: &[&str]) {
    assert!(run.stdout.is_empty(), "{}", run.report());
    for word in words {
        assert!(run.errors().contains(word), "no {word}: {}", run.report());
    }
}

#[test]
fn missing_command_has_status_127() {
    let run = Guest::new().run(&["no-such-command"]).expect_code(127);
    assert_error(&run, &["no-such-command"]);
}

#[test]
fn command_that_cannot_be_run_has_status_126() {
    let run = Guest::new().run(&["/proc/version"]).expect_code(126);
    assert_error(&run, &["/proc/version"]);
}

/// `vm/run` finds these mistakes before the boot, so the console is empty.
#[test]
fn bad_command_lines_are_refused_at_once() {
    for (option, value, words) in [
        ("--file", "/no/such/file:/file", "/no/such/file"),
        ("--file", "/dev/null", "HOST:GUEST"),
        ("--qemu", "/no/such/qemu", "/no/such/qemu"),
        ("--kernel", "/no/such/kernel", "/no/such/kernel"),
        ("--accel", "warp", "warp"),
        ("--smp", "0", "0"),
        ("--smp", "some", "some"),
    ] {
        let run = Guest::new()
            .option(option, value)
            .run(&["true"])
            .expect_code(OWN_ERROR);
        assert!(run.console.is_empty(), "{option}: {}", run.report());
        assert_error(&run, &[words]);
    }
}

#[test]
fn qemu_names_a_property_that_does_not_exist() {
    let run = Guest::new()
        .option("--device", "my_rng,frobnicate=1")
        .run(&["true"])
        .expect_code(OWN_ERROR);
    assert_error(&run, &["my_rng.frobnicate"]);
}

#[test]
fn a_guest_that_panics_is_an_error_with_its_last_words() {
    let run = Guest::new()
        .option("--append", "rdinit=/nowhere")
        .run(&["true"])
        .expect_code(OWN_ERROR);
    assert_error(&run, &["panic", "Unable to mount root fs"]);
}

#[test]
fn a_guest_that_hangs_meets_the_deadline() {
    // Long enough for the boot on a busy machine, for the deadline counts from the start.
    let run = Guest::new()
        .deadline(45)
        .sh("echo started; while :; do :; done")
        .expect_code(124);
    assert_eq!(run.text(), "started\n", "{}", run.report());
    let told = "the command did not end within 45 s";
    assert!(run.errors().contains(told), "{}", run.report());
}

#[test]
fn a_guest_that_never_comes_up_meets_the_deadline() {
    let run = Guest::new()
        .deadline(2)
        .option("--qemu-arg", "-S")
        .run(&["true"])
        .expect_code(124);
    assert_error(&run, &["the guest did not come up within 2 s"]);
}

#[test]
fn a_guest_that_goes_away_is_an_error() {
    for way in ["poweroff -f", "reboot -f"] {
        let run = Guest::new().sh(way).expect_code(OWN_ERROR);
        assert!(run.errors().contains("went down"), "{}", run.report());
    }
}

/// A process. The time of its start tells it from a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    parent: u32,
    name: String,
    started: String,
}

/// All processes of this machine.
fn processes() -> Vec<Process> {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name may contain anything; the fields after it do not.
            let (name, fields) = stat.rsplit_once(") ")?;
            let fields: Vec<_> = fields.split(' ').collect();
            // A zombie has ended; its parent has not waited for it yet.
            if *fields.first()? == "Z" {
                return None;
            }
            Some(Process {
                id,
                parent: fields.get(1)?.parse().ok()?,
                name: name.split_once('(')?.1.to_owned(),
                started: (*fields.get(19)?).to_owned(),
            })
        })
        .collect()
}

/// A process and its descendants.
fn family(ancestor: u32) -> Vec<Process> {
    let all = processes();
    let mut ids = vec![ancestor];
    let mut next = 0;
    while let Some(&id) = ids.get(next) {
        ids.extend(all.iter().filter(|it| it.parent == id).map(|it| it.id));
        next += 1;
    }
    all.into_iter().filter(|it| ids.contains(&it.id)).collect()
}

/// Starts a guest that prints "started" and then waits forever, in a process group of its own, as a
/// shell starts a job.
fn start(guest: &Guest) -> (Child, Vec<Process>) {
    let command = guest.command(&["sh", "-c", "echo started; sleep 100000"]);
    // A test in the background may have been started with signals ignored. A user's shell resets them.
    let mut run = Command::new("env")
        .arg("--default-signal")
        .arg(command.get_program())
        .args(command.get_args())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vm/run is there and can be run");
    let mut line = String::new();
    BufReader::new(run.stdout.as_mut().expect("stdout"))
        .read_line(&mut line)
        .expect("stdout");
    if line != "started\n" {
        let mut errors = String::new();
        let _ = run.stderr.expect("stderr").read_to_string(&mut errors);
        panic!("{line:?} instead of started: {errors}");
    }
    let family = family(run.id());
    assert!(
        family.iter().any(|it| it.name.contains("qemu")),
        "{family:#?}"
    );
    (run, family)
}

#[test]
fn nothing_is_left_running_after_ctrl_c() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let guest = Guest::new();
        let (mut run, family) = start(&guest);
        let group = Pid::from_child(&run);
        kill_process_group(group, signal).expect("the signal is sent");
        let mut errors = String::new();
        run.stderr
            .take()
            .expect("stderr")
            .read_to_string(&mut errors)
            .expect("stderr");
        let end = run.wait().expect("vm/run ends");
        // Killed by the signal, or the exit status that a shell uses for it.
        assert!(
            end.signal() == Some(signal.as_raw()) || end.code() == Some(status),
            "{signal:?}: {end} {errors}"
        );
        let now = processes();
        let left: Vec<_> = family.iter().filter(|it| now.contains(it)).collect();
        assert!(left.is_empty(), "{signal:?} leaves {left:#?}");
    }
}

/// A launcher that is killed cannot clean up, but QEMU ends with it.
#[test]
fn nothing_is_left_running_after_a_kill() {
    let guest = Guest::new();
    let (mut run, family) = start(&guest);
    run.kill().expect("the signal is sent");
    run.wait().expect("vm/run ends");
    // The kernel kills the others, but this test may be faster.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = processes();
        let left: Vec<_> = family.iter().filter(|it| now.contains(it)).collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{left:#?}");
        std::thread::yield_now();
    }
}

/// Like `vm/run … -- yes | head`.
#[test]
fn closed_stdout_ends_the_guest() {
    let guest = Guest::new();
    let mut run = guest
        .command(&["yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vm/run is there and can be run");
    let mut two = [0; 2];
    let mut stdout = run.stdout.take().expect("stdout");
    stdout.read_exact(&mut two).expect("output");
    drop(stdout);
    assert_eq!(&two, b"y\n");
    let end = run.wait().expect("vm/run ends");
    assert_eq!(end.code(), Some(128 + Signal::PIPE.as_raw()));

    let (reader, writer) = UnixStream::pair().expect("sockets");
    drop(reader);
    let end = Guest::new()
        .switch("--dry-run")
        .command(&["true"])
        .stdout(OwnedFd::from(writer))
        .status()
        .expect("vm/run is there and can be run");
    assert_eq!(end.code(), Some(128 + Signal::PIPE.as_raw()));
}

#[test]
fn output_that_cannot_be_written_is_reported() {
    let guest = Guest::new();
    let run = guest
        .command(&["echo", "text"])
        .stdout(
            File::options()
                .write(true)
                .open("/dev/full")
                .expect("/dev/full"),
        )
        .stderr(Stdio::piped())
        .output()
        .expect("vm/run is there and can be run");
    assert_eq!(run.status.code(), Some(OWN_ERROR));
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(errors.contains("No space left"), "{errors}");
}

/// Here the command that attaches gdb.
#[test]
fn message_that_cannot_be_written_does_not_end_the_run() {
    let end = Guest::new()
        .switch("--gdb")
        .deadline(1)
        .command(&["true"])
        .stderr(File::create("/dev/full").expect("/dev/full"))
        .status()
        .expect("vm/run is there and can be run");
    assert_eq!(end.code(), Some(124));
}
