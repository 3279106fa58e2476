// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's architecture: one table of what tests know about it, and what a test needs. `vm/src/arch.rs` says what a
//! machine of it needs.

use std::io::{self, Write};
use std::thread;

use my_rng_vm::arch::Arch;

/// What tests know about an architecture.
#[derive(Debug)]
pub struct Facts {
    /// Where the configuration space of the first PCI bus is, on the usual machine. None: reached by a PC's ports.
    pub(crate) ecam: Option<u64>,
    /// Where a PCI device can have its registers there.
    pub registers: u64,
    /// Where memory starts.
    pub memory: u64,
    /// At least so many accesses to a device's registers has a sweep of all sizes and offsets that the processor can do.
    pub accesses: usize,
    /// A processor without random numbers of its own.
    pub plain_cpu: &'static str,
    /// The number of the program counter among gdb's registers, each of 8 bytes, and where a processor starts.
    pub program_counter: (usize, u64),
    /// Whether QEMU's TCG tells a device that a processor accesses it. Where not, the device keeps the big lock.
    pub tells_processors: bool,
    /// How many snapshots the usual machine can load in a row, without running in between: with virt's flash memory, QEMU
    /// 10.0 crashes after the second one.
    pub loads: usize,
    /// The bus on which a device can be unplugged from the usual machine, if that is not the first one.
    pub hotplug_bus: Option<&'static str>,
    /// A machine with PCI Express.
    pub express: &'static str,
    /// The same with an IOMMU.
    pub iommu: Iommu,
}

/// A machine with an IOMMU.
#[derive(Debug)]
pub struct Iommu {
    /// The machine.
    pub machine: &'static str,
    /// The IOMMU, if it is not a part of the machine.
    pub device: Option<&'static str>,
    /// The type of a device's domain, as Linux's sysfs names it. None: the guest's kernel has no driver of the IOMMU.
    pub domain: Option<&'static str>,
}

const X86_64: Facts = Facts {
    ecam: None,
    registers: 0xfebf_0000,
    memory: 0,
    accesses: 32_000,
    plain_cpu: "qemu64",
    program_counter: (16, 0xfff0),
    tells_processors: true,
    loads: 2,
    hotplug_bus: None,
    express: "q35",
    iommu: Iommu {
        machine: "q35",
        device: Some("intel-iommu"),
        domain: None,
    },
};

const ARM64: Facts = Facts {
    ecam: Some(0x40_1000_0000),
    registers: 0x1000_0000,
    memory: 0x4000_0000,
    // Only aligned ones.
    accesses: 15_000,
    plain_cpu: "cortex-a57",
    program_counter: (32, 0x4000_0000),
    tells_processors: true,
    loads: 1,
    hotplug_bus: Some("hotplug1"),
    express: "virt",
    iommu: Iommu {
        machine: "virt,iommu=smmuv3",
        device: None,
        domain: Some("DMA"),
    },
};

const RISCV64: Facts = Facts {
    ecam: Some(0x3000_0000),
    registers: 0x4000_0000,
    memory: 0x8000_0000,
    accesses: 32_000,
    plain_cpu: "rv64",
    program_counter: (32, 0x1000),
    tells_processors: false,
    loads: 1,
    hotplug_bus: Some("hotplug1"),
    express: "virt",
    // Its interrupts are messages. Linux 7.3 maps all memory for devices here.
    iommu: Iommu {
        machine: "virt,aia=aplic-imsic",
        device: Some("riscv-iommu-pci"),
        domain: Some("identity"),
    },
};

/// The guest's architecture.
pub fn arch() -> Arch {
    Arch::from_env().unwrap_or_else(|error| panic!("{error}"))
}

/// What tests know about it.
pub fn facts() -> &'static Facts {
    match arch() {
        Arch::X86_64 => &X86_64,
        Arch::Arm64 => &ARM64,
        Arch::Riscv64 => &RISCV64,
    }
}

/// The machine that a guest has unless a test needs another one.
pub fn usual_machine() -> &'static str {
    arch().machine()
}

/// Whether the guest's architecture has this type of machine. If not, says so, and the test ends at once: libtest
/// cannot skip a test that has started.
pub fn has_machine(machine: &str) -> bool {
    let has = |arch: Arch| arch.machines().any(|other| other == machine);
    assert!(Arch::ALL.into_iter().any(has), "no {machine} anywhere");
    let arch = arch();
    if !has(arch) {
        skip(&format!("there is no {machine} for {arch}"));
    }
    has(arch)
}

/// Says that this test is skipped, and why.
pub fn skip(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or_default();
    // Not by eprintln!: libtest hides what a test prints that passes.
    let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
}
