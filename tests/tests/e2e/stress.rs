// SPDX-License-Identifier: GPL-2.0-or-later

//! Many threads at everything at once, while devices come and go and the machine sleeps: `guest/stress.c`.
//!
//! Here one round of it, in the guest that `make` builds. `scripts/check-debug-kernel.sh` gives it another
//! kernel, which watches itself, and more time:
//!
//! - `MY_RNG_STRESS_SECONDS`: how long it is to go on
//! - `MY_RNG_STRESS_SEED`: from which its choices follow
//! - `MY_RNG_STRESS_LOG`: where the guest's console goes, and before it what the program printed: `NAME.log`
//!   becomes `NAME.smp1.log` and `NAME.smp2.log`

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;

use my_rng_e2e::{DEADLINE, Qmp, complaints, log_text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::watched;

/// What the program needs beyond its seconds, at most: a round and what the guest does before and after, each
/// in a guest that is emulated on a busy host and watches itself.
const SPARE: u64 = 600;

/// A `vm/run` that is ended when this is dropped, and what is left of it.
struct VmRun {
    child: Child,
    console: PathBuf,
    errors: PathBuf,
    /// What the program printed.
    said: String,
}

impl VmRun {
    fn end(&mut self) {
        // It ends its guest when it is asked to end.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }

    fn console(&self) -> String {
        log_text(&self.console)
    }

    fn report(&self) -> String {
        format!(
            "--- the program\n{}\n--- vm/run\n{}\n--- console\n{}",
            self.said,
            log_text(&self.errors),
            self.console()
        )
    }
}

impl Drop for VmRun {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            println!("{}", self.report());
        }
    }
}

/// QEMU's connection to us, if it makes one.
fn accept(listener: &UnixListener) -> Option<UnixStream> {
    let deadline = Timespec::try_from(DEADLINE).expect("a time");
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut ready, Some(&deadline)).expect("poll");
    let [ready] = ready;
    ready
        .revents()
        .contains(PollFlags::IN)
        .then(|| listener.accept().expect("a connection").0)
}

/// Wakes the machine whenever it sleeps, by a monitor of its own: what the guest prints as it falls asleep
/// may come out after that.
fn keep_awake(socket: &Path) {
    let mut commands = UnixStream::connect(socket).expect("QEMU listens at its socket");
    let messages = BufReader::new(commands.try_clone().expect("a second handle"));
    let mut give = move |command: &str| {
        let line = format!("{}\n", json!({ "execute": command }));
        // One that went away needs nothing.
        let _ = commands.write_all(line.as_bytes());
    };
    thread::spawn(move || {
        give("qmp_capabilities");
        for line in messages.lines().map_while(Result::ok) {
            let message: Value = serde_json::from_str(&line).expect("QMP is JSON");
            if message.get("event").and_then(Value::as_str) == Some("SUSPEND") {
                give("system_wakeup");
            }
        }
    });
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{name}={text}: {error}"))
    })
}

#[test]
fn many_threads_at_everything() {
    stress(2);
}

/// Where it can sleep, too: of several processors, one in ten times not all would wake up.
#[test]
fn many_threads_at_everything_and_asleep() {
    stress(1);
}

fn stress(processors: u32) {
    let seconds = variable("MY_RNG_STRESS_SECONDS", 0);
    let seed = variable("MY_RNG_STRESS_SEED", 1);
    // Each time that a device is unbound a kernel that watches DMA looks at all mappings there are, for half a
    // second; the tests that are not of binding are watched so.
    let guest = watched::guest("no_console_suspend dma_debug=off");
    let socket = |name: &str| guest.folder().join(name);
    let (monitor, alarm, serial) = (socket("qmp"), socket("alarm"), socket("serial"));
    let errors = guest.folder().join("stderr");
    let alarm_spec = format!("unix:{},server=on,wait=off", alarm.display());
    let serial_spec = format!("unix:{}", serial.display());
    let guest = guest
        .deadline(u32::try_from(seconds + 2 * SPARE).expect("a number of seconds"))
        // On q35 the guest hears of no unplugging any more after it has slept.
        .option("--machine", "pc")
        .option("--smp", processors.to_string())
        .switch("--hotplug")
        .option("--qmp", &monitor)
        .option("--qemu-arg", "-qmp")
        .option("--qemu-arg", alarm_spec)
        // virtio-serial, by way of which vm/run has a command's output, does not outlive sleep.
        .option("--qemu-arg", "-serial")
        .option("--qemu-arg", serial_spec)
        .option("--device", "my_rng,generator=chacha20")
        .option("--device", "my_rng")
        .option("--device", "my_rng,generator=host")
        .option("--device", "my_rng,id=plugged")
        .program("stress");
    // A leak is told from what is in use when it is some seconds old, at the second look. Without the
    // module all of it must be gone.
    let mut run = guest.command(&[
        "sh",
        "-c",
        &format!(
            "{{
                 leaks=/sys/kernel/debug/kmemleak
                 /stress {seed} {seconds} {} && rmmod my_rng &&
                 if [ -e $leaks ]; then
                     echo scan >$leaks && sleep 6 && echo scan >$leaks && cat $leaks && echo looked for leaks
                 fi
                 echo over: $?
             }} >/dev/ttyS1 2>&1",
            seconds + SPARE
        ),
    ]);
    run.stdout(Stdio::null())
        .stderr(File::create(&errors).expect("a file"));
    let listener = UnixListener::bind(&serial).expect("a socket");
    let mut run = VmRun {
        child: run.spawn().expect("vm/run is there and can be run"),
        console: guest.folder().join("console.log"),
        errors,
        said: String::new(),
    };
    if let Some(serial) = accept(&listener) {
        let mut qmp = None;
        for line in BufReader::new(serial).lines() {
            let line = line.expect("what is printed is text");
            let line = line.trim_end_matches('\r');
            // It is up.
            let qmp = qmp.get_or_insert_with(|| {
                keep_awake(&alarm);
                Qmp::connect(&monitor)
            });
            match line {
                "unplug" => drop(qmp.execute("device_del", json!({ "id": "plugged" }))),
                "plug" => {
                    qmp.wait_for_event("DEVICE_DELETED");
                    qmp.execute("device_add", json!({ "driver": "my_rng", "id": "plugged" }));
                }
                _ => {
                    run.said.push_str(line);
                    run.said.push('\n');
                }
            }
            if line.starts_with("over: ") {
                break;
            }
        }
    }
    // It does not get to know by itself.
    run.end();
    let (said, console) = (&run.said, run.console());
    if let Some(log) = std::env::var_os("MY_RNG_STRESS_LOG") {
        let log = PathBuf::from(log).with_extension(format!("smp{processors}.log"));
        fs::write(log, format!("{said}\n{console}")).expect("the log can be written");
    }
    assert!(said.ends_with("\nover: 0\n"));
    let found = complaints(&console);
    assert!(found.is_empty(), "{found:#?}");
    assert!(!said.contains("unreferenced object"), "a leak");
    // That kernel is asked for more time, and has all that can be looked at.
    let is_watched = seconds > 0;
    assert!(!is_watched || said.contains("\nlooked for leaks\n"));
    // Whatever is counted was done.
    for line in said.lines().filter(|line| line.ends_with(": 0")) {
        let is_right = match line {
            "over: 0" => true,
            "allocation made to fail: 0" => !is_watched,
            "sleep (S3): 0" => processors > 1,
            _ => false,
        };
        assert!(is_right, "{line}");
    }
    println!("seed {seed}, {processors} processors:\n{said}");
}
