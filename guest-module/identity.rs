// SPDX-License-Identifier: GPL-2.0-or-later

//! What a device reports in the register `INFO`.

use crate::abi;
use kernel::prelude::*;

/// The value of `INFO` at probe, or `None` for a classic device, which has no such register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Identity(Option<u32>);

/// A device's generator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Generator {
    /// 31-bit numbers from a seed.
    Libc,
    /// 32-bit words from a seed.
    ChaCha20,
    /// Unpredictable 32-bit words.
    Host,
    /// 32-bit words from a seed.
    ChaCha8,
    /// 32-bit words from a seed; the rest of the stream can be computed from a few of them.
    Xoshiro256PlusPlus,
    /// Newer than this driver, or the generator of a classic device.
    Unknown,
}

impl Identity {
    /// Takes two reads of `INFO`. The device has the register only if both returned the same value with the
    /// signature: a classic device may return anything there, even the next number of its stream.
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

    pub(crate) fn has_bulk(self) -> bool {
        self.0.is_some_and(|info| info & abi::INFO_BULK != 0)
    }

    /// Whether a read of RNG can fail because the host has no entropy, and the device counts such failures.
    pub(crate) fn can_fail(self) -> bool {
        let may_draw_on_host = matches!(self.generator(), Generator::Host | Generator::Unknown);
        may_draw_on_host && self.0.is_some_and(|info| info & abi::INFO_FAILURES != 0)
    }

    /// Returns the quality for hw_random, in bits of entropy per 1024 bits; `None` if the device must not
    /// be registered.
    ///
    /// hw_random reads from its best generator on its own and credits the kernel's entropy pool by its
    /// quality. So a seeded stream is registered only if the administrator set `seeded`. Never registered
    /// are `libc` (bit 31 is always 0), `xoshiro256pp` (its numbers reveal the rest of the stream), unknown
    /// generators, and `host` if the device cannot report failures.
    pub(crate) fn quality(self, seeded: bool) -> Option<u16> {
        match self.generator() {
            // The maximum: the host's generator is suitable for keys. virtio-rng, with the same source,
            // uses it too.
            Generator::Host if self.can_fail() => Some(1024),
            Generator::ChaCha20 | Generator::ChaCha8 if seeded => Some(SEEDED_QUALITY),
            _ => None,
        }
    }
}

/// Whether a number may come from an empty bus instead of the device: such a read returns all ones on a PC,
/// and zero in QEMU. A generator can return both values too.
pub(crate) fn is_suspicious(number: u32) -> bool {
    number == u32::MAX || number == 0
}

/// The quality of a seeded generator: the minimum. (0 would mean the maximum to hw_random.)
pub(crate) const SEEDED_QUALITY: u16 = 1;

impl Generator {
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Libc => c"libc",
            Self::ChaCha20 => c"chacha20",
            Self::Host => c"host",
            Self::ChaCha8 => c"chacha8",
            Self::Xoshiro256PlusPlus => c"xoshiro256pp",
            Self::Unknown => c"unknown",
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
    fn generator_is_read_from_info() {
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
    fn reserved_bits_are_ignored() {
        assert_eq!(generator(0x524e_ff01), Generator::ChaCha20);
        assert_eq!(identity(0x524e_ff01).info(), Some(0x524e_ff01));
        assert_eq!(generator(0x524e_fe01), Generator::ChaCha20);
    }

    #[test]
    fn device_without_the_signature_is_classic() {
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
    fn device_whose_info_changes_is_classic() {
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
    fn bulk_engine_has_its_own_bit() {
        assert!(identity(0x524e_0101).has_bulk());
        assert!(identity(0x524e_ff04).has_bulk());
        assert!(!identity(0x524e_fe01).has_bulk());
        assert!(!identity(0x0000_0100).has_bulk());
    }

    #[test]
    fn values_of_an_empty_bus_are_suspicious() {
        assert!(is_suspicious(u32::MAX));
        assert!(is_suspicious(0));
        assert!(!is_suspicious(1));
        assert!(!is_suspicious(0x7fff_ffff));
    }

    #[test]
    fn only_host_and_unknown_generators_can_fail() {
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
    fn predictable_generators_get_no_quality_by_default() {
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
