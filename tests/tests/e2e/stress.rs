// SPDX-License-Identifier: GPL-2.0-or-later

//! Many threads make all calls at once, while devices come and go and the machine sleeps: `guest/stress/`.
//!
//! Here one round of it runs, in the guest that `make` builds. `scripts/check-debug-kernel.sh` gives it a debug kernel
//! and more time:
//!
//! - `MY_RNG_STRESS_SECONDS`: how long it runs
//! - `MY_RNG_STRESS_SEED`: from which its choices follow
//! - `MY_RNG_STRESS_LOG`: the file for what the program printed, followed by the guest's console; `NAME.log` becomes
//!   `NAME.smp1.log` and `NAME.smp2.log`

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;

use my_rng_e2e::arch::has_machine;
use my_rng_e2e::{DEADLINE, Qmp, complaints, log_text, tap};
use my_rng_vm::qemu::accept;
use my_rng_vm::qmp;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::json;

use crate::watched;

/// What the program needs beyond its seconds, at most: a round, and what the guest does before and after, each in an
/// emulated guest with a debug kernel, on a busy host.
const SPARE: u64 = 600;

/// A `vm/run` that is ended when this is dropped, and its output.
struct VmRun {
    child: Child,
    console: PathBuf,
    errors: PathBuf,
    /// What the program printed.
    stdout: String,
}

impl VmRun {
    fn end(&mut self) {
        // It ends its guest on SIGTERM.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }

    fn console(&self) -> String {
        log_text(&self.console)
    }
}

impl Drop for VmRun {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            println!(
                "--- the program\n{}\n--- vm/run\n{}\n--- console\n{}",
                self.stdout,
                log_text(&self.errors),
                self.console()
            );
        }
    }
}

/// Wakes the machine whenever it sleeps. This has a monitor of its own, because what the guest prints when it falls
/// asleep may come out only after that.
fn keep_awake(socket: &Path) {
    let mut qmp = qmp::Qmp::connect(socket).expect("QEMU listens on its socket");
    thread::spawn(move || {
        // Until QEMU ends.
        while qmp.wait_for_event("SUSPEND", |_| true).is_ok() {
            let _ = qmp.execute("system_wakeup", json!({}));
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
fn all_calls_at_once_on_two_processors() {
    stress(2);
}

/// With one processor the machine sleeps, too. With several, one in ten times not all would wake up.
#[test]
fn all_calls_at_once_on_one_processor_that_sleeps() {
    stress(1);
}

fn stress(processors: u32) {
    // It sleeps, and is unplugged on the root bus.
    if !has_machine("pc") {
        return;
    }
    let seconds = variable("MY_RNG_STRESS_SECONDS", 0);
    let seed = variable("MY_RNG_STRESS_SEED", 1);
    // A kernel that checks DMA looks at all mappings whenever a device is unbound, for half a second. The tests that
    // do not unbind run with these checks.
    let guest = watched::guest("no_console_suspend dma_debug=off");
    let socket = |name: &str| guest.folder().join(name);
    let (monitor, alarm, serial) = (socket("qmp"), socket("alarm"), socket("serial"));
    let errors = guest.folder().join("stderr");
    let alarm_spec = format!("unix:{},server=on,wait=off", alarm.display());
    let serial_spec = format!("unix:{}", serial.display());
    let guest = guest
        .deadline(u32::try_from(seconds + 2 * SPARE).expect("a number of seconds"))
        // On q35 the guest notices no unplugging after it has slept.
        .option("--machine", "pc")
        .option("--smp", processors.to_string())
        .switch("--hotplug")
        .option("--qmp", &monitor)
        .qemu_args(["-qmp", &alarm_spec])
        // virtio-serial, which carries a command's output for vm/run, does not survive sleep.
        .qemu_args(["-serial", &serial_spec])
        .option("--device", "my_rng,generator=chacha20")
        .option("--device", "my_rng")
        .option("--device", "my_rng,generator=host")
        .option("--device", "my_rng,id=plugged")
        .program("stress");
    // kmemleak takes memory for lost when it is some seconds old, at the second scan. Without the module all of the
    // driver's must be gone.
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
        stdout: String::new(),
    };
    let pidfd = pidfd_open(Pid::from_child(&run.child), PidfdFlags::empty()).expect("a pidfd");
    if let Some(serial) = accept(&listener, &pidfd, Some(DEADLINE)).expect("QEMU connects") {
        let mut qmp = None;
        for line in BufReader::new(serial).lines() {
            let line = line.expect("what is printed is text");
            let line = line.trim_end_matches('\r');
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
                    run.stdout.push_str(line);
                    run.stdout.push('\n');
                }
            }
            if line.starts_with("over: ") {
                break;
            }
        }
    }
    run.end();
    let (stdout, console) = (&run.stdout, run.console());
    if let Some(log) = std::env::var_os("MY_RNG_STRESS_LOG") {
        let log = PathBuf::from(log).with_extension(format!("smp{processors}.log"));
        fs::write(log, format!("{stdout}\n{console}")).expect("the log can be written");
    }
    let checks = tap::parse(stdout.lines()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(stdout.ends_with("\nover: 0\n"));
    let found = complaints(&console);
    assert!(found.is_empty(), "{found:#?}");
    assert!(!stdout.contains("unreferenced object"), "a leak");
    // The debug kernel is given more time, and can do and find everything.
    let is_debug_kernel = seconds > 0;
    assert!(!is_debug_kernel || stdout.contains("\nlooked for leaks\n"));
    for check in checks.iter().filter(|check| check.skipped.is_some()) {
        let may_be_skipped = match check.name {
            "every allocation may fail" => !is_debug_kernel,
            "sleep resets the device and keeps what is mapped" => processors > 1,
            _ => false,
        };
        assert!(may_be_skipped, "{check:?}");
    }
    // Everything that is counted was done.
    let counts: String = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains(": "))
        .map(|line| format!("{line}\n"))
        .collect();
    for line in counts.lines().filter(|line| line.ends_with(": 0")) {
        let may_be_missing = match line {
            "allocation made to fail: 0" => !is_debug_kernel,
            "sleep (S3): 0" => processors > 1,
            _ => false,
        };
        assert!(may_be_missing, "{line}");
    }
    println!("seed {seed}, {processors} processors:\n{counts}");
}
