// SPDX-License-Identifier: GPL-2.0-or-later

//! The device as a generator for `rand` and its kin.

use std::io;

use rand_core::TryRng;

use crate::{Device, Error, Generator, Operation};

/// A device as a random number generator in the sense of `rand_core`.
///
/// Any call can fail, for a device can be unplugged; so it is a [`TryRng`]. Where a panic is good enough
/// an answer to that, [`rand_core::UnwrapErr`] makes a [`Rng`](rand_core::Rng) of it, which `rand` takes:
///
/// ```no_run
/// use rand::RngExt;
/// use my_rng::rand_core::UnwrapErr;
///
/// let device = my_rng::Device::open(&my_rng::default_path())?;
/// device.seed(0x42)?;
/// let mut rng = UnwrapErr(device.into_rng()?);
/// let die = rng.random_range(1..=6);
/// let half: bool = rng.random();
/// # let _: (u32, bool) = (die, half);
/// # Ok::<(), my_rng::Error>(())
/// ```
///
/// It is the device's one stream, word for word: `try_next_u32` takes one word, `try_next_u64` two, the
/// low one first, and `try_fill_bytes` as many as it needs, little-endian, where the rest of the last one
/// is dropped. After [`Device::seed`] the same calls give the same numbers on every machine, as long as
/// nobody else has the device open.
///
/// It is no `CryptoRng`, and never make keys or passwords of it: whoever knows the seed, which has 32 bits,
/// knows all that follows. Not even the generator `host` is meant for that: it gives 0 where the host has
/// nothing to give, and numbers that repeat where QEMU was started so that they do (`-seed`). Keys are what the
/// kernel's own generator is for, which mixes it with other sources.
#[derive(Debug)]
pub struct DeviceRng {
    device: Device,
}

impl DeviceRng {
    /// Takes over a device whose numbers are known to have all 32 bits.
    ///
    /// One with the generator `libc` is refused: bit 31 of its numbers is always 0, so whatever is drawn
    /// from them would be wrong (of `random::<bool>()` always the same), and no call would ever fail.
    pub fn new(device: Device) -> Result<Self, Error> {
        let info = device.info()?;
        if let Some(advice) = refusal(info.generator) {
            return Err(Error::with_advice(
                Operation::Rng,
                device.path(),
                advice.to_owned(),
                io::ErrorKind::Unsupported.into(),
            ));
        }
        Ok(Self::assume_uniform(device))
    }

    /// Takes over a device without asking, for one that is known by other means to give all 32 bits, such
    /// as a classic device of two registers.
    pub fn assume_uniform(device: Device) -> Self {
        Self { device }
    }

    /// The device, to seed it again or to ask it something.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The device itself.
    pub fn into_device(self) -> Device {
        self.device
    }
}

/// Why a device with this generator is none for `rand`.
fn refusal(generator: Generator) -> Option<&'static str> {
    match generator {
        Generator::ChaCha20
        | Generator::Host
        | Generator::ChaCha8
        | Generator::Xoshiro256PlusPlus => None,
        Generator::Libc => Some(
            "bit 31 of what its generator `libc` gives is always 0; start QEMU with \
             `-device my_rng,generator=chacha20`",
        ),
        Generator::Unknown => Some(
            "it does not say which generator it has, for it is a classic device of two registers, or newer than its driver; start \
             a QEMU of the same release, or say DeviceRng::assume_uniform if you know that it gives all 32 \
             bits",
        ),
    }
}

impl TryRng for DeviceRng {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        let mut word = [0; 4];
        self.device.fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        let mut words = [0; 8];
        self.device.fill_bytes(&mut words)?;
        Ok(u64::from_le_bytes(words))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.device.fill_bytes(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_answers;
    use crate::tests::fake;
    use rand::RngExt;
    use rand_core::{Rng, UnwrapErr};

    /// The words of ChaCha20 for the seed 0x42.
    const WORDS: [u32; 5] = known_answers::CHACHA20[2].first;

    fn rng() -> (UnwrapErr<DeviceRng>, tempfile::NamedTempFile) {
        let (device, file) = fake(&WORDS.map(u32::to_le_bytes).concat());
        (UnwrapErr(DeviceRng::assume_uniform(device)), file)
    }

    #[test]
    fn words_are_those_of_the_stream() {
        let (mut rng, _file) = rng();
        assert_eq!(WORDS.map(|_| rng.next_u32()), WORDS);
    }

    #[test]
    fn two_words_make_a_long_one_the_low_one_first() {
        let (mut rng, _file) = rng();
        assert_eq!(rng.next_u64(), 0x0f7e_17d0_fa1f_b902);
        assert_eq!(rng.next_u32(), WORDS[2]);
    }

    #[test]
    fn bytes_are_those_of_the_words_and_the_last_one_s_rest_is_dropped() {
        let (mut rng, _file) = rng();
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        assert_eq!(bytes, [0x02, 0xb9, 0x1f, 0xfa, 0xd0, 0x17, 0x7e, 0x0f]);
        rng.fill_bytes(&mut []);
        assert_eq!(rng.next_u32(), WORDS[2]);
    }

    #[test]
    fn rand_draws_from_it() {
        let (mut rng, _file) = rng();
        let dice: Vec<u32> = (0..5).map(|_| rng.random_range(1..=6)).collect();
        // Of each word the high bits: word * 6 / 2^32 + 1.
        let expected = WORDS.map(|word| ((u64::from(word) * 6) >> 32) as u32 + 1);
        assert_eq!(dice, expected);
    }

    #[test]
    fn the_end_of_the_device_is_an_error() {
        let (mut rng, _file) = rng();
        rng.fill_bytes(&mut [0; 20]);
        assert_eq!(
            rng.0.try_next_u32().expect_err("the end").operation(),
            Operation::Read
        );
        assert!(rng.0.try_next_u64().is_err());
        assert!(rng.0.try_fill_bytes(&mut [0; 1]).is_err());
    }

    #[test]
    fn only_full_words_are_uniform() {
        assert_eq!(refusal(Generator::ChaCha20), None);
        assert_eq!(refusal(Generator::ChaCha8), None);
        assert_eq!(refusal(Generator::Xoshiro256PlusPlus), None);
        assert_eq!(refusal(Generator::Host), None);
        for (generator, reason) in [
            (Generator::Libc, "bit 31"),
            (Generator::Unknown, "does not say"),
        ] {
            let refusal = refusal(generator).expect("a refusal");
            assert!(refusal.contains(reason), "{refusal}");
            assert!(refusal.contains("; "), "no advice: {refusal}");
        }
    }

    #[test]
    fn a_device_that_tells_nothing_is_refused() {
        let (device, _file) = fake(&[]);
        let error = device.into_rng().expect_err("no telling");
        assert_eq!(error.operation(), Operation::Info);
        assert!(error.is_unsupported());
    }
}
