// SPDX-License-Identifier: GPL-2.0-or-later

//! The device on the PCI bus, as lspci and sysfs show it.

use my_rng_e2e::answers::libc;
use my_rng_e2e::known_answers::LIBC;
use my_rng_e2e::{Guest, abi, lspci};

use crate::first_boot::{FIRST_BOOT, SECTIONS, section};

#[test]
fn lspci_without_the_driver() {
    assert!(lspci::check(&section(&FIRST_BOOT, "free"), "fast devsel").is_empty());
}

#[test]
fn lspci_with_the_driver() {
    // Only while the driver is bound, the device is a bus master.
    let flags = "bus master, fast devsel, latency 0";
    let lines = section(&FIRST_BOOT, "driven");
    let beyond = lspci::check(&lines, flags);
    assert_eq!(beyond.first(), Some(&"\tKernel driver in use: my_rng"));
    // lspci names the module itself only where the module is installed.
    assert!(
        beyond[1..]
            .iter()
            .all(|line| *line == "\tKernel modules: my_rng"),
        "{beyond:#?}"
    );
}

#[test]
fn configuration_space() {
    let bytes: Vec<u8> = section(&FIRST_BOOT, "config")
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect();
    assert_eq!(bytes.len(), 64);
    let u16_at = |offset: usize| u16::from_le_bytes([bytes[offset], bytes[offset + 1]]);
    let u32_at = |offset: usize| u32::from(u16_at(offset)) | u32::from(u16_at(offset + 2)) << 16;
    assert_eq!(u16_at(0x00), abi::PCI_VENDOR_ID);
    assert_eq!(u16_at(0x02), abi::PCI_DEVICE_ID);
    assert_eq!(u16_at(0x06) & 0x10, 0, "no capability list");
    assert_eq!(bytes[0x08], abi::PCI_REVISION);
    assert_eq!(bytes[0x09], 0, "no programming interface");
    assert_eq!(u16_at(0x0a), abi::PCI_CLASS);
    assert_eq!(bytes[0x0e], 0, "a normal header, one function");
    let bar = 0x10 + 4 * usize::from(abi::BAR);
    assert_eq!(u32_at(bar) & 0xf, 0, "memory, 32-bit, non-prefetchable");
    assert_ne!(u32_at(bar), 0);
    for other in (0x10..0x28).step_by(4).filter(|other| *other != bar) {
        assert_eq!(u32_at(other), 0, "no BAR at {other:#x}");
    }
    assert_eq!(u16_at(0x2c), 0x1af4, "QEMU's subsystem vendor");
    assert_eq!(u16_at(0x2e), 0x1100, "QEMU's subsystem");
    assert_eq!(u32_at(0x30), 0, "no expansion ROM");
    assert_eq!(bytes[0x34], 0, "no capability");
    assert_eq!(bytes[0x3d], 0, "no interrupt pin");
}

#[test]
fn the_bar_is_one_page_of_memory() {
    let resource = section(&FIRST_BOOT, "resource");
    let fields: Vec<_> = resource[0]
        .split_whitespace()
        .map(|field| {
            let digits = field.strip_prefix("0x").expect("a hexadecimal number");
            u64::from_str_radix(digits, 16).expect("a hexadecimal number")
        })
        .collect();
    let [first, last, flags] = fields[..] else {
        panic!("{resource:?}");
    };
    assert_eq!(last - first + 1, abi::BAR_SIZE as u64);
    // IORESOURCE_MEM without IORESOURCE_PREFETCH, see Linux's include/linux/ioport.h.
    assert_eq!(flags & 0x2300, 0x200);
}

/// Both devices are read in turns.
#[test]
fn two_devices_have_a_node_and_a_stream_each() {
    let (first, second) = (&LIBC[2], &LIBC[5]);
    let two = Guest::new()
        .device("my_rng")
        .device("my_rng")
        .sh(&format!(
            "{SECTIONS}
             section lspci; lspci -d {ids} | wc -l
             section nodes; ls /dev/my_rng*
             one() {{ my-rng --device /dev/my_rng_driver \"$@\"; }}
             two() {{ my-rng --device /dev/my_rng_driver1 \"$@\"; }}
             section untouched; two read; one read; two read; one read
             section seeded
             one seed {one}; one read; two seed {two}; one read; two read; two read; one read
             one read; two read; two read; one read; two read
             section one seeds; one seed {one}; two read 995 | tail -n 1
             section two seeds; two seed {two}; one read 1000 | tail -n 1",
            ids = lspci::ids(),
            one = first.seed,
            two = second.seed
        ))
        .success();
    assert_eq!(section(&two, "lspci"), ["2"]);
    assert_eq!(
        section(&two, "nodes"),
        ["/dev/my_rng_driver", "/dev/my_rng_driver1"]
    );
    let words = |name| -> Vec<u32> {
        section(&two, name)
            .iter()
            .map(|line| line.parse().expect("a number"))
            .collect()
    };
    let start = libc(1);
    assert_eq!(words("untouched"), [start[0], start[0], start[1], start[1]]);
    let (a, b) = (&first.first, &second.first);
    assert_eq!(
        words("seeded"),
        [a[0], a[1], b[0], b[1], a[2], a[3], b[2], b[3], a[4], b[4]]
    );
    assert_eq!(words("one seeds"), [second.thousandth]);
    assert_eq!(words("two seeds"), [first.thousandth]);
}
