// SPDX-License-Identifier: GPL-2.0-or-later

//! Accesses to the BAR: which register answers, and what is wrong with the others.

use core::fmt;

use super::bulk::Refusal;
use crate::abi;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The next number of the stream; read-only.
    Rng,
    /// Restarts the stream; write-only.
    Seed,
    /// What the device is; read-only.
    Info,
    /// Carries out a transfer; write-only.
    Doorbell,
    /// How many numbers the host failed to give; read-only.
    Failures,
}

/// Which way an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The guest reads.
    Read,
    /// The guest writes.
    Write,
}

/// One access to the BAR, as it came from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which way it goes.
    pub direction: Direction,
    /// Where in the BAR, in bytes.
    pub offset: u64,
    /// Its width, in bytes.
    pub size: u32,
}

/// Why an access is not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not of 4 bytes.
    Size,
    /// It is not at a multiple of 4.
    Unaligned,
    /// Nothing answers there.
    NoRegister,
    /// A write to a register that is for reading.
    ReadOnly(Register),
    /// A read of one that is for writing.
    WriteOnly(Register),
    /// A write to SEED, of a generator without a seed.
    NotSeedable,
    /// A write to DOORBELL that starts no transfer.
    Transfer(Refusal),
}

/// An access that is not defined; it takes and changes nothing. A guest can make any number of them, so it
/// allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAccess {
    access: Access,
    reason: Reason,
}

impl Access {
    /// Which register answers, if one does.
    ///
    /// # Errors
    ///
    /// When the access is not of a whole register.
    pub fn register(self) -> Result<Register, BadAccess> {
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
            abi::REG_INFO => Ok(Register::Info),
            abi::REG_DOORBELL => Ok(Register::Doorbell),
            abi::REG_FAILURES => Ok(Register::Failures),
            _ => Err(self.bad(Reason::NoRegister)),
        }
    }

    /// The refusal of this access.
    #[must_use]
    pub fn bad(self, reason: Reason) -> BadAccess {
        BadAccess {
            access: self,
            reason,
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rng => "RNG",
            Self::Seed => "SEED",
            Self::Info => "INFO",
            Self::Doorbell => "DOORBELL",
            Self::Failures => "FAILURES",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("only 4-byte accesses do anything"),
            Self::Unaligned => f.write_str("only aligned accesses do anything"),
            Self::NoRegister => f.write_str("there is no register"),
            Self::ReadOnly(register) => write!(f, "{register} is read-only"),
            Self::WriteOnly(register) => write!(f, "{register} is write-only"),
            Self::NotSeedable => f.write_str("the host's entropy takes no seed"),
            Self::Transfer(refusal) => refusal.fmt(f),
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
        let reason = self.reason;
        write!(f, "{size}-byte {direction} at offset {offset:#x}: {reason}")
    }
}
