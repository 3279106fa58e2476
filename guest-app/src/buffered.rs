// SPDX-License-Identifier: GPL-2.0-or-later

//! A buffer before a device.

use std::io::{self, Read};

use crate::abi::REG_SIZE;
use crate::{Device, DeviceRng, Error, ErrorKind};

/// A device with a buffer: a number costs a system call only when the buffer is empty.
///
/// It gives the same numbers as the device itself, but **it takes them ahead**: numbers in the buffer are gone for all
/// others who use the device, and are lost when this is dropped. After another program has seeded the device, the
/// numbers of before come first. Where this matters, use the [`Device`] without a buffer.
///
/// ```no_run
/// let mut numbers = my_rng::open()?.buffered();
/// numbers.seed(0x42)?;
/// let mut sum = 0_u64;
/// for _ in 0..1_000_000 {
///     sum += u64::from(numbers.next_u32()?);
/// }
/// # let _ = sum;
/// # Ok::<(), my_rng::Error>(())
/// ```
///
/// It needs a driver with `read()`, see [`Device::read_bytes`].
#[derive(Debug)]
pub struct BufferedDevice {
    device: Device,
    /// Whole numbers, of which those from `next` up to `end` were not returned yet.
    buffer: Box<[u8]>,
    next: usize,
    end: usize,
}

impl BufferedDevice {
    /// The size of the buffer, in bytes, unless another is asked for.
    pub const CAPACITY: usize = 4096;

    /// Puts a buffer of [`CAPACITY`](Self::CAPACITY) bytes before a device.
    pub fn new(device: Device) -> Self {
        Self::with_capacity(Self::CAPACITY, device)
    }

    /// Puts a buffer of so many bytes before a device; a part of a number is dropped. Without a capacity, nothing is
    /// taken ahead.
    pub fn with_capacity(capacity: usize, device: Device) -> Self {
        Self {
            device,
            buffer: vec![0; capacity / REG_SIZE * REG_SIZE].into(),
            next: 0,
            end: 0,
        }
    }

    /// Takes the next number.
    pub fn next_u32(&mut self) -> Result<u32, Error> {
        let mut word = [0; REG_SIZE];
        self.fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Fills `buffer` with the next bytes, like [`Device::fill_bytes`]. If its length is not a multiple of four, the
    /// rest of the last number is lost.
    pub fn fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut rest = buffer;
        while !rest.is_empty() {
            if self.next == self.end {
                if rest.len() >= self.buffer.len() {
                    return self.device.fill_bytes(rest);
                }
                self.refill()?;
            }
            let taken = self.take(rest);
            rest = rest.split_at_mut(taken).1;
        }
        Ok(())
    }

    /// Restarts the stream from `seed`, like [`Device::seed`], and drops what is in the buffer.
    pub fn seed(&mut self, seed: u32) -> Result<(), Error> {
        self.device.seed(seed)?;
        self.next = self.end;
        Ok(())
    }

    /// The device. What is read through this reference does not come from the buffer.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the device. What is in the buffer is lost.
    pub fn into_device(self) -> Device {
        self.device
    }

    /// Makes it a generator for `rand`, as [`DeviceRng::new`] does with a device.
    pub fn into_rng(self) -> Result<DeviceRng, Error> {
        DeviceRng::with_buffer(self)
    }

    /// Reads whole numbers into the empty buffer.
    fn refill(&mut self) -> Result<(), Error> {
        (self.next, self.end) = (0, 0);
        loop {
            match self.device.read_bytes(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    self.end = result?;
                    return Ok(());
                }
            }
        }
    }

    /// Moves bytes from the buffer to `to`, and returns how many.
    fn take(&mut self, to: &mut [u8]) -> usize {
        let from = self.buffer.get(self.next..self.end).unwrap_or_default();
        let taken = from.len().min(to.len());
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        self.next += taken.next_multiple_of(REG_SIZE);
        taken
    }
}

/// Reads through the buffer. A read that ends inside of a number loses the rest of it, as with a [`Device`].
impl Read for BufferedDevice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.next == self.end && !buffer.is_empty() {
            if buffer.len() >= self.buffer.len() {
                return Ok(self.device.read_bytes(buffer)?);
            }
            self.refill()?;
        }
        Ok(self.take(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::fake;

    /// A device of the numbers 0 to `count` - 1.
    fn counting(count: u32, capacity: usize) -> (BufferedDevice, tempfile::NamedTempFile) {
        let bytes: Vec<u8> = (0..count).flat_map(u32::to_le_bytes).collect();
        let (device, file) = fake(&bytes);
        (BufferedDevice::with_capacity(capacity, device), file)
    }

    /// The number that the device itself gives next.
    fn next_of_device(numbers: &BufferedDevice) -> u32 {
        let mut word = [0; 4];
        let device = numbers.device();
        device.fill_bytes(&mut word).expect("a number");
        u32::from_le_bytes(word)
    }

    #[test]
    fn numbers_are_those_of_the_device() {
        for capacity in [0, 3, 4, 11, 12, 100, 4096] {
            let (mut numbers, _file) = counting(100, capacity);
            for expected in 0..100 {
                assert_eq!(numbers.next_u32().expect("a number"), expected);
            }
            let error = numbers.next_u32().expect_err("the end");
            assert_eq!(error.kind(), ErrorKind::WrongDevice, "{capacity}");
        }
    }

    #[test]
    fn numbers_are_taken_ahead() {
        let (mut numbers, _file) = counting(100, 41);
        assert_eq!(numbers.next_u32().expect("a number"), 0);
        assert_eq!(next_of_device(&numbers), 10);
        let (mut numbers, _file) = counting(100, 0);
        assert_eq!(numbers.next_u32().expect("a number"), 0);
        assert_eq!(next_of_device(&numbers), 1);
    }

    #[test]
    fn rest_of_a_number_is_lost() {
        let (mut numbers, _file) = counting(100, 16);
        let mut bytes = [9; 5];
        numbers.fill_bytes(&mut bytes).expect("bytes");
        assert_eq!(bytes, [0, 0, 0, 0, 1]);
        assert_eq!(numbers.next_u32().expect("a number"), 2);
        // The buffer's last number, and 32 bytes that do not go through the buffer.
        let mut bytes = [9; 36];
        numbers.fill_bytes(&mut bytes).expect("bytes");
        assert!((3..12_u32).flat_map(u32::to_le_bytes).eq(bytes));
        assert_eq!(numbers.next_u32().expect("a number"), 12);
    }

    #[test]
    fn read_returns_what_is_there() {
        let (mut numbers, _file) = counting(6, 16);
        let mut bytes = [9; 8];
        assert_eq!(numbers.read(&mut bytes).expect("bytes"), 8);
        assert_eq!(numbers.read(&mut bytes[..5]).expect("bytes"), 5);
        assert_eq!(bytes, [2, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(numbers.read(&mut [0; 100]).expect("bytes"), 8);
        assert!(numbers.read(&mut bytes).is_err());
    }

    #[test]
    fn seed_that_fails_keeps_the_buffer() {
        let (mut numbers, _file) = counting(100, 16);
        assert_eq!(numbers.next_u32().expect("a number"), 0);
        let error = numbers.seed(1).expect_err("a file has no ioctl");
        assert_eq!(error.kind(), ErrorKind::WrongDevice);
        assert_eq!(numbers.next_u32().expect("a number"), 1);
    }
}
