// SPDX-License-Identifier: GPL-2.0-or-later

//! The app's command line, on a machine without the device.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

/// Command lines that print something without a device.
const PRINTING: [&[&str]; 6] = [
    &["--help"],
    &["--version"],
    &["man"],
    &["completions", "bash"],
    &["completions", "zsh"],
    &["completions", "fish"],
];

fn my_rng(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_my-rng"));
    command
        .args(arguments)
        .env_remove("MY_RNG_DEVICE")
        .stdin(Stdio::null());
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
fn help_has_examples_and_exit_statuses() {
    for help in ["-h", "--help"] {
        let (code, stdout, stderr) = run(&[help]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        let first = stdout.lines().next().unwrap_or_default();
        assert!(
            first.contains("restarts its stream for everybody"),
            "{first}"
        );
        for lesson in [
            "MY_RNG_DEVICE",
            "Examples:",
            "my-rng seed 0x42",
            "Exit status:",
            "/dev/my_rng_driver",
            "predictable",
        ] {
            assert!(stdout.contains(lesson), "{help} lacks {lesson}:\n{stdout}");
        }
    }
    for (command, lesson) in [
        ("read", "little-endian"),
        ("read", "K or KiB is 1024"),
        ("info", "generator"),
        ("list", "PCI address"),
        ("completions", "bash-completion"),
    ] {
        let (code, stdout, _) = run(&[command, "-h"]);
        assert_eq!(code, Some(0));
        assert!(stdout.contains(lesson), "{stdout}");
    }
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
        (&["read", "--format", "octal"], "dec, hex, json, raw"),
        (&["read", "--bytes", "lots"], "unknown unit"),
        (&["read", "--bytes", "1GB"], "1G"),
        (&["read", "--bytes", "-1"], "no sign"),
        (&["read", "--bytes", "16777216T"], "too large"),
        (
            &["read", "--bytes", "6", "--format", "hex"],
            "multiple of 4",
        ),
        (&["read", "5", "--bytes", "6"], "cannot be used with"),
        (&["read", "--seed", "4294967296"], "0xffffffff"),
        (&["--seed", "x"], "not a number"),
        (&["--seed", "1", "read", "--seed", "1"], "only once"),
        (&["read", "5", "-n", "5"], "cannot be used with"),
        (&["seed", "1", "-o", "file"], "prints nothing"),
        (&["--seed", "1", "list"], "only with `read`"),
        (&["info", "--format", "hex"], "text, json"),
        (&["list", "--format", "raw"], "text, json"),
        (&["completions"], "<SHELL>"),
        (&["completions", "csh"], "bash"),
        (&["write"], "unrecognized subcommand"),
        (&["--frob"], "unexpected argument"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains(problem), "{arguments:?}: {stderr}");
    }
}

#[test]
fn missing_node_error_is_one_line_with_a_fix() {
    for command in [
        &[][..],
        &["--seed", "1"],
        &["seed", "1"],
        &["read"],
        &["read", "--bytes", "1G"],
        &["info"],
    ] {
        let arguments = [&["--device", "/dev/no_such_node"], command].concat();
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(3), ""));
        assert!(
            stderr.starts_with("my-rng: cannot open /dev/no_such_node: "),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("; "), "no advice: {stderr}");
        let (code, stdout, stderr) = run(&[&["-q"], &arguments[..]].concat());
        assert_eq!((code, &*stdout, &*stderr), (Some(3), "", ""));
    }
}

#[test]
fn device_can_be_named_in_the_environment() {
    for (variable, arguments, path) in [
        ("/dev/no_such_node", &["read"][..], "/dev/no_such_node"),
        (
            "/dev/null",
            &["-d", "/dev/no_such_node", "read"],
            "/dev/no_such_node",
        ),
        // As if it were not set.
        ("", &["read"], "/dev/my_rng_driver"),
    ] {
        let output = my_rng(arguments).env("MY_RNG_DEVICE", variable).output();
        let stderr = output.expect("the app runs").stderr;
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(
            stderr.starts_with(&format!("my-rng: cannot open {path}: ")),
            "{stderr}"
        );
    }
}

