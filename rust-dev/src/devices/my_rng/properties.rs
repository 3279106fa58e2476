// SPDX-License-Identifier: GPL-2.0-or-later

//! What the user sets with `-device my_rng,...`.

use core::fmt;

use crate::abi;
use crate::generator::{Kind, UnknownGenerator};
use crate::pci::PropertyVisitor;

/// What the user sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Where the stream starts, at power-on and after a reset.
    pub seed: u32,
    /// The name of the generator.
    pub generator: String,
    /// Whether there is a bulk engine.
    pub bulk: bool,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            seed: abi::DEFAULT_SEED,
            generator: Kind::Libc.name().to_owned(),
            bulk: true,
        }
    }
}

impl crate::pci::Properties for Properties {
    fn visit(&mut self, visitor: &mut impl PropertyVisitor) {
        visitor.u32(
            c"seed",
            c"Where the stream starts, at power-on and after a reset",
            &mut self.seed,
        );
        visitor.text(
            c"generator",
            c"libc (the C library's rand), chacha20, chacha8, xoshiro256pp or host (the host's entropy; \
              takes no seed)",
            &mut self.generator,
        );
        visitor.bool(
            c"bulk",
            c"Whether the guest can have many numbers at once, by DMA",
            &mut self.bulk,
        );
    }
}

/// A property that the device cannot be made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyError {
    /// `generator=` names none.
    Generator(UnknownGenerator),
    /// `seed=` goes with a generator that has none.
    Seed(Kind),
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator(unknown) => write!(f, "generator: {unknown}"),
            Self::Seed(kind) => write!(
                f,
                "seed: generator={kind} takes no seed; leave it out, or choose another generator"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Properties;
    use crate::pci::Properties as _;
    use crate::pci::listed::Listed;

    #[test]
    fn all_of_them_are_shown() {
        let (mut properties, mut listed) = (Properties::default(), Listed::default());
        properties.visit(&mut listed);
        assert_eq!(listed.0, ["seed=1", "generator=\"libc\"", "bulk=true"]);
        let changed = Properties {
            seed: 2,
            generator: "libc!".to_owned(),
            bulk: false,
        };
        assert_eq!(properties, changed);
    }
}
