// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's architecture: one table of what a machine of it needs. `scripts/arch.sh` says what building
//! for it needs.

use std::env;
use std::fmt;
use std::iter;
use std::str::FromStr;

use crate::Error;

/// The architecture of a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arch {
    /// A PC.
    #[default]
    X86_64,
    /// 64-bit Arm.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
}

/// What a machine of an architecture needs.
#[derive(Debug)]
pub(crate) struct Needs {
    /// Its name here and for `make ARCH=`.
    name: &'static str,
    /// Its name in Rust.
    rust: &'static str,
    /// The machine type that is used if none is given.
    machine: MachineType,
    /// The other machine types that the guest's kernel boots on.
    other_machines: &'static [MachineType],
    /// What is said of the rest.
    refusal: &'static str,
    /// The processor under TCG, as QEMU's `-cpu` takes it.
    pub cpu: &'static str,
    /// The arguments that the kernel always gets. A panic reboots at once, which ends QEMU.
    pub kernel: &'static str,
    /// What makes QEMU's firmware reboot at once if there is nothing to boot.
    pub firmware_reboots: Option<[&'static str; 2]>,
}

/// Options of QEMU, and their values.
type Options = &'static [(&'static str, &'static str)];

/// A type of machines in QEMU.
#[derive(Debug)]
pub(crate) struct MachineType {
    name: &'static str,
    /// How the names of its versions begin.
    versions: &'static str,
    /// The slot of the ports' own device, by the number of the other devices. It leaves the first slots
    /// to them.
    pub slot: fn(usize) -> &'static str,
    /// QEMU's options without `--hotplug`.
    without_hotplug: Options,
    /// QEMU's options with it.
    with_hotplug: Options,
}

/// `no_timer_check` and `tsc=reliable` keep the kernel from checking its clocks: on a busy host, counting
/// the timer's ticks fails now and then (and panics), and Linux 7.3's watch over the TSC can wait forever
/// for a second processor that waits for the first.
///
/// `erms`, `fsrm` and `fsrs` tell the guest that "rep movsb" and the like are fast. TCG does them byte by
/// byte; without these flags, the kernel copies several times faster.
const X86_64: Needs = Needs {
    name: "x86_64",
    rust: "x86_64",
    machine: PC,
    other_machines: &[Q35],
    // On others, the guest's kernel misses a PC's timers or firmware tables and stops early.
    refusal: "an x86_64 guest boots on pc and q35 only; use one of them, or a version of one, as in pc-q35-8.2",
    cpu: "max,erms=off,fsrm=off,fsrs=off",
    kernel: "console=ttyS0 panic=-1 no_timer_check tsc=reliable",
    firmware_reboots: Some(["-boot", "reboot-timeout=0"]),
};

const ARM64: Needs = Needs {
    name: "arm64",
    rust: "aarch64",
    machine: VIRT,
    other_machines: &[],
    refusal: "an arm64 guest boots on virt only; use it, or a version of it, as in virt-8.2",
    cpu: "max",
    kernel: "console=ttyAMA0 panic=-1",
    firmware_reboots: None,
};

/// On `max`, with all extensions, the guest's kernel resets before its first message, and Debian's takes
/// twice as long to boot.
const RISCV64: Needs = Needs {
    name: "riscv64",
    rust: "riscv64",
    machine: VIRT,
    other_machines: &[],
    refusal: "a riscv64 guest boots on virt only; use it",
    cpu: "rv64",
    kernel: "console=ttyS0 panic=-1",
    firmware_reboots: None,
};

/// Hot-plug on its root bus slows the boot, and gives each device a "Physical Slot".
const PC: MachineType = MachineType {
    name: "pc",
    versions: "pc-i440fx-",
    // A function of the south bridge takes none of the 30 slots. But Linux complains about that one's
    // interrupt (unused), so it is only for those who need every slot. Not slot 31: QEMU 10.0 gives no
    // device a slot while function 0 of that one is taken.
    slot: |devices| if devices < 30 { "1e" } else { "01.7" },
    without_hotplug: &[("-global", "PIIX4_PM.acpi-root-pci-hotplug=off")],
    with_hotplug: &[],
};

const Q35: MachineType = MachineType {
    name: "q35",
    versions: "pc-q35-",
    slot: |_| "1f.7",
    without_hotplug: &[],
    with_hotplug: &[],
};

/// Its root bus has no hot-plug, but each root port has, for one device.
const VIRT: MachineType = MachineType {
    name: "virt",
    versions: "virt-",
    slot: |_| "1f",
    without_hotplug: &[],
    with_hotplug: &[
        (
            "-device",
            "pcie-root-port,id=hotplug1,slot=1,addr=1e.0,multifunction=on",
        ),
        ("-device", "pcie-root-port,id=hotplug2,slot=2,addr=1e.1"),
        ("-device", "pcie-root-port,id=hotplug3,slot=3,addr=1e.2"),
        ("-device", "pcie-root-port,id=hotplug4,slot=4,addr=1e.3"),
    ],
};

impl MachineType {
    /// QEMU's options for it.
    pub fn options(&self, hotplug: bool) -> Options {
        if hotplug {
            self.with_hotplug
        } else {
            self.without_hotplug
        }
    }
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::Arm64, Self::Riscv64];

