// SPDX-License-Identifier: GPL-2.0-or-later

//! The device as a generator for `rand_core`.

use std::io;

use rand_core::TryRng;

use crate::{BufferedDevice, Device, Error, ErrorKind, Generator, Operation};

/// A device as a random number generator for `rand_core`.
///
/// Any call can fail because the device can be unplugged, so it implements [`TryRng`]. If a panic is acceptable,
/// [`rand_core::UnwrapErr`] turns it into an [`Rng`](rand_core::Rng), which `rand` needs:
///
/// ```no_run
/// use rand::RngExt;
/// use my_rng::rand_core::UnwrapErr;
///
/// let device = my_rng::open()?;
/// device.seed(0x42)?;
/// let mut rng = UnwrapErr(device.into_rng()?);
/// let die = rng.random_range(1..=6);
/// let half: bool = rng.random();
/// # let _: (u32, bool) = (die, half);
/// # Ok::<(), my_rng::Error>(())
/// ```
///
/// The words are those of the device's stream: `try_next_u32` takes one, `try_next_u64` two (the low one first), and
/// `try_fill_bytes` as many as it needs, little-endian; the rest of the last word is dropped. After [`Device::seed`]
/// the same calls return the same numbers on every machine, unless another program also uses the device.
///
/// Each call is a system call, so that no number is taken before it is needed. [`BufferedDevice::into_rng`] makes one
/// with a buffer, which is faster but takes numbers ahead.
///
/// It is not a `CryptoRng`: never use it for keys or passwords. The seed has 32 bits, and all numbers follow from it.
/// The generator `host` is not meant for keys either: its numbers repeat if QEMU was started with `-seed`, which a guest
/// cannot detect. Use the kernel's generator for keys; it mixes many sources.
#[derive(Debug)]
pub struct DeviceRng {
    source: BufferedDevice,
}

impl DeviceRng {
    /// Uses a device that reports a generator with 32-bit numbers.
    ///
    /// The generator `libc` is refused: bit 31 of its numbers is always 0, so results would be silently wrong
    /// (`random::<bool>()` would always return the same value).
    pub fn new(device: Device) -> Result<Self, Error> {
        Self::with_buffer(BufferedDevice::with_capacity(0, device))
    }

    pub(crate) fn with_buffer(source: BufferedDevice) -> Result<Self, Error> {
        let device = source.device();
        let info = device.info()?;
        if let Some(advice) = refusal(info.generator) {
            return Err(Error::with_advice(
                Operation::Rng,
                device.path(),
                ErrorKind::Unsupported,
                advice,
                io::ErrorKind::Unsupported,
            ));
        }
        Ok(Self { source })
    }

    /// Uses a device without checking its generator. For a device that does not report it, such as the classic one
    /// with two registers, but is known to give all 32 bits.
    pub fn assume_uniform(device: Device) -> Self {
        Self {
            source: BufferedDevice::with_capacity(0, device),
        }
    }

    /// Restarts the stream from `seed`, like [`Device::seed`], and drops numbers that were taken ahead.
    pub fn seed(&mut self, seed: u32) -> Result<(), Error> {
        self.source.seed(seed)
    }

    /// The device.
    pub fn device(&self) -> &Device {
        self.source.device()
    }

    /// Returns the device.
    pub fn into_device(self) -> Device {
        self.source.into_device()
    }
}

/// Returns why a device with this generator cannot be used with `rand`, or `None` if it can.
fn refusal(generator: Generator) -> Option<&'static str> {
    match generator {
        Generator::ChaCha20
        | Generator::Host
        | Generator::ChaCha8
        | Generator::Xoshiro256PlusPlus => None,
        Generator::Libc => Some(
            "bit 31 of every number of its generator `libc` is 0; start QEMU with \
             `-device my_rng,generator=chacha20`",
        ),
        Generator::Unknown => Some(
            "it does not report its generator; use DeviceRng::assume_uniform if you know that all 32 bits are \
             random",
        ),
    }
}

impl TryRng for DeviceRng {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        let mut word = [0; 4];
        self.source.fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        let mut words = [0; 8];
        self.source.fill_bytes(&mut words)?;
        Ok(u64::from_le_bytes(words))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.source.fill_bytes(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::fake;
    use crate::known_answers;
    use rand::RngExt;
    use rand_core::{Rng, UnwrapErr};

    /// The words of ChaCha20 for the seed 0x42.
    const WORDS: [u32; 5] = known_answers::CHACHA20[2].first;

    fn rng() -> (UnwrapErr<DeviceRng>, tempfile::NamedTempFile) {
        let (device, file) = fake(&WORDS.map(u32::to_le_bytes).concat());
        (UnwrapErr(DeviceRng::assume_uniform(device)), file)
    }

    #[test]
    fn next_u32_returns_the_words_of_the_stream() {
        let (mut rng, _file) = rng();
        assert_eq!(WORDS.map(|_| rng.next_u32()), WORDS);
    }

    #[test]
    fn next_u64_takes_two_words_the_low_one_first() {
        let (mut rng, _file) = rng();
        assert_eq!(rng.next_u64(), 0x0f7e_17d0_fa1f_b902);
        assert_eq!(rng.next_u32(), WORDS[2]);
    }

    #[test]
    fn fill_bytes_takes_whole_words() {
        let (mut rng, _file) = rng();
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        assert_eq!(bytes, [0x02, 0xb9, 0x1f, 0xfa, 0xd0, 0x17, 0x7e, 0x0f]);
        rng.fill_bytes(&mut []);
        assert_eq!(rng.next_u32(), WORDS[2]);
    }

    #[test]
    fn works_with_rand() {
        let (mut rng, _file) = rng();
        let dice: Vec<u32> = (0..5).map(|_| rng.random_range(1..=6)).collect();
        // rand uses the high bits of each word: word * 6 / 2^32 + 1.
        let expected = WORDS.map(|word| ((u64::from(word) * 6) >> 32) as u32 + 1);
        assert_eq!(dice, expected);
    }

    #[test]
    fn device_that_is_gone_is_an_error() {
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
    fn only_32_bit_generators_are_accepted() {
        assert_eq!(refusal(Generator::ChaCha20), None);
        assert_eq!(refusal(Generator::ChaCha8), None);
        assert_eq!(refusal(Generator::Xoshiro256PlusPlus), None);
        assert_eq!(refusal(Generator::Host), None);
        for (generator, reason) in [
            (Generator::Libc, "bit 31"),
            (Generator::Unknown, "does not report"),
        ] {
            let refusal = refusal(generator).expect("a refusal");
            assert!(refusal.contains(reason), "{refusal}");
            assert!(refusal.contains("; "), "no advice: {refusal}");
        }
    }

    #[test]
    fn device_without_info_is_refused() {
        let (device, _file) = fake(&[]);
        let error = device.into_rng().expect_err("no info");
        assert_eq!(error.operation(), Operation::Info);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
