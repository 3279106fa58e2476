// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers of `my_rng` and what they do; `docs/my-rng.rst` is the specification.

use core::ffi::CStr;
use core::fmt;

use crate::abi;
use crate::generator::GlibcRandom;
use crate::pci::{Identity, MemoryBar, PciModel};

/// The device: all that it remembers is where its stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyRng {
    stream: GlibcRandom,
}

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Rng,
    Seed,
}

/// Which way an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// One access to the BAR, as it came from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    direction: Direction,
    offset: u64,
    size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Size,
    Unaligned,
    NoRegister,
    ReadOnly,
    WriteOnly,
}

/// An access that is not defined; it takes and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAccess {
    access: Access,
    reason: Reason,
}

impl Access {
    /// Which register answers, if one does.
    fn register(self) -> Result<Register, BadAccess> {
        if usize::try_from(self.size) != Ok(abi::REG_SIZE) {
            return Err(self.bad(Reason::Size));
        }
        let offset = usize::try_from(self.offset).map_err(|_| self.bad(Reason::NoRegister))?;
        if offset % abi::REG_SIZE != 0 {
            return Err(self.bad(Reason::Unaligned));
        }
        match offset {
            abi::REG_RNG => Ok(Register::Rng),
            abi::REG_SEED => Ok(Register::Seed),
            _ => Err(self.bad(Reason::NoRegister)),
        }
    }

    fn bad(self, reason: Reason) -> BadAccess {
        BadAccess {
            access: self,
            reason,
        }
    }
}

impl fmt::Display for BadAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Access {
            direction,
            offset,
            size,
        } = self.access;
        let direction = match direction {
            Direction::Read => "read",
            Direction::Write => "write",
        };
        let reason = match self.reason {
            Reason::Size => "only 4-byte accesses do anything",
            Reason::Unaligned => "only aligned accesses do anything",
            Reason::NoRegister => "there is no register",
            Reason::ReadOnly => "RNG is read-only",
            Reason::WriteOnly => "SEED is write-only",
        };
        write!(f, "{size}-byte {direction} at offset {offset:#x}: {reason}")
    }
}

impl MyRng {
    /// A device whose stream starts from `seed`.
    #[must_use]
    pub fn with_seed(seed: u32) -> Self {
        Self {
            stream: GlibcRandom::new(seed),
        }
    }
}

impl PciModel for MyRng {
    const NAME: &'static CStr = c"my_rng";
    const DESCRIPTION: &'static CStr = c"Repeatable random number generator";
    const IDENTITY: Identity = Identity {
        vendor_id: abi::PCI_VENDOR_ID,
        device_id: abi::PCI_DEVICE_ID,
        revision: abi::PCI_REVISION,
        class: abi::PCI_CLASS,
    };
    const BAR: MemoryBar = MemoryBar {
        index: abi::BAR,
        size: abi::BAR_SIZE,
    };

    type GuestError = BadAccess;

