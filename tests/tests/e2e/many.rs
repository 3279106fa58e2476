// SPDX-License-Identifier: GPL-2.0-or-later

//! As many devices as the buses hold.

use my_rng_e2e::Machine;
use my_rng_e2e::answers::{Kind, stream};
use my_rng_e2e::arch::has_machine;

/// Free slots of the root bus; the machine's own devices take the other two.
const ON_ROOT: usize = 30;
/// Free slots behind a bridge, whose slot 0 is its own.
const BEHIND_BRIDGE: usize = 31;
const DEVICES: usize = ON_ROOT + BEHIND_BRIDGE;

/// Each device has a stream of its own, while all of them are read in turns.
fn all_at_once(machine: &str, bridge: &str, slots: std::ops::Range<usize>) {
    assert_eq!(slots.len(), ON_ROOT);
    if !has_machine(machine) {
        return;
    }
    let mut guest = Machine::guest_with(machine, "").device(bridge);
    for slot in slots {
        guest = guest.device(&format!("my_rng,addr={slot:#x}"));
    }
    for slot in 1..=BEHIND_BRIDGE {
        guest = guest.device(&format!("my_rng,bus=bridge,addr={slot:#x}"));
    }
    let mut guest = guest.start();
    guest.console.shell();
    let nodes = guest.console.run("ls -1v /dev/my_rng_driver*");
    assert_eq!(nodes.len(), DEVICES, "{nodes:?}");
    let all = "for node in $(ls -1v /dev/my_rng_driver*); do";
    guest.console.run(&format!(
        "seed=1000; {all} my-rng --device $node seed $seed; seed=$((seed + 1)); done"
    ));
    let seeds = 1000..1000 + DEVICES as u32;
    let mut streams: Vec<_> = seeds.map(|seed| stream(Kind::Libc, seed)).collect();
    for _ in 0..2 {
        let numbers = guest
            .console
            .run(&format!("{all} my-rng --device $node read 2; done"));
        let expected = streams.iter_mut().flat_map(|stream| stream.take(2));
        let expected: Vec<_> = expected.map(|number| number.to_string()).collect();
        assert_eq!(numbers, expected);
    }
}

#[test]
fn sixty_one_devices_on_pc() {
    all_at_once(
        "pc",
        "pci-bridge,id=bridge,chassis_nr=1,addr=01.7",
        0x2..0x20,
    );
}

#[test]
fn sixty_one_devices_on_virt() {
    all_at_once(
        "virt",
        "pci-bridge,id=bridge,chassis_nr=1,addr=1f",
        0x1..0x1f,
    );
}

#[test]
fn sixty_one_devices_on_q35() {
    all_at_once(
        "q35",
        "pci-bridge,id=bridge,chassis_nr=1,addr=1f.7",
        0x1..0x1f,
    );
}