#[test]
fn output_goes_to_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    let name = file.to_str().expect("plain text");
    fs::write(&file, "what was there before, and is longer").expect("a file");

    // A device that is not there empties no file.
    let (code, ..) = run(&["-d", "/dev/no_such_node", "read", "-o", name]);
    assert_eq!(code, Some(3));
    assert_eq!(
        fs::read_to_string(&file).expect("a file"),
        "what was there before, and is longer"
    );

    let (code, stdout, stderr) = run(&["completions", "bash", "-o", name]);
    assert_eq!((code, &*stdout, &*stderr), (Some(0), "", ""));
    let (_, script, _) = run(&["completions", "bash"]);
    assert_eq!(fs::read_to_string(&file).expect("a file"), script);

    for (file, problem) in [
        ("/nonexistent/file", "cannot create /nonexistent/file: "),
        ("/dev/full", "cannot write the output: "),
    ] {
        let (code, stdout, stderr) = run(&["man", "--output", file]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(problem), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn other_nodes_and_files_are_rejected() {
    for (arguments, doing) in [
        (&["--device", "/dev/null"][..], "seed"),
        (&["--device", "/dev/null", "seed", "1"], "seed"),
        (&["--device", "/dev/null", "read"], "read from"),
        // /dev/zero could be read, but the first number is taken by the driver's ioctl.
        (
            &["--device", "/dev/zero", "read", "--bytes", "1M"],
            "read from",
        ),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert_eq!(
            stderr,
            format!(
                "my-rng: cannot {doing} {}: it is not a my_rng device; use the driver's node \
                 (/dev/my_rng_driver for the first device)\n",
                arguments[1]
            )
        );
    }
    let (code, stdout, stderr) = run(&["--device", "/dev/null", "info"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.starts_with("my-rng: cannot get information on /dev/null: "),
        "{stderr}"
    );
    assert!(stderr.contains("does not describe it; "), "{stderr}");
    let (code, _, stderr) = run(&["--device", "/"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("use the driver's node"), "{stderr}");
}

#[test]
fn the_manual_page_and_the_completions_are_printed() {
    for (arguments, beginning, word) in [
        (&["man"][..], ".ie ", ".TH my-rng 1"),
        (&["completions", "bash"], "_my__rng()", "--bytes"),
        (&["completions", "zsh"], "#compdef my-rng", "--bytes"),
        (&["completions", "fish"], "# Print", "-l bytes"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(stdout.starts_with(beginning), "{arguments:?}: {stdout}");
        assert!(stdout.contains(word), "{arguments:?}: {stdout}");
        assert!(stdout.ends_with('\n'), "{arguments:?}: {stdout}");
    }
}

#[test]
fn bash_completes_the_command_line() {
    for (line, expected) in [
        ("re", &["read"][..]),
        ("read --by", &["--bytes"]),
        ("read --outp", &["--output"]),
        ("read --format ", &["dec", "hex", "json", "raw"]),
        ("completions z", &["zsh"]),
    ] {
        let script = r#"
            eval "$("$0" completions bash)"
            read -r -a COMP_WORDS <<<"my-rng $1"
            if [[ $1 == *' ' ]]; then COMP_WORDS+=(''); fi
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _my__rng my-rng "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let output = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_my-rng"), line])
            .output()
            .expect("bash runs");
        let offered = String::from_utf8_lossy(&output.stdout);
        let offered: Vec<_> = offered.lines().collect();
        assert_eq!(offered, expected, "{line}: {output:?}");
    }
}

#[test]
fn broken_pipe_ends_the_app_quietly() {
    for arguments in PRINTING {
        // Writing to a socket whose peer has closed fails with EPIPE, as with a pipe.
        let (output, reader) = UnixStream::pair().expect("a pair of sockets");
        drop(reader);
        let output = my_rng(arguments)
            .stdout(OwnedFd::from(output))
            .output()
            .expect("the app runs");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn full_disk_is_reported() {
    for arguments in PRINTING {
        let full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let output = my_rng(arguments)
            .stdout(full)
            .output()
            .expect("the app runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("cannot write the output"), "{stderr}");
        assert!(stderr.contains("make room"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
