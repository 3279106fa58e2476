// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's init (PID 1): mounts and installs what programs expect, does the job that the launcher has
//! put into the initramfs, reports the result, and powers off.
//!
//! The process must not end, or the kernel panics. Errors go to the launcher or, before it is
//! connected, to the console; then the guest powers off.

mod command;
mod launcher;

use std::convert::Infallible;
use std::env::{self, set_current_dir};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::process::getpid;
use rustix::system::{finit_module, uname};

use crate::job::{JOB_ARGUMENT, JOB_PATH, Job, MODULE_PATH, MODULES, Work};
use crate::protocol::FromGuest;
use command::{HOME, install_applets, run, run_on_console, shell};
use launcher::{Launcher, power_off};

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

/// All of init's work. It ends by powering off, or in an error.
fn work() -> Result<Infallible, String> {
    mount_all()?;
    set_current_dir(HOME).map_err(|error| format!("cannot change to {HOME}: {error}"))?;
    if !has_job() {
        do_job(&Job::default(), None)?;
        power_off()
    }
    let launcher = Launcher::connect()?;
    // The job is the last file. The kernel leaves it out, or cuts it off, if memory is short.
    let result = match fs::read(JOB_PATH).map(|bytes| Job::decode(&bytes)) {
        Ok(Ok(job)) => do_job(&job, Some(&launcher)),
        _ => Err("the files do not fit into the guest's memory: give it more with --mem".into()),
    };
    launcher.last_word(&result.unwrap_or_else(FromGuest::Failed))
}

/// Whether the launcher booted this guest. The kernel may drop either sign: the argument if the command line
/// is too long or has an open quote, the file if memory is short.
fn has_job() -> bool {
    env::args_os().any(|argument| argument == JOB_ARGUMENT) || Path::new(JOB_PATH).exists()
}

/// Does the job. The message says how it ended.
fn do_job(job: &Job, launcher: Option<&Launcher>) -> Result<FromGuest, String> {
    if let Some(launcher) = launcher {
        launcher.say(&FromGuest::Up);
    }
    install_applets()?;
    if job.load_module {
        load_module()?;
    }
    match (&job.work, launcher) {
        (Work::Run(argv), Some(launcher)) => run(argv, launcher),
        (Work::Console(steps), Some(launcher)) => run_on_console(steps, launcher),
        (Work::Shell(terminal), _) => shell(terminal),
        (_, None) => Err("only the launcher can start this job".to_owned()),
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
    // The kernel may lack these.
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
    // Any kernel finds the modules, whatever its release.
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
