// SPDX-License-Identifier: GPL-2.0-or-later

//! The doorbell, rung without the driver by processors and by other devices, while the device is reset with its bus or
//! unplugged. With `MY_RNG_PARALLEL_COUNT` as in `parallel.rs`.

use my_rng_e2e::arch::{facts, has_machine, usual_machine};
use my_rng_e2e::tap::all_passed;
use my_rng_e2e::{Machine, Process};
use serde_json::{Value, json};

use crate::parallel::{count, end};

/// The device under test, and where it is.
const RNG: &str = "my_rng,id=rng,generator=chacha8,addr=5";
const RNG_SLOT: &str = "00:05";
/// What is at its addresses when it is not.
const BASE: &str = "my_rng,bulk=off,addr=6";
const BASE_SLOT: &str = "00:06";

/// A machine with this program, and a processor for each of its threads.
fn machine(kind: &str) -> Machine {
    Machine::guest_with(kind, "")
        .args(["-m", "128M", "-smp", "4"])
        .programs(&["rings"])
}

/// Starts it, without the driver.
fn start(machine: Machine) -> Process {
    let mut guest = machine.start();
    guest.console.shell();
    guest.console.run("rmmod my_rng");
    guest
}

fn run(guest: &mut Process, line: &str) {
    let printed = guest.console.run(line);
    let checked = all_passed(printed.iter().map(String::as_str));
    checked.unwrap_or_else(|problems| panic!("{problems}\n{printed:#?}"));
}

/// The big lock is only released for a processor's own store. During another device's DMA or message, that device could
/// otherwise be unplugged.
#[test]
fn only_a_processor_that_rings_releases_the_big_lock() {
    const NUMBERS: u64 = 25_000;
    let machine = machine(usual_machine())
        .device(RNG)
        .device("e1000,addr=6")
        .device("rust_edu,addr=7")
        .device("edu,dma_mask=0xffffffff,addr=8");
    let mut guest = start(machine);
    // A message's 16 bits are a page number only of a PC's memory, which starts at 0.
    let has_message = facts().memory == 0;
    for (way, helper, releases) in [
        ("processor", "", 1),
        ("card", "00:06", 0),
        ("message", "00:07", 0),
        ("message", "00:08", 0),
        ("dma", "00:08", 0),
    ]
    .into_iter()
    .filter(|(way, ..)| *way != "message" || has_message)
    {
        let before = ["reads", "lock-releases"].map(|name| guest.counter_of("rng", name));
        let line = format!("/rings chacha8 once {RNG_SLOT} {way} {helper}");
        run(&mut guest, &line);
        let after = ["reads", "lock-releases"].map(|name| guest.counter_of("rng", name));
        let releases = if facts().tells_processors {
            releases
        } else {
            0
        };
        let expected = [before[0] + NUMBERS, before[1] + releases];
        assert_eq!(after, expected, "{way}");
    }
}

/// Each transfer comes before or after a reset.
fn reset_behind(kind: &str, bridge: &str, slot: &str, generator: &str) {
    let machine = machine(kind)
        .device(&format!("{bridge},id=bridge,addr=5"))
        .device(&format!(
            "my_rng,id=rng,generator={generator},bus=bridge,addr={slot}"
        ))
        .device(BASE);
    let mut guest = start(machine);
    let times = count(20);
    let line = format!("/rings {generator} reset 01:{slot} {BASE_SLOT} {RNG_SLOT} {times}");
    run(&mut guest, &line);
    let is_released = guest.counter_of("rng", "lock-releases") > 0;
    assert_eq!(is_released, facts().tells_processors);
}

#[test]
fn transfers_come_before_or_after_a_reset_of_a_bridge_s_bus() {
    reset_behind(usual_machine(), "pci-bridge,chassis_nr=1", "01", "chacha8");
}

#[test]
fn transfers_come_before_or_after_a_reset_of_a_root_port_s_bus() {
    reset_behind(
        facts().express,
        "pcie-root-port,chassis=1",
        "00",
        "xoshiro256pp",
    );
}

/// Has the guest unplug a device, and plugs in another one with this id.
fn replace(guest: &mut Process, id: &str, device: Value) {
    guest.qmp.execute("device_del", json!({ "id": id }));
    guest
        .qmp
        .wait_for_event_with("DEVICE_DELETED", |data| data["device"] == id);
    guest.qmp.execute("device_add", device);
}

fn replace_rng(guest: &mut Process) {
    let device = json!({ "driver": "my_rng", "id": "rng", "generator": "chacha8", "addr": "5" });
    replace(guest, "rng", device);
}

/// How many numbers the device gives between two unplugs.
const SOME: u64 = 100_000;

/// How many unplugs a test does at most. While devices come and go, a guest on several processors loses an interrupt
/// once in some hundred times and hangs: QEMU 10.0 with TCG, also with `parallel=off`.
const MOST: usize = 50;

/// The device goes while the processors ring, without notice to them. All transfers before that are complete.
#[test]
#[ignore = "QEMU 10.0 with TCG can lose an interrupt of a guest that accesses a device while it goes"]
fn transfers_are_complete_when_the_device_is_unplugged() {
    // On its root bus devices can be unplugged.
    if !has_machine("pc") {
        return;
    }
    let machine = machine("pc").device(RNG).device(BASE);
    let mut guest = start(machine);
    guest
        .console
        .shell_line(&format!("/rings chacha8 unplug {RNG_SLOT} {BASE_SLOT}"));
    guest.console.echo();
    for _ in 0..count(3).min(MOST) {
        guest.wait_for_reads(SOME);
        replace_rng(&mut guest);
    }
    guest.wait_for_reads(SOME);
    end(&mut guest);
}

/// Waits until the e1000 rings. Of each packet only the first number is meant for the doorbell.
fn wait_for_card(guest: &mut Process) {
    let before = guest.counter_of("rng", "guest-errors");
    guest.wait_for_counter("rng", "guest-errors", before + 1);
}

/// Two processors, an e1000's DMA and a message-signaled interrupt ring at the same time, while the device and the
/// e1000 are unplugged in the middle of that.
#[test]
#[ignore = "QEMU 10.0 with TCG can lose an interrupt of a guest that accesses a device while it goes"]
fn a_hostile_guest_can_only_get_numbers() {
    // On its root bus devices can be unplugged.
    if !has_machine("pc") {
        return;
    }
    let machine = machine("pc")
        .device(RNG)
        .device(BASE)
        .device("e1000,id=card,addr=7")
        .device("e1000,addr=8")
        .device("rust_edu,addr=9");
    let mut guest = start(machine);
    let slots = [6, 7, 8, 9].map(|slot| format!("00:0{slot}"));
    guest.console.shell_line(&format!(
        "/rings chacha8 hostile {RNG_SLOT} {}",
        slots.join(" ")
    ));
    guest.console.echo();
    for times in 0..count(3).min(MOST) {
        guest.wait_for_reads(SOME);
        if times % 3 == 0 {
            let device = json!({ "driver": "e1000", "id": "card", "addr": "7" });
            wait_for_card(&mut guest);
            replace(&mut guest, "card", device);
            // If the guest sees both at once, it also ejects the new device.
            wait_for_card(&mut guest);
        }
        replace_rng(&mut guest);
    }
    wait_for_card(&mut guest);
    let printed = end(&mut guest);
    let mut ringers = 0;
    for line in &printed {
        if let Some(ringer) = line.strip_prefix("# ringer ") {
            assert!(!ringer.ends_with(": 0 transfers"), "{ringer}");
            ringers += 1;
        }
    }
    assert_eq!(ringers, 4, "{printed:#?}");
}
