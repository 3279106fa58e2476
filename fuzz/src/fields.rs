// SPDX-License-Identifier: GPL-2.0-or-later

//! The state of a `my_rng` as `docs/my-rng.rst` specifies it, and its bytes.

/// The length of the default generator's table.
pub const TABLE: usize = 31;

/// The fields of a state, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Which generator.
    pub generator: u8,
    /// The property `bulk`.
    pub bulk: bool,
    /// The property `seed`.
    pub initial_seed: u32,
    /// The seed of ChaCha or xoshiro256++.
    pub seed: u32,
    /// The same: the words taken. The default generator: the oldest sum's place in the table.
    pub position: u64,
    /// The last sums of the default generator.
    pub table: [u32; TABLE],
    /// The register FAILURES.
    pub failures: u32,
}

/// Returns the bytes in order, then zeros.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        for byte in &mut taken {
            if let Some((first, rest)) = self.0.split_first() {
                *byte = *first;
                self.0 = rest;
            }
        }
        taken
    }
}

impl Fields {
    /// Parses the fields: in order, big-endian.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        Self {
            generator: u8::from_be_bytes(reader.take()),
            bulk: reader.take() != [0],
            initial_seed: u32::from_be_bytes(reader.take()),
            seed: u32::from_be_bytes(reader.take()),
            position: u64::from_be_bytes(reader.take()),
            table: [(); TABLE].map(|()| u32::from_be_bytes(reader.take())),
            failures: u32::from_be_bytes(reader.take()),
        }
    }

    /// The bytes of the fields.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.generator, self.bulk.into()];
        bytes.extend(self.initial_seed.to_be_bytes());
        bytes.extend(self.seed.to_be_bytes());
        bytes.extend(self.position.to_be_bytes());
        for word in self.table {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(self.failures.to_be_bytes());
        bytes
    }
}
