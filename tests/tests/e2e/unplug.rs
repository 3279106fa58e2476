// SPDX-License-Identifier: GPL-2.0-or-later

//! The device pulled out of a running guest that reads from it, by QMP, and put back.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use my_rng_e2e::Guest;
use serde_json::{Value, json};

/// A connection to QEMU's monitor.
struct Qmp {
    answers: Lines<BufReader<UnixStream>>,
    commands: UnixStream,
}

impl Qmp {
    fn connect(socket: &Path) -> Self {
        let commands = UnixStream::connect(socket).expect("QEMU listens at its QMP socket");
        let answers = BufReader::new(commands.try_clone().expect("a second handle")).lines();
        let mut qmp = Self { answers, commands };
        qmp.wait_for("QMP");
        qmp.execute("qmp_capabilities", json!({}));
        qmp
    }

    /// Waits for the next message that has this member, and returns the member.
    fn wait_for(&mut self, member: &str) -> Value {
        for line in &mut self.answers {
            let message: Value =
                serde_json::from_str(&line.expect("QEMU's answer")).expect("QMP is JSON");
            assert!(message.get("error").is_none(), "{message}");
            if let Some(value) = message.get(member) {
                return value.clone();
            }
        }
        panic!("QEMU closed its QMP socket instead of sending {member}");
    }

    fn execute(&mut self, command: &str, arguments: Value) {
        writeln!(
            self.commands,
            "{}",
            json!({ "execute": command, "arguments": arguments })
        )
        .expect("QEMU takes commands");
        self.wait_for("return");
    }
}

fn unplug_on(machine: &str, root_port: bool) {
    let guest = Guest::new();
    let socket = guest.folder().join("qmp");
    let mut guest = guest
        .option("--machine", machine)
        .switch("--hotplug")
        .option("--qmp", &socket)
        .program("unplug");
    let device = if root_port {
        guest = guest
            .option("--device", "pcie-root-port,id=root")
            .option("--device", "my_rng,id=plugged,bus=root");
        json!({ "driver": "my_rng", "id": "plugged", "bus": "root" })
    } else {
        guest = guest.option("--device", "my_rng,id=plugged");
        json!({ "driver": "my_rng", "id": "plugged" })
    };
    let mut run = guest
        .command(&["/unplug"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vm/run is there and can be run");
    let mut lines = BufReader::new(run.stdout.take().expect("stdout")).lines();
    let mut said = |expected: &str| match lines.next() {
        Some(Ok(line)) => assert_eq!(line, expected),
        end => {
            let mut errors = String::new();
            if let Some(mut stderr) = run.stderr.take() {
                let _ = stderr.read_to_string(&mut errors);
            }
            panic!("{end:?} instead of {expected}: {errors}");
        }
    };

    said("reading");
    let mut qmp = Qmp::connect(&socket);
    qmp.execute("device_del", json!({ "id": "plugged" }));
    said("gone");
    // The guest has let go of it; QEMU says when it is ready for another of that name.
    while qmp.wait_for("event") != "DEVICE_DELETED" {}
    qmp.execute("device_add", device);
    said("back");
    let end = run.wait().expect("vm/run ends");
    assert_eq!(end.code(), Some(0));
}

#[test]
fn a_device_can_be_unplugged_while_it_is_read() {
    unplug_on("pc", false);
}

#[test]
fn a_device_behind_a_root_port_can_be_unplugged_while_it_is_read() {
    unplug_on("q35", true);
}
