// SPDX-License-Identifier: GPL-2.0-or-later

//! The device is unplugged by QMP from a guest that reads from it, and plugged in again.

use my_rng_e2e::Qmp;
use serde_json::json;

use crate::watched;

fn unplug_on(machine: &str, root_port: bool) {
    let guest = watched::guest("");
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
    let mut run = guest.start(&["/unplug"]);
    run.wait_for_line("unplug");
    let mut qmp = Qmp::connect(&socket);
    qmp.execute("device_del", json!({ "id": "plugged" }));
    run.wait_for_line("plug");
    // QEMU says when the name is free again.
    qmp.wait_for_event("DEVICE_DELETED");
    qmp.execute("device_add", device);
    run.finish().tap();
}

#[test]
fn device_is_unplugged_while_it_is_read() {
    unplug_on("pc", false);
}

#[test]
fn device_behind_a_root_port_is_unplugged_while_it_is_read() {
    unplug_on("q35", true);
}
