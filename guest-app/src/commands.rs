// SPDX-License-Identifier: GPL-2.0-or-later

//! What the commands do, on anything that behaves like the device.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use my_rng::abi::REG_SIZE;

use crate::cli::{Amount, Format};
use crate::progress::Progress;

/// How the classic check runs: so many rounds, of so many numbers, each after this seed.
const ROUNDS: u32 = 2;
const NUMBERS: u32 = 5;
const SEED: u32 = 0;

/// How many bytes are taken from the device at a time. More of them are not faster, and may be more than
/// what a full disk loses.
pub const PIECE: usize = 1 << 16;

/// From how many bytes on they are taken where the device has written them. To have memory mapped takes as
/// long as to read half of this.
const FILL_FROM: u128 = 1 << 20;

// So that no piece but the last ends inside of a number.
const _: () = assert!(PIECE % REG_SIZE == 0 && PIECE <= my_rng::Device::FILL_MAX);

/// A stream of numbers that can be restarted; the device, or a stand-in for it in tests.
pub trait Source {
    /// Restarts the stream from `seed`.
    fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error>;
    /// Takes the next number.
    fn next_u32(&mut self) -> Result<u32, my_rng::Error>;
    /// Takes numbers as little-endian bytes, as many as it likes, up to the length of `buffer`; none if
    /// its driver can only give one number at a time.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, my_rng::Error>;
    /// Takes numbers as so many little-endian bytes to where [`Self::filled`] has them; whether it could. If
    /// not, none of what it may have taken can be had.
    fn fill(&mut self, length: usize) -> bool;
    /// What was filled last.
    fn filled(&self) -> &[u8];
}

impl Source for my_rng::Device {
    fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error> {
        my_rng::Device::seed(self, seed)
    }

