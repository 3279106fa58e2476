// SPDX-License-Identifier: GPL-2.0-or-later

//! What the register `INFO` says about a device: which generator it has, and whether it is there.

use crate::abi;
use kernel::prelude::*;

/// What a device said of itself when the driver was bound to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Identity(u32);

/// What the driver has to know about a device's generator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Generator {
    /// Numbers of 31 bits, from a seed.
    Libc,
    /// Words of 32 bits, from a seed.
    ChaCha20,
    /// Words of 32 bits that nobody can foretell.
    Host,
    /// Words of 32 bits, from a seed, as those of [`Self::ChaCha20`].
    ChaCha8,
    /// Words of 32 bits, from a seed; who sees some knows the rest.
    Xoshiro256PlusPlus,
    /// One that came after this driver, or that of a device without `INFO`.
    Unknown,
}

impl Identity {
    /// Reads the value of `INFO`, or fails if no device answered.
    pub(crate) fn new(info: u32) -> Result<Self> {
        if info == u32::MAX {
            return Err(ENODEV);
        }
        Ok(Self(info))
    }

    /// Whether the device has the register at all; those from before it read as 0 there. Of what reads as
    /// anything else no more is known.
    pub(crate) fn is_given(self) -> bool {
        self.0 >> 16 == u32::from(abi::INFO_SIGNATURE)
    }

    pub(crate) fn generator(self) -> Generator {
        if !self.is_given() {
            return Generator::Unknown;
        }
        match self.0 as u8 {
            abi::GENERATOR_LIBC => Generator::Libc,
            abi::GENERATOR_CHACHA20 => Generator::ChaCha20,
            abi::GENERATOR_HOST => Generator::Host,
            abi::GENERATOR_CHACHA8 => Generator::ChaCha8,
            abi::GENERATOR_XOSHIRO256PP => Generator::Xoshiro256PlusPlus,
            _ => Generator::Unknown,
        }
    }

    /// Whether the device has a bulk engine.
    pub(crate) fn has_bulk(self) -> bool {
        self.is_given() && self.0 & abi::INFO_BULK != 0
    }

    /// Whether the device is still there, if `INFO` now reads as `info`. Of a device without the
    /// register nothing can be told, and it is taken to be.
    pub(crate) fn is_confirmed_by(self, info: u32) -> bool {
        !self.is_given() || self.0 == info
    }
}

/// Whether a number may have come from a bus that has no device at that address any more: such a read
/// gives all ones on a PC, and all zeros in QEMU. A generator can give both.
pub(crate) fn may_be_nobodys(number: u32) -> bool {
    number == u32::MAX || number == 0
}

/// What hw_random is told of a generator that is offered though its numbers follow from a seed: next to
/// nothing, for 0 would stand for the maximum.
pub(crate) const SEEDED_QUALITY: u16 = 1;

impl Generator {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::ChaCha20 => "chacha20",
            Self::Host => "host",
            Self::ChaCha8 => "chacha8",
            Self::Xoshiro256PlusPlus => "xoshiro256pp",
            Self::Unknown => "unknown",
        }
    }

    /// The quality, in bits of entropy per 1024 bits, as which the kernel's hw_random may have this
    /// generator; `None` if it may not.
    ///
    /// hw_random reads from the best generator it has, without being asked to, and credits the
    /// kernel's pool with what the quality says. So what comes from a seed is offered only if the
    /// administrator wants that (`seeded`). Bit 31 of what `libc` gives is always 0, what
    /// `xoshiro256pp` gives tells the rest of its stream, and of an unknown generator nothing is known:
    /// none of them is ever offered.
    pub(crate) fn quality(self, seeded: bool) -> Option<u16> {
        match self {
            // As virtio-rng, which has its bytes from the same source of QEMU's.
            Self::Host => Some(1000),
            Self::ChaCha20 | Self::ChaCha8 if seeded => Some(SEEDED_QUALITY),
            Self::ChaCha20
            | Self::ChaCha8
            | Self::Libc
            | Self::Xoshiro256PlusPlus
            | Self::Unknown => None,
        }
    }
}

#[kunit_tests(my_rng_identity)]
mod tests {
    use super::*;

    fn generator(info: u32) -> Generator {
        Identity(info).generator()
    }

    #[test]
    fn tells_the_generators() {
        assert_eq!(generator(0x524e_0000), Generator::Libc);
        assert_eq!(generator(0x524e_0001), Generator::ChaCha20);
        assert_eq!(generator(0x524e_0002), Generator::Host);
        assert_eq!(generator(0x524e_0003), Generator::ChaCha8);
        assert_eq!(generator(0x524e_0004), Generator::Xoshiro256PlusPlus);
        assert_eq!(generator(0x524e_0005), Generator::Unknown);
        assert_eq!(generator(0x524e_00ff), Generator::Unknown);
    }

    #[test]
    fn leaves_the_reserved_bits_out_of_account() {
        assert_eq!(generator(0x524e_ff01), Generator::ChaCha20);
        assert!(Identity(0x524e_ff01).is_confirmed_by(0x524e_ff01));
        assert_eq!(generator(0x524e_fe01), Generator::ChaCha20);
    }

    #[test]
    fn takes_nothing_else_for_the_register() {
        for info in [0, 1, 2, 0x524f_0002, 0x0000_524e, 0x4e52_0002, 0x7fff_ffff] {
            assert!(!Identity(info).is_given());
            assert_eq!(generator(info), Generator::Unknown);
        }
    }

    #[test]
    fn finds_the_engine_in_its_bit_alone() {
        assert!(Identity(0x524e_0101).has_bulk());
        assert!(Identity(0x524e_ff04).has_bulk());
        assert!(!Identity(0x524e_fe01).has_bulk());
        assert!(!Identity(0x0000_0100).has_bulk());
    }

    #[test]
    fn refuses_a_device_that_does_not_answer() {
        assert_eq!(Identity::new(u32::MAX), Err(ENODEV));
        assert_eq!(Identity::new(0), Ok(Identity(0)));
        assert_eq!(Identity::new(0x524e_0001), Ok(Identity(0x524e_0001)));
    }

    #[test]
    fn tells_a_device_that_is_gone() {
        let identity = Identity(0x524e_0001);
        assert!(identity.is_confirmed_by(0x524e_0001));
        for info in [u32::MAX, 0, 0x524e_0000, 0x524e_0101] {
            assert!(!identity.is_confirmed_by(info));
        }
        // Nothing to tell it from.
        assert!(Identity(0).is_confirmed_by(u32::MAX));

        assert!(may_be_nobodys(u32::MAX));
        assert!(may_be_nobodys(0));
        assert!(!may_be_nobodys(1));
        assert!(!may_be_nobodys(0x7fff_ffff));
    }

    #[test]
    fn offers_only_what_is_honest() {
        assert_eq!(Generator::Host.quality(false), Some(1000));
        assert_eq!(Generator::Host.quality(true), Some(1000));
        for generator in [Generator::ChaCha20, Generator::ChaCha8] {
            assert_eq!(generator.quality(false), None);
            assert_eq!(generator.quality(true), Some(1));
        }
        for generator in [
            Generator::Libc,
            Generator::Xoshiro256PlusPlus,
            Generator::Unknown,
        ] {
            assert_eq!(generator.quality(false), None);
            assert_eq!(generator.quality(true), None);
        }
    }
}
