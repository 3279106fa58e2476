// SPDX-License-Identifier: GPL-2.0-or-later

//! The device is unplugged by QMP from a guest that reads from it, and plugged in again.

use my_rng_e2e::arch::facts;
use my_rng_e2e::{Guest, Qmp};
use serde_json::json;

use crate::watched;

/// Unplugs a device of a guest, on this bus, or on the first one.
fn unplug(guest: Guest, bus: Option<&str>) {
    let (option, device) = match bus {
        None => (
            "my_rng,id=plugged".to_owned(),
            json!({ "driver": "my_rng", "id": "plugged" }),
        ),
        Some(bus) => (
            format!("my_rng,id=plugged,bus={bus}"),
            json!({ "driver": "my_rng", "id": "plugged", "bus": bus }),
        ),
    };
    let socket = guest.folder().join("qmp");
    let mut run = guest
        .switch("--hotplug")
        .option("--qmp", &socket)
        .option("--device", option)
        .program("unplug")
        .start(&["/unplug"]);
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
    unplug(watched::guest(""), facts().hotplug_bus);
}

#[test]
fn device_behind_a_root_port_is_unplugged_while_it_is_read() {
    let guest = watched::guest("")
        .option("--machine", facts().express)
        .option("--device", "pcie-root-port,id=root");
    unplug(guest, Some("root"));
}