    fn new() -> Self {
        Self::with_seed(abi::DEFAULT_SEED)
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    fn read(&mut self, offset: u64, size: u32) -> Result<u64, BadAccess> {
        let access = Access {
            direction: Direction::Read,
            offset,
            size,
        };
        match access.register()? {
            Register::Rng => Ok(self.stream.next_u32().into()),
            Register::Seed => Err(access.bad(Reason::WriteOnly)),
        }
    }

    fn write(&mut self, offset: u64, value: u64, size: u32) -> Result<(), BadAccess> {
        let access = Access {
            direction: Direction::Write,
            offset,
            size,
        };
        match access.register()? {
            Register::Rng => Err(access.bad(Reason::ReadOnly)),
            Register::Seed => {
                // A 4-byte write carries its number in the low 32 bits; the rest is not the guest's.
                *self = Self::with_seed(value as u32);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MyRng;
    use crate::abi::{BAR_SIZE, REG_RNG, REG_SEED};
    use crate::known_answers;
    use crate::pci::PciModel;

    const RNG: u64 = REG_RNG as u64;
    const SEED: u64 = REG_SEED as u64;

    fn numbers(device: &mut MyRng, count: usize) -> Vec<u64> {
        (0..count).map(|_| device.read(RNG, 4).unwrap()).collect()
    }

    #[test]
    fn known_answers_through_the_registers() {
        for answer in &known_answers::LIBC {
            let mut device = MyRng::new();
            device.write(SEED, answer.seed.into(), 4).unwrap();
            assert_eq!(numbers(&mut device, 5), answer.first.map(u64::from));
        }
    }

    #[test]
    fn unseeded_is_as_seeded_with_one() {
        let mut seeded = MyRng::new();
        seeded.write(SEED, 1, 4).unwrap();
        assert_eq!(numbers(&mut seeded, 100), numbers(&mut MyRng::new(), 100));
    }

    #[test]
    fn seeding_again_restarts_the_stream() {
        let mut device = MyRng::new();
        device.write(SEED, 0x42, 4).unwrap();
        let first = numbers(&mut device, 10);
        device.write(SEED, 0x42, 4).unwrap();
        assert_eq!(numbers(&mut device, 10), first);
    }

    #[test]
    fn only_the_low_32_bits_of_a_write_count() {
        let mut device = MyRng::new();
        device.write(SEED, 0xffff_ffff_0000_0042, 4).unwrap();
        assert_eq!(device, MyRng::with_seed(0x42));
    }

    #[test]
    fn reset_forgets_the_seed() {
        let mut device = MyRng::with_seed(0x42);
        numbers(&mut device, 3);
        device.reset();
        assert_eq!(device, MyRng::new());
    }

    /// Every size at every offset of the BAR and beyond: but for the two that are defined, each
    /// access is refused, says where it was, and changes nothing.
    #[test]
    fn everything_else_is_refused_and_changes_nothing() {
        let untouched = MyRng::with_seed(0x42);
        let mut device = untouched.clone();
        let offsets = (0..BAR_SIZE as u64 + 8).chain([u64::MAX - 3, u64::MAX]);
        for offset in offsets {
            for size in 0..=9 {
                if (offset, size) != (RNG, 4) {
                    let refused = device.read(offset, size).unwrap_err().to_string();
                    let place = format!("{size}-byte read at offset {offset:#x}: ");
                    assert!(refused.starts_with(&place), "{refused}");
                }
                if (offset, size) != (SEED, 4) {
                    let refused = device.write(offset, 7, size).unwrap_err().to_string();
                    let place = format!("{size}-byte write at offset {offset:#x}: ");
                    assert!(refused.starts_with(&place), "{refused}");
                }
                assert_eq!(device, untouched, "offset {offset:#x}, size {size}");
            }
        }
    }

    #[test]
    fn refusals_say_why() {
        let mut device = MyRng::new();
        let why = |refused: super::BadAccess| refused.to_string();
        assert_eq!(
            why(device.read(RNG, 2).unwrap_err()),
            "2-byte read at offset 0x0: only 4-byte accesses do anything"
        );
        assert_eq!(
            why(device.write(2, 0, 4).unwrap_err()),
            "4-byte write at offset 0x2: only aligned accesses do anything"
        );
        assert_eq!(
            why(device.read(SEED, 4).unwrap_err()),
            "4-byte read at offset 0x4: SEED is write-only"
        );
        assert_eq!(
            why(device.write(RNG, 0, 4).unwrap_err()),
            "4-byte write at offset 0x0: RNG is read-only"
        );
        assert_eq!(
            why(device.read(8, 4).unwrap_err()),
            "4-byte read at offset 0x8: there is no register"
        );
    }

    #[test]
    fn devices_are_independent() {
        let (mut one, mut other) = (MyRng::new(), MyRng::new());
        one.write(SEED, 0x42, 4).unwrap();
        other.write(SEED, 7, 4).unwrap();
        let expected = numbers(&mut MyRng::with_seed(0x42), 50);
        let interleaved: Vec<u64> = (0..50)
            .map(|_| {
                other.read(RNG, 4).unwrap();
                one.read(RNG, 4).unwrap()
            })
            .collect();
        assert_eq!(interleaved, expected);
    }
}
