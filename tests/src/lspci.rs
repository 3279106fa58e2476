// SPDX-License-Identifier: GPL-2.0-or-later

//! What `lspci -v` prints of the device.

use crate::abi;

/// The vendor and device ids, as lspci writes them.
pub fn ids() -> String {
    format!("{:04x}:{:04x}", abi::PCI_VENDOR_ID, abi::PCI_DEVICE_ID)
}

/// Compares the entry of a device with the contract, apart from its slot and its address. Returns the lines
/// after the documented ones.
pub fn check<'a, S: AsRef<str>>(entry: &'a [S], expected_flags: &str) -> Vec<&'a str> {
    let lines: Vec<_> = entry.iter().map(AsRef::as_ref).collect();
    let [title, subsystem, flags, memory, rest @ ..] = &lines[..] else {
        panic!("too few lines: {lines:#?}");
    };
    let (slot, title) = title.split_once(' ').expect("a slot");
    assert!(slot.starts_with("00:") && slot.ends_with(".0"), "{slot}");
    assert_eq!(
        title,
        "Unclassified device [00ff]: Device 1234:cafe (rev 10)"
    );
    assert_eq!(*subsystem, "\tSubsystem: Red Hat, Inc. Device 1100");
    assert_eq!(*flags, format!("\tFlags: {expected_flags}"));
    let address = memory
        .strip_prefix("\tMemory at ")
        .and_then(|memory| memory.strip_suffix(" (32-bit, non-prefetchable) [size=4K]"))
        .unwrap_or_else(|| panic!("{memory}"));
    let address = u32::from_str_radix(address, 16).expect("a 32-bit address");
    assert!(
        address != 0 && address as usize % abi::BAR_SIZE == 0,
        "{address:#x}"
    );
    rest.to_vec()
}
