// SPDX-License-Identifier: GPL-2.0-or-later

//! What the user sets with `-device my_rng,...`.

use crate::abi;
use crate::generator::Kind;

qemu_pci::properties! {
    /// The properties of a `my_rng`.
    pub struct MyRngProperties {
        /// Where the stream starts, at power-on and after a reset
        pub seed: u32 = abi::DEFAULT_SEED,
        /// The generator (libc is the C library's rand; host is the host's entropy, which takes no seed)
        pub generator: Kind = Kind::Libc,
        /// Whether the guest can have many numbers at once, by DMA
        pub bulk: bool = true,
    }
}

qemu_pci::property_enum! {
    Kind:
    "libc" = Libc,
    "chacha20" = ChaCha20,
    "host" = Host,
    "chacha8" = ChaCha8,
    "xoshiro256pp" = Xoshiro256PlusPlus,
}
