// SPDX-License-Identifier: GPL-2.0-or-later

//! The demo: its verdict, good and bad.

use std::path::Path;
use std::process::{Command, Output};

use my_rng_e2e::{build_folder, built, write_program};

/// The cache of a test's QEMU must not be the user's.
fn demo(cache: Option<&Path>, options: &[&str]) -> Output {
    Command::new(build_folder().join("bin/vm-demo"))
        .args(options)
        .envs(cache.map(|cache| ("XDG_CACHE_HOME", cache)))
        .output()
        .expect("make has built the demo")
}

fn last_line(run: &Output) -> String {
    let text = String::from_utf8_lossy(&run.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn demo_passes() {
    let run = demo(None, &[]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(
        last_line(&run).starts_with("PASS: 20 of 20 numbers"),
        "{run:?}"
    );
}

#[test]
fn failed_demo_names_the_cause() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrapper = folder.path().join("qemu");
    // Has another device instead of ours.
    let script = format!(
        "#!/bin/bash\nexec {} \"${{@/#my_rng/edu}}\"\n",
        built("qemu").display()
    );
    write_program(&wrapper, &script);
    let wrapper = wrapper.to_str().expect("a path of plain text");
    let run = demo(Some(folder.path()), &["--qemu", wrapper]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let verdict = last_line(&run);
    assert!(verdict.starts_with("FAIL: 0 of 20 numbers"), "{verdict}");
    assert!(verdict.contains("no my_rng device"), "{verdict}");
}
