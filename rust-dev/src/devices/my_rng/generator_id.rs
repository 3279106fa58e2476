// SPDX-License-Identifier: GPL-2.0-or-later

//! The ids of the generators, as `abi` has them. INFO shows them to the guest, and saved states contain them.

use crate::abi;
use crate::generator::Kind;

/// The id of a generator.
pub const fn of(kind: Kind) -> u8 {
    match kind {
        Kind::Libc => abi::GENERATOR_LIBC,
        Kind::ChaCha20 => abi::GENERATOR_CHACHA20,
        Kind::Host => abi::GENERATOR_HOST,
        Kind::ChaCha8 => abi::GENERATOR_CHACHA8,
        Kind::Xoshiro256PlusPlus => abi::GENERATOR_XOSHIRO256PP,
    }
}

/// The generator with this id.
pub fn find(id: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| of(*kind) == id)
}

#[cfg(test)]
mod tests {
    use super::{find, of};
    use crate::generator::Kind;

    /// Drivers and saved states know them: an id is never given to another generator.
    #[test]
    fn ids_are_the_published_ones() {
        assert_eq!(Kind::ALL.map(of), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_id_finds_its_generator() {
        for kind in Kind::ALL {
            assert_eq!(find(of(kind)), Some(kind));
        }
        assert_eq!(find(5), None);
        assert_eq!(find(255), None);
    }
}
