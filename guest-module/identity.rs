// SPDX-License-Identifier: GPL-2.0-or-later

//! What the register `INFO` says about a device.

use crate::abi;
use kernel::prelude::*;

/// What a device said of itself when the driver was bound to it: the value of `INFO`, or `None` for a classic
/// device, which has no such register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Identity(Option<u32>);

/// What the driver has to know about a device's generator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Generator {
    /// Numbers of 31 bits, from a seed.
    Libc,
    /// Words of 32 bits, from a seed.
    ChaCha20,
    /// Words of 32 bits that nobody can predict.
    Host,
    /// Words of 32 bits, from a seed, as those of [`Self::ChaCha20`].
    ChaCha8,
    /// Words of 32 bits, from a seed; some of them give away the rest.
    Xoshiro256PlusPlus,
    /// One that is newer than this driver, or that of a classic device.
    Unknown,
}

impl Identity {
    /// Takes two reads of `INFO`. It is a register only if both gave the same value, with the signature: a
    /// classic device may give anything there, even the next number of its stream.
    pub(crate) fn new(first: u32, second: u32) -> Self {
        let has_signature = first >> 16 == u32::from(abi::INFO_SIGNATURE);
        Self((has_signature && first == second).then_some(first))
    }

    /// The value of `INFO`, which never changes; `None` for a classic device.
    pub(crate) fn info(self) -> Option<u32> {
        self.0
    }

    pub(crate) fn is_classic(self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn generator(self) -> Generator {
        let Some(info) = self.0 else {
            return Generator::Unknown;
        };
        match info as u8 {
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
        self.0.is_some_and(|info| info & abi::INFO_BULK != 0)
    }

    /// Whether a read of a number can fail for want of entropy, and the device counts such reads.
    pub(crate) fn can_fail(self) -> bool {
        let may_draw_on_host = matches!(self.generator(), Generator::Host | Generator::Unknown);
        may_draw_on_host && self.0.is_some_and(|info| info & abi::INFO_FAILURES != 0)
    }

    /// As which quality, in bits of entropy per 1024 bits, hw_random may use the device; `None` if it may
    /// not.
    ///
    /// hw_random reads from the best generator it has, without being asked to, and credits the kernel's
    /// pool with what the quality says. So a seeded stream is offered only if the administrator wants that
    /// (`seeded`). Never offered are `libc`, whose bit 31 is always 0, `xoshiro256pp`, whose numbers give
    /// away the rest of the stream, unknown generators, and a `host` that cannot report failures.
    pub(crate) fn quality(self, seeded: bool) -> Option<u16> {
        match self.generator() {
            // Full: the host's generator is made for keys. virtio-rng, with the same source, has 1024 too.
            Generator::Host if self.can_fail() => Some(1024),
            Generator::ChaCha20 | Generator::ChaCha8 if seeded => Some(SEEDED_QUALITY),
            _ => None,
        }
    }
}

/// Whether a number may come from an empty bus instead of the device: such a read gives all ones on a PC, and
/// zeros in QEMU. A generator can give both.
pub(crate) fn is_suspicious(number: u32) -> bool {
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
}

#[kunit_tests(my_rng_identity)]
mod tests {
    use super::*;

    fn identity(info: u32) -> Identity {
        Identity::new(info, info)
    }

    fn generator(info: u32) -> Generator {
        identity(info).generator()
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
        assert!(!identity(0x524e_00ff).is_classic());
    }

    #[test]
    fn ignores_the_reserved_bits() {
        assert_eq!(generator(0x524e_ff01), Generator::ChaCha20);
        assert_eq!(identity(0x524e_ff01).info(), Some(0x524e_ff01));
        assert_eq!(generator(0x524e_fe01), Generator::ChaCha20);
    }

    #[test]
    fn takes_a_device_without_the_signature_for_a_classic_one() {
        for info in [
            0,
            1,
            2,
            0x524f_0002,
            0x0000_524e,
            0x4e52_0002,
            0x7fff_ffff,
            u32::MAX,
        ] {
            assert!(identity(info).is_classic());
            assert_eq!(generator(info), Generator::Unknown);
        }
    }

    #[test]
    fn takes_a_device_whose_info_changes_for_a_classic_one() {
        for (first, second) in [
            (0x524e_0002, 0x524e_0003),
            (0x524e_0002, 0),
            (0x524e_0102, 0x1234_5678),
            (0x1234_5678, 0x524e_0102),
        ] {
            let identity = Identity::new(first, second);
            assert!(identity.is_classic());
            assert_eq!(identity.generator(), Generator::Unknown);
            assert!(!identity.has_bulk());
        }
    }

    #[test]
    fn finds_the_engine_in_its_bit_alone() {
        assert!(identity(0x524e_0101).has_bulk());
        assert!(identity(0x524e_ff04).has_bulk());
        assert!(!identity(0x524e_fe01).has_bulk());
        assert!(!identity(0x0000_0100).has_bulk());
    }

    #[test]
    fn suspects_what_an_empty_bus_gives() {
        assert!(is_suspicious(u32::MAX));
        assert!(is_suspicious(0));
        assert!(!is_suspicious(1));
        assert!(!is_suspicious(0x7fff_ffff));
    }

    #[test]
    fn looks_for_failures_where_there_can_be_some() {
        for info in [0x524e_0202, 0x524e_0302, 0x524e_02ff] {
            assert!(identity(info).can_fail());
        }
        for info in [
            0x524e_0102,
            0x524e_fd02,
            0x524e_0200,
            0x524e_0301,
            0x0000_0202,
        ] {
            assert!(!identity(info).can_fail());
        }
    }

    #[test]
    fn offers_only_what_is_honest() {
        assert_eq!(identity(0x524e_0302).quality(false), Some(1024));
        assert_eq!(identity(0x524e_0302).quality(true), Some(1024));
        for info in [0x524e_0301, 0x524e_0303] {
            assert_eq!(identity(info).quality(false), None);
            assert_eq!(identity(info).quality(true), Some(1));
        }
        // The third cannot report failures, the last is classic.
        for info in [
            0x524e_0300,
            0x524e_0304,
            0x524e_0102,
            0x524e_03ff,
            0x0000_0302,
        ] {
            assert_eq!(identity(info).quality(false), None);
            assert_eq!(identity(info).quality(true), None);
        }
    }
}
