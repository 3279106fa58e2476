// SPDX-License-Identifier: GPL-2.0-or-later

//! The app as its user meets it, on a machine without the device.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

fn my_rng(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_my-rng"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = my_rng(arguments).output().expect("the app runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn both_helps_teach() {
    for help in ["-h", "--help"] {
        let (code, stdout, stderr) = run(&[help]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        for lesson in [
            "Examples:",
            "my-rng seed 0x42",
            "Exit status:",
            "/dev/my_rng_driver",
            "predictable",
        ] {
            assert!(stdout.contains(lesson), "{help} lacks {lesson}:\n{stdout}");
        }
    }
    let (code, stdout, _) = run(&["read", "-h"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("little-endian"), "{stdout}");
}

#[test]
fn version() {
    let (code, stdout, stderr) = run(&["--version"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, concat!("my-rng ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn bad_usage_is_status_2_on_stderr() {
    for (arguments, problem) in [
        (&["seed"][..], "<N>"),
        (&["seed", "4294967296"], "0xffffffff"),
        (&["seed", "-1"], "no sign"),
        (&["seed", "ten"], "not a number"),
        (&["read", "many"], "not a number"),
        (&["read", "--format", "octal"], "dec, hex, raw"),
        (&["write"], "unrecognized subcommand"),
        (&["--frob"], "unexpected argument"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains(problem), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_missing_node_is_one_line_with_the_mend() {
    for command in [&[][..], &["seed", "1"], &["read"]] {
        let arguments = [&["--device", "/dev/no_such_node"], command].concat();
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(
            stderr.starts_with("my-rng: cannot open /dev/no_such_node: "),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("; "), "no advice: {stderr}");
    }
}

#[test]
fn other_nodes_and_files_are_told_from_the_device() {
    for (arguments, doing) in [
        (&["--device", "/dev/null"][..], "seed"),
        (&["--device", "/dev/null", "seed", "1"], "seed"),
        (&["--device", "/dev/null", "read"], "read from"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert_eq!(
            stderr,
            format!(
                "my-rng: cannot {doing} /dev/null: it is no my_rng device; name the driver's node \
                 (/dev/my_rng_driver is the first device's)\n"
            )
        );
    }
    let (code, _, stderr) = run(&["--device", "/"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("/ is no device node"), "{stderr}");
}

/// Help is output too: the only one there is without a device.
#[test]
fn a_broken_pipe_ends_it_quietly() {
    // A socket whose other end is closed answers EPIPE, as a pipe does.
    let (output, reader) = UnixStream::pair().expect("a pair of sockets");
    drop(reader);
    let output = my_rng(&["--help"])
        .stdout(OwnedFd::from(output))
        .output()
        .expect("the app runs");
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_is_told() {
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = my_rng(&["--help"])
        .stdout(full)
        .output()
        .expect("the app runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write the output"), "{stderr}");
    assert!(stderr.contains("make room"), "{stderr}");
}