    fn next_u32(&mut self) -> Result<u32, my_rng::Error> {
        my_rng::Device::next_u32(self)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, my_rng::Error> {
        match self.read_bytes(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.is_unsupported() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fill(&mut self, length: usize) -> bool {
        // Whatever the reason why not, a read does without, or tells it.
        my_rng::Device::fill(self, length).is_ok()
    }

    fn filled(&self) -> &[u8] {
        my_rng::Device::filled(self)
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// The device failed.
    Device(my_rng::Error),
    /// The device takes no seed: what its node is.
    Seedless(PathBuf),
    /// The output could not be written.
    Output(io::Error),
    /// The user wanted it to stop.
    Interrupted,
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
            Self::Seedless(node) => write!(
                f,
                "cannot seed {}: its generator `host` has no seed, and its numbers never repeat; leave \
                 the seed out",
                node.display()
            ),
            Self::Output(error) => write!(
                f,
                "cannot write the output: {error}; make room or send it elsewhere"
            ),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The classic check: seeds and reads five numbers, twice.
pub fn classic(
    source: &mut impl Source,
    output: &mut impl Write,
    seed: Option<u32>,
) -> Result<(), Failure> {
    for round in 0..ROUNDS {
        source.seed(seed.unwrap_or(SEED))?;
        for number in 0..NUMBERS {
            let word = source.next_u32()?;
            writeln!(output, "Round {round} number {number}: {word}")?;
        }
    }
    Ok(())
}

/// How the next numbers are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The first by itself, in the way that only the device's driver knows: other files can be read, too.
    First,
    /// Many at a time, without a copy.
    Filled,
    /// Many at a time.
    Many,
    /// By themselves, for the driver can do no better.
    Single,
}

/// A source as a stream of bytes, which counts.
#[derive(Debug)]
pub struct Stream<S> {
    source: S,
    way: Way,
    /// For what has to be copied.
    buffer: Vec<u8>,
    /// How many numbers were taken.
    pub numbers: u64,
}

impl<S: Source> Stream<S> {
    /// The stream of this source, from where it stands.
    pub fn new(source: S) -> Self {
        Self {
            source,
            way: Way::First,
            buffer: vec![0; PIECE],
            numbers: 0,
        }
    }

    /// Takes what comes next: at least something, and at most `left` bytes, if those are not 0.
    fn take(&mut self, left: u128) -> Result<&[u8], my_rng::Error> {
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if self.way == Way::Filled {
            if self.source.fill(length) {
                self.numbers += length.div_ceil(REG_SIZE) as u64;
                return Ok(self.source.filled());
            }
            self.way = Way::Many;
        }
        let (buffer, _) = self.buffer.split_at_mut(length);
        if self.way == Way::Many {
            match self.source.read(buffer)? {
                Some(length) => {
                    self.numbers += length.div_ceil(REG_SIZE) as u64;
                    return Ok(buffer.get(..length).unwrap_or_default());
                }
                None => self.way = Way::Single,
            }
        }
        let word = self.source.next_u32()?.to_le_bytes();
        if self.way == Way::First {
            self.way = if left < FILL_FROM {
                Way::Many
            } else {
                Way::Filled
            };
        }
        self.numbers += 1;
        for (byte, of_word) in buffer.iter_mut().zip(word) {
            *byte = of_word;
        }
        let length = buffer.len().min(word.len());
        Ok(buffer.get(..length).unwrap_or_default())
    }
}

/// Takes as much as was asked for and prints it, unless `stop` says that it is enough.
pub fn read<S: Source>(
    stream: &mut Stream<S>,
    output: &mut impl Write,
    amount: Amount,
    progress: &Progress,
    stop: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut printer = Printer::new(amount.format);
    let mut left = amount.bytes;
    while left > 0 {
        if stop() {
            return Err(Failure::Interrupted);
        }
        let bytes = stream.take(left)?;
        printer.print(output, bytes)?;
        progress.advance(bytes.len());
        left -= bytes.len() as u128;
    }
    printer.finish(output)?;
    Ok(())
}

/// Prints numbers, which come as little-endian bytes.
struct Printer {
    format: Format,
    /// Whether there was one already.
    started: bool,
}

impl Printer {
    fn new(format: Format) -> Self {
        Self {
            format,
            started: false,
        }
    }

    fn print(&mut self, output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        if self.format == Format::Raw {
            return output.write_all(bytes);
        }
        let words = bytes.chunks_exact(REG_SIZE);
        for word in words.filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?))) {
            match self.format {
                Format::Dec => writeln!(output, "{word}")?,
                Format::Hex => writeln!(output, "0x{word:08x}")?,
                Format::Json => {
                    let before = if self.started { ',' } else { '[' };
                    write!(output, "{before}{word}")?;
                }
                Format::Raw => {}
            }
            self.started = true;
        }
        Ok(())
    }

    /// Only when all has come: what was cut off must not pass for the whole.
    fn finish(self, output: &mut impl Write) -> io::Result<()> {
        match (self.format, self.started) {
            (Format::Json, true) => output.write_all(b"]\n"),
            (Format::Json, false) => output.write_all(b"[]\n"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Counts up from the seed, and fails to open after so many numbers.
    struct Counter {
        next: u32,
        left: u32,
        /// How many bytes one read gives, if it can be read.
        piece: Option<usize>,
        reads: usize,
        /// How many more times it can fill memory.
        can_fill: usize,
        fills: usize,
        memory: Vec<u8>,
    }

    impl Counter {
        fn new(next: u32) -> Self {
            Self {
                next,
                left: 1_000_000,
                piece: Some(PIECE),
                reads: 0,
                can_fill: 0,
                fills: 0,
                memory: Vec::new(),
            }
        }

        /// One with an engine, which works so many times.
        fn with_engine(next: u32, can_fill: usize) -> Self {
            Self {
                can_fill,
                ..Self::new(next)
            }
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

        fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, my_rng::Error> {
            self.reads += 1;
            let Some(piece) = self.piece else {
                return Ok(None);
            };
            let length = buffer.len().min(piece);
            for (index, bytes) in buffer[..length].chunks_mut(REG_SIZE).enumerate() {
                match self.next_u32() {
                    Ok(word) => bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]),
                    // As the driver does: what came before is handed over first.
                    Err(_) if index > 0 => return Ok(Some(index * REG_SIZE)),
                    Err(error) => return Err(error),
                }
            }
            Ok(Some(length))
        }

        fn fill(&mut self, length: usize) -> bool {
            self.fills += 1;
            self.memory.clear();
            // As the driver does: all or nothing.
            let numbers = length.div_ceil(REG_SIZE) as u32;
            if self.can_fill == 0 || self.left < numbers {
                return false;
            }
            self.can_fill -= 1;
            self.left -= numbers;
            let words = (self.next..).take(numbers as usize);
            self.memory.extend(words.flat_map(u32::to_le_bytes));
            self.memory.truncate(length);
            self.next += numbers;
            true
        }

        fn filled(&self) -> &[u8] {
            &self.memory
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

    /// Reads from `source` until that many bytes came; what was printed, and what was taken.
    fn read_from(
        source: Counter,
        bytes: u128,
        format: Format,
        stop: impl Fn() -> bool,
    ) -> (Vec<u8>, Stream<Counter>, Result<(), Failure>) {
        let mut stream = Stream::new(source);
        let mut output = Vec::new();
        let amount = Amount { bytes, format };
        let result = read(&mut stream, &mut output, amount, &Progress::none(), stop);
        (output, stream, result)
    }

    fn printed(bytes: u128, format: Format) -> Vec<u8> {
        let (output, stream, result) = read_from(Counter::new(0xfffe), bytes, format, || false);
        result.expect("read");
        assert_eq!(u128::from(stream.numbers), bytes.div_ceil(4));
        assert_eq!(stream.source.next, 0xfffe + stream.numbers as u32);
        output
    }

    #[test]
    fn the_classic_check() {
        for (seed, first) in [(None, 0), (Some(7), 7), (Some(u32::MAX), u32::MAX)] {
            let mut output = Vec::new();
            classic(&mut Counter::new(77), &mut output, seed).expect("classic");
            let expected: String = (0..2)
                .flat_map(|round| (0..5).map(move |number| (round, number)))
                .map(|(round, number)| {
                    let word = first.wrapping_add(number);
                    format!("Round {round} number {number}: {word}\n")
                })
                .collect();
            assert_eq!(String::from_utf8(output).expect("text"), expected);
        }
    }

    #[test]
    fn formats() {
        assert_eq!(printed(12, Format::Dec), b"65534\n65535\n65536\n");
        assert_eq!(
            printed(12, Format::Hex),
            b"0x0000fffe\n0x0000ffff\n0x00010000\n"
        );
        assert_eq!(printed(12, Format::Json), b"[65534,65535,65536]\n");
        assert_eq!(printed(4, Format::Json), b"[65534]\n");
        assert_eq!(
            printed(12, Format::Raw),
            [0xfe, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 1, 0]
        );
        for (format, nothing) in [
            (Format::Dec, &b""[..]),
            (Format::Hex, b""),
            (Format::Json, b"[]\n"),
            (Format::Raw, b""),
        ] {
            assert_eq!(printed(0, format), nothing, "{format:?}");
        }
    }

    #[test]
    fn json_is_what_a_parser_reads() {
        let text = printed(4 * 1000, Format::Json);
        let numbers: Vec<u32> = serde_json::from_slice(&text).expect("JSON");
        assert!(numbers.into_iter().eq(0xfffe..0xfffe + 1000));
    }

    #[test]
    fn bytes_that_are_no_whole_numbers_are_cut() {
        for bytes in 0..20_u8 {
            let whole = printed(20, Format::Raw);
            assert_eq!(printed(bytes.into(), Format::Raw), whole[..bytes.into()]);
        }
    }

    /// More than one piece, ending in a piece, at its end, and inside of a number.
    #[test]
    fn pieces_make_one_stream() {
        let expected: Vec<u8> = (0xfffe_u32..0xfffe + 40_000)
            .flat_map(u32::to_le_bytes)
            .collect();
        for bytes in [
            PIECE - 1,
            PIECE,
            PIECE + 1,
            PIECE + 4,
            2 * PIECE + 2,
            160_000,
        ] {
            let output = printed(bytes as u128, Format::Raw);
            assert_eq!(output.len(), bytes);
            assert!(output == expected[..bytes], "{bytes} bytes");
        }
    }

    /// Around where it begins to be used, at the ends of pieces and of numbers, and where it ceases to work.
    #[test]
    fn what_the_engine_fills_is_the_same_stream() {
        let from = FILL_FROM as usize;
        for bytes in [
            from - 1,
            from,
            from + 1,
            from + 3,
            from + 4,
            from + PIECE + 6,
            3 * from,
        ] {
            for can_fill in [0, 1, 2, 15, 16, 1000] {
                let source = Counter::with_engine(7, can_fill);
                let (output, stream, result) =
                    read_from(source, bytes as u128, Format::Raw, || false);
                result.expect("read");
                let expected = (7_u32..).flat_map(u32::to_le_bytes).take(bytes);
                assert!(output.into_iter().eq(expected), "{bytes} bytes, {can_fill}");
                assert_eq!(stream.numbers, bytes.div_ceil(4) as u64);
                assert_eq!(u64::from(stream.source.next), 7 + stream.numbers);
                // The first number came by itself.
                let pieces = (bytes - 4).div_ceil(PIECE);
                let filled = if bytes < from {
                    0
                } else {
                    can_fill.min(pieces)
                };
                assert_eq!(stream.source.reads, pieces - filled);
                // What has failed is not tried again.
                let fills = if bytes < from {
                    0
                } else {
                    (filled + 1).min(pieces)
                };
                assert_eq!(stream.source.fills, fills);
            }
        }
    }

    #[test]
    fn what_the_engine_fills_is_printed_in_all_formats() {
        for format in [Format::Dec, Format::Hex, Format::Json] {
            let source = Counter::with_engine(0xfffe, 1000);
            let (output, stream, result) = read_from(source, FILL_FROM, format, || false);
            result.expect("read");
            assert_eq!(stream.source.reads, 0, "{format:?}");
            assert!(output == printed(FILL_FROM, format), "{format:?}");
        }
    }

    /// The engine says no more than that it has failed. What the device still gives, and why not more, comes
    /// by reading.
    #[test]
    fn a_device_that_goes_away_while_its_engine_works_loses_no_number() {
        let mut source = Counter::with_engine(0, 1000);
        source.left = 40_000;
        let (output, stream, result) = read_from(source, 1 << 40, Format::Raw, || false);
        let failure = result.expect_err("a failure");
        assert!(matches!(failure, Failure::Device(_)), "{failure}");
        assert_eq!((stream.numbers, output.len()), (40_000, 160_000));
        assert_eq!(stream.source.fills, 3);
    }

    #[test]
    fn all_that_was_filled_is_printed_when_it_is_stopped() {
        let pieces = Cell::new(0);
        let stop = || pieces.replace(pieces.get() + 1) == 3;
        let source = Counter::with_engine(0, 1000);
        let (output, stream, result) = read_from(source, 1 << 40, Format::Raw, stop);
        let failure = result.expect_err("stopped");
        assert!(matches!(failure, Failure::Interrupted), "{failure}");
        assert_eq!(output.len(), 4 + 2 * PIECE);
        assert_eq!(output.len() as u64, stream.numbers * 4);
        assert_eq!((stream.source.fills, stream.source.reads), (2, 0));
    }

    /// As a signal makes it.
    #[test]
    fn short_reads_lose_nothing() {
        let mut source = Counter::new(0);
        source.piece = Some(256);
        let (output, stream, result) = read_from(source, 4 * 1000, Format::Raw, || false);
        result.expect("read");
        assert!(
            output
                .into_iter()
                .eq((0..1000_u32).flat_map(u32::to_le_bytes))
        );
        assert_eq!(stream.numbers, 1000);
        // The first number came by itself.
        assert_eq!(stream.source.reads, 3996_usize.div_ceil(256));
    }

    #[test]
    fn a_driver_without_read_gives_the_same_one_by_one() {
        let mut source = Counter::new(0xfffe);
        source.piece = None;
        let (output, stream, result) = read_from(source, 4 * 1000 + 3, Format::Raw, || false);
        result.expect("read");
        assert_eq!(output, printed(4 * 1000 + 3, Format::Raw));
        assert_eq!((stream.numbers, stream.source.reads), (1001, 1));
    }

    #[test]
    fn one_number_is_not_read() {
        let (_, stream, result) = read_from(Counter::new(0), 4, Format::Dec, || false);
        result.expect("read");
        assert_eq!((stream.numbers, stream.source.reads), (1, 0));
    }

    #[test]
    fn numbers_taken_before_the_device_fails_are_printed() {
        let mut source = Counter::new(7);
        source.left = 3;
        let (output, stream, result) = read_from(source, 20, Format::Dec, || false);
        let failure = result.expect_err("a failure");
        assert!(matches!(failure, Failure::Device(_)), "{failure}");
        assert_eq!(output, b"7\n8\n9\n");
        assert_eq!(stream.numbers, 3);
    }

    #[test]
    fn json_of_a_device_that_fails_stays_open() {
        let mut source = Counter::new(7);
        source.left = 2;
        let (output, _, result) = read_from(source, 20, Format::Json, || false);
        assert!(result.is_err());
        assert_eq!(output, b"[7,8");
    }

    #[test]
    fn all_that_was_taken_is_printed_when_it_is_stopped() {
        let pieces = Cell::new(0);
        let stop = || pieces.replace(pieces.get() + 1) == 3;
        let (output, stream, result) = read_from(Counter::new(0), 1 << 40, Format::Raw, stop);
        let failure = result.expect_err("stopped");
        assert!(matches!(failure, Failure::Interrupted), "{failure}");
        assert_eq!(output.len() as u64, stream.numbers * 4);
        assert_eq!(stream.source.next as u64, stream.numbers);
        // The first number, and two pieces.
        assert_eq!(output.len(), 4 + 2 * PIECE);
    }

    #[test]
    fn a_full_disk_stops_the_reading() {
        let mut stream = Stream::new(Counter::new(0));
        let amount = Amount {
            bytes: 1 << 40,
            format: Format::Raw,
        };
        let failure = read(
            &mut stream,
            &mut Disk { room: 10 },
            amount,
            &Progress::none(),
            || false,
        )
        .expect_err("a failure");
        assert!(failure.to_string().contains("make room"), "{failure}");
        // The piece that was lost is the last one that was taken.
        assert_eq!(stream.source.fills, 1);
        assert_eq!(stream.source.reads, 1);
        assert_eq!(stream.numbers, 1 + (PIECE / REG_SIZE) as u64);
    }
}