    pub(crate) fn needs(self) -> &'static Needs {
        match self {
            Self::X86_64 => &X86_64,
            Self::Arm64 => &ARM64,
            Self::Riscv64 => &RISCV64,
        }
    }

    /// The one in the environment variable `MY_RNG_ARCH`, else the host's.
    pub fn from_env() -> Result<Self, Error> {
        let name = env::var_os("MY_RNG_ARCH").filter(|value| !value.is_empty());
        match name {
            Some(name) => name
                .to_string_lossy()
                .parse()
                .map_err(|error| Error::Host(format!("MY_RNG_ARCH is wrong: {error}"))),
            None => Self::host().ok_or_else(|| {
                let host = env::consts::ARCH;
                Error::Host(format!(
                    "there is no {host} guest: choose another with --arch or MY_RNG_ARCH, as in --arch x86_64"
                ))
            }),
        }
    }

    /// The host's, if there are guests of it.
    pub fn host() -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.is_the_hosts())
    }

    /// Whether the host is of this architecture.
    pub fn is_the_hosts(self) -> bool {
        self.needs().rust == env::consts::ARCH
    }

    /// The command that builds a guest of it.
    pub(crate) fn make(self) -> String {
        if self.is_the_hosts() {
            "make".to_owned()
        } else {
            format!("make ARCH={self}")
        }
    }

    /// The gdb for a guest of it.
    pub(crate) fn gdb(self) -> &'static str {
        if self.is_the_hosts() {
            "gdb"
        } else {
            "gdb-multiarch"
        }
    }

    /// The machine type that is used if none is given.
    pub fn machine(self) -> &'static str {
        self.needs().machine.name
    }

    /// QEMU's options for that one without hot-plug.
    pub fn without_hotplug(self) -> impl Iterator<Item = &'static str> {
        let options = self.needs().machine.options(false);
        options.iter().flat_map(|(option, value)| [*option, *value])
    }

    /// The machine types that the guest's kernel boots on.
    pub fn machines(self) -> impl Iterator<Item = &'static str> {
        self.machine_types().map(|machine| machine.name)
    }

    fn machine_types(self) -> impl Iterator<Item = &'static MachineType> {
        let needs = self.needs();
        iter::once(&needs.machine).chain(needs.other_machines)
    }

    /// The arguments that the kernel always gets.
    pub fn kernel_arguments(self) -> &'static str {
        self.needs().kernel
    }

    /// The type of the machine that QEMU's option `-machine` describes, if the guest's kernel boots on it.
    pub(crate) fn machine_type(self, machine: &str) -> Result<&'static MachineType, Error> {
        let name = machine.split(',').next().unwrap_or_default();
        self.machine_types()
            .find(|it| name == it.name || name.starts_with(it.versions))
            .ok_or_else(|| Error::Host(self.needs().refusal.to_owned()))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.needs().name)
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.needs().name == text)
            .ok_or_else(|| format!("'{text}' is not one of x86_64, arm64 and riscv64"))
    }
}

/// One that is not the host's.
#[cfg(test)]
pub(crate) fn other_arch() -> Arch {
    let mut all = Arch::ALL.into_iter();
    all.find(|arch| !arch.is_the_hosts()).expect("two of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_make() {
        for name in ["x86_64", "arm64", "riscv64"] {
            let arch: Arch = name.parse().unwrap();
            assert_eq!(arch.to_string(), name);
        }
        for name in ["", "aarch64", "amd64", "X86_64"] {
            let told = format!("'{name}' is not one of x86_64, arm64 and riscv64");
            assert_eq!(name.parse::<Arch>().unwrap_err(), told);
        }
        assert_eq!(Arch::host().unwrap().make(), "make");
        let other = other_arch();
        assert_eq!(other.make(), format!("make ARCH={other}"));
    }

    #[test]
    fn only_machines_that_the_guest_boots_on_are_taken() {
        for (arch, machine, name) in [
            (Arch::X86_64, "pc", "pc"),
            (Arch::X86_64, "pc-i440fx-8.2", "pc"),
            (Arch::X86_64, "q35,smm=off", "q35"),
            (Arch::X86_64, "pc-q35-8.2,usb=off", "q35"),
            (Arch::Arm64, "virt,iommu=smmuv3", "virt"),
            (Arch::Arm64, "virt-8.2", "virt"),
            (Arch::Riscv64, "virt", "virt"),
        ] {
            assert_eq!(arch.machine_type(machine).unwrap().name, name);
        }
        for arch in Arch::ALL {
            assert!(arch.machine_type(arch.machine()).is_ok());
            for machine in ["microvm,pcie=on", "isapc", "none", "pcx", "virtual", ""] {
                let refused = arch.machine_type(machine).unwrap_err().to_string();
                let sentence = format!(" {arch} guest boots on ");
                assert!(refused.contains(&sentence), "{refused}");
            }
        }
        assert!(Arch::Arm64.machine_type("q35").is_err());
    }
}
