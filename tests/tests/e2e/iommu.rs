// SPDX-License-Identifier: GPL-2.0-or-later

//! DMA behind an IOMMU whose mappings end when the driver says so. The kernel for x86_64 has no driver of an IOMMU:
//! Debian's has, in `tests/debian/`.

use my_rng_e2e::answers::{Kind, sha256sum};
use my_rng_e2e::arch::{facts, skip};
use my_rng_e2e::{Finished, Guest};

use crate::first_boot::{SECTIONS, section};
use crate::registers::{log_errors, logged_errors};

/// A guest whose devices are behind an IOMMU.
fn guest() -> Guest {
    let iommu = &facts().iommu;
    let guest = Guest::new().option("--machine", iommu.machine);
    match iommu.device {
        Some(device) => guest.qemu_args(["-device", device]),
        None => guest,
    }
}

/// The kernel's messages about accesses that the IOMMU has refused.
fn refused(guest: &Finished) -> Vec<&str> {
    let mut messages = guest.messages();
    // In the words of the drivers for Arm's IOMMU and for RISC-V's.
    messages.retain(|message| message.contains(": event") || message.contains(": Fault "));
    messages
}

#[test]
fn transfers_behind_an_iommu_give_the_known_answers() {
    const BYTES: usize = 3_000_001;
    let Some(domain) = facts().iommu.domain else {
        return skip("the guest's kernel has no driver of an IOMMU");
    };
    for kind in [Kind::ChaCha8, Kind::Libc] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("qemu.log");
        let transfers = log_errors(guest(), &log)
            .device(&format!("my_rng,generator={kind}"))
            .option("--smp", "2")
            .program("bulk")
            .sh(&format!(
                "{SECTIONS} /bulk {kind}
                 section domain; cat $(device)/iommu_group/type
                 section digest; my-rng read --seed 0x42 --bytes {BYTES} | sha256sum
                 rmmod my_rng"
            ))
            .tap();
        // DMA, not DMA-FQ, which would let mappings live longer.
        assert_eq!(section(&transfers, "domain"), [domain]);
        assert_eq!(
            section(&transfers, "digest"),
            [sha256sum(kind, 0x42, BYTES)]
        );
        assert_eq!(refused(&transfers), [""; 0], "{}", transfers.report());
        assert_eq!(logged_errors(&log), 0);
    }
}

#[test]
fn the_iommu_refuses_what_nobody_has_mapped() {
    if facts().iommu.domain != Some("DMA") {
        return skip("the guest's kernel has no driver of an IOMMU, or maps all memory");
    }
    let stray = guest()
        .device("my_rng")
        .switch("--no-module")
        .program("stray")
        .sh(&format!("{SECTIONS} /stray $(basename $(device))"))
        .tap();
    assert!(!refused(&stray).is_empty(), "{}", stray.report());
}
