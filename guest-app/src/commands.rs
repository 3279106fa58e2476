// SPDX-License-Identifier: GPL-2.0-or-later

//! What the commands do, on anything that behaves like the device.

use std::fmt;
use std::io::{self, Write};

use crate::cli::Format;

/// How the classic check runs: so many rounds, of so many numbers, each after this seed.
const ROUNDS: u32 = 2;
const NUMBERS: u32 = 5;
const SEED: u32 = 0;

/// A stream of numbers that can be restarted; the device, or a stand-in for it in tests.
pub trait Source {
    /// Restarts the stream from `seed`.
    fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error>;
    /// Takes the next number.
    fn next_u32(&mut self) -> Result<u32, my_rng::Error>;
}

impl Source for my_rng::Device {
    fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error> {
        my_rng::Device::seed(self, seed)
    }

    fn next_u32(&mut self) -> Result<u32, my_rng::Error> {
        my_rng::Device::next_u32(self)
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// The device failed.
    Device(my_rng::Error),
    /// The output could not be written.
    Output(io::Error),
}

impl From<my_rng::Error> for Failure {
    fn from(error: my_rng::Error) -> Self {
        Self::Device(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Output(error) => write!(
                f,
                "cannot write the output: {error}; make room or send it elsewhere"
            ),
        }
    }
}

/// The classic check: seeds and reads five numbers, twice.
pub fn classic(source: &mut impl Source, output: &mut impl Write) -> Result<(), Failure> {
    for round in 0..ROUNDS {
        source.seed(SEED)?;
        for number in 0..NUMBERS {
            let word = source.next_u32()?;
            writeln!(output, "Round {round} number {number}: {word}")?;
        }
    }
    Ok(())
}

/// Takes `count` numbers and prints them.
pub fn read(
    source: &mut impl Source,
    output: &mut impl Write,
    count: u64,
    format: Format,
) -> Result<(), Failure> {
    for _ in 0..count {
        write_word(output, source.next_u32()?, format)?;
    }
    Ok(())
}

fn write_word(output: &mut impl Write, word: u32, format: Format) -> io::Result<()> {
    match format {
        Format::Dec => writeln!(output, "{word}"),
        Format::Hex => writeln!(output, "0x{word:08x}"),
        Format::Raw => output.write_all(&word.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up from the seed, and fails to open after so many numbers.
    struct Counter {
        next: u32,
        left: u32,
    }

    impl Counter {
        fn new(next: u32) -> Self {
            Self { next, left: 1000 }
        }
    }

    impl Source for Counter {
        fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error> {
            self.next = seed;
            Ok(())
        }

        fn next_u32(&mut self) -> Result<u32, my_rng::Error> {
            self.left = match self.left.checked_sub(1) {
                Some(left) => left,
                // Any error of the library will do.
                None => {
                    return Err(my_rng::Device::open("/nonexistent".as_ref())
                        .expect_err("a node that is not there"));
                }
            };
            let word = self.next;
            self.next = word.wrapping_add(1);
            Ok(word)
        }
    }

    /// An output on a disk with so much room.
    struct Disk {
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = bytes.len().min(self.room);
            if written == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(count: u64, format: Format) -> Vec<u8> {
        let mut output = Vec::new();
        read(&mut Counter::new(0xfffe), &mut output, count, format).expect("read");
        output
    }

    #[test]
    fn the_classic_check() {
        let mut output = Vec::new();
        classic(&mut Counter::new(77), &mut output).expect("classic");
        assert_eq!(
            String::from_utf8(output).expect("text"),
            "Round 0 number 0: 0\n\
             Round 0 number 1: 1\n\
             Round 0 number 2: 2\n\
             Round 0 number 3: 3\n\
             Round 0 number 4: 4\n\
             Round 1 number 0: 0\n\
             Round 1 number 1: 1\n\
             Round 1 number 2: 2\n\
             Round 1 number 3: 3\n\
             Round 1 number 4: 4\n"
        );
    }

    #[test]
    fn formats() {
        assert_eq!(printed(3, Format::Dec), b"65534\n65535\n65536\n");
        assert_eq!(
            printed(3, Format::Hex),
            b"0x0000fffe\n0x0000ffff\n0x00010000\n"
        );
        assert_eq!(
            printed(3, Format::Raw),
            [0xfe, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 1, 0]
        );
        assert!(printed(0, Format::Dec).is_empty());
    }

    #[test]
    fn numbers_taken_before_the_device_fails_are_printed() {
        let mut output = Vec::new();
        let mut source = Counter { next: 7, left: 2 };
        let failure = read(&mut source, &mut output, 5, Format::Dec).expect_err("a failure");
        assert!(matches!(failure, Failure::Device(_)), "{failure}");
        assert_eq!(output, b"7\n8\n");
    }

    #[test]
    fn a_full_disk_stops_the_reading() {
        let mut source = Counter::new(0);
        let failure =
            read(&mut source, &mut Disk { room: 10 }, 100, Format::Raw).expect_err("a failure");
        assert!(failure.to_string().contains("make room"), "{failure}");
        assert_eq!(source.next, 3, "no number is taken once one is lost");
    }
}
