// SPDX-License-Identifier: GPL-2.0-or-later

//! The commands that use the device's numbers, over any source of numbers.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use my_rng::ErrorKind;
use my_rng::abi::REG_SIZE;

use crate::cli::{Amount, Format};
use crate::progress::Progress;

/// The classic check: `ROUNDS` times, seed with `SEED` and read `NUMBERS` numbers.
const ROUNDS: u32 = 2;
const NUMBERS: u32 = 5;
const SEED: u32 = 0;

/// How many bytes are taken from the device at a time. A larger piece is not faster, and a full disk can lose
/// one piece.
pub const PIECE: usize = 1 << 16;

/// The size in bytes from which a read uses `fill`. Mapping the memory takes as long as reading half of this.
const FILL_FROM: u128 = 1 << 20;

// Only the last piece may end inside of a number.
const _: () = assert!(PIECE % REG_SIZE == 0 && PIECE <= my_rng::Device::MAPPED_MAX);

/// A stream of numbers that can be restarted: the device, or a fake in tests.
pub trait Source {
    fn seed(&mut self, seed: u32) -> Result<(), my_rng::Error>;
    fn next_u32(&mut self) -> Result<u32, my_rng::Error>;
    /// Takes numbers as little-endian bytes and returns how many bytes, at most the length of `buffer`.
    /// Returns `None` if the driver has no `read()`.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, my_rng::Error>;
    /// Takes numbers as `length` little-endian bytes into the memory that [`Self::filled`] returns. Returns
    /// false if it failed; numbers that it took before that are lost.
    fn fill(&mut self, length: usize) -> bool;
    /// Returns the bytes of the last [`Self::fill`].
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
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fill(&mut self, length: usize) -> bool {
        // The caller falls back to `read`, which either works or reports the error.
        self.fill_mapped(length).is_ok()
    }

    fn filled(&self) -> &[u8] {
        my_rng::Device::filled(self)
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    Device(my_rng::Error),
    /// The device at this node takes no seed.
    Seedless(PathBuf),
    Output(io::Error),
    /// The file for the output cannot be created.
    File(PathBuf, io::Error),
    /// A signal asked the app to stop.
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
                "cannot seed {}: its generator `host` has no seed; leave out the seed",
                node.display()
            ),
            Self::Output(error) => write!(
                f,
                "cannot write the output: {error}; make room or redirect it"
            ),
            Self::File(path, error) => write!(
                f,
                "cannot create {}: {error}; give another file",
                path.display()
            ),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

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

/// How to take the next numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One number by ioctl, which fails unless the node is the driver's. (Any file can be read.)
    First,
    /// A piece with `fill`, without a copy.
    Filled,
    /// A piece with `read`.
    Many,
    /// One number at a time by ioctl: the driver has no `read()`.
    Single,
}

/// A source as a stream of bytes that counts the numbers taken.
#[derive(Debug)]
pub struct Stream<S> {
    source: S,
    way: Way,
    buffer: Vec<u8>,
    /// How many numbers were taken.
    pub numbers: u64,
}

impl<S: Source> Stream<S> {
    /// Starts at the current position of the source.
    pub fn new(source: S) -> Self {
        Self {
            source,
            way: Way::First,
            buffer: vec![0; PIECE],
            numbers: 0,
        }
    }

    /// Takes the next 1 to `left` bytes. `left` must not be 0.
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

/// Takes `amount` and prints it, until `stop` returns true.
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

/// Formats little-endian bytes as numbers.
struct Printer {
    format: Format,
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

    /// Closes the JSON array. Call it only after a complete read, so that a part does not pass for the whole.
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

    /// Counts up from the seed, and fails after `left` numbers.
    struct Counter {
        next: u32,
        left: u32,
        /// How many bytes one read gives at most; `None` if it cannot be read.
        piece: Option<usize>,
        reads: usize,
        /// How many more times `fill` succeeds.
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
                // Any error of the library is fine here.
                None => {
                    return Err(
                        my_rng::Device::open("/nonexistent").expect_err("a node that is not there")
                    );
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
                    // Like the driver: return the numbers taken before the error.
                    Err(_) if index > 0 => return Ok(Some(index * REG_SIZE)),
                    Err(error) => return Err(error),
                }
            }
            Ok(Some(length))
        }

        fn fill(&mut self, length: usize) -> bool {
            self.fills += 1;
            self.memory.clear();
            // Like the driver: all or nothing.
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

    /// An output that takes `room` bytes, then fails.
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

    /// Reads `bytes` from `source`. Returns the output, the stream and the result.
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
    fn json_can_be_parsed() {
        let text = printed(4 * 1000, Format::Json);
        let numbers: Vec<u32> = serde_json::from_slice(&text).expect("JSON");
        assert!(numbers.into_iter().eq(0xfffe..0xfffe + 1000));
    }

    #[test]
    fn last_number_is_cut_to_the_size() {
        for bytes in 0..20_u8 {
            let whole = printed(20, Format::Raw);
            assert_eq!(printed(bytes.into(), Format::Raw), whole[..bytes.into()]);
        }
    }

    /// Ends inside a piece, at its end, and inside a number.
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

    /// Sizes around the threshold, ends of pieces and of numbers; the engine stops working at any piece.
    #[test]
    fn fill_and_read_give_the_same_stream() {
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
                // The first number is taken by ioctl.
                let pieces = (bytes - 4).div_ceil(PIECE);
                let filled = if bytes < from {
                    0
                } else {
                    can_fill.min(pieces)
                };
                assert_eq!(stream.source.reads, pieces - filled);
                // A `fill` that failed is not retried.
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
    fn fill_is_used_for_all_formats() {
        for format in [Format::Dec, Format::Hex, Format::Json] {
            let source = Counter::with_engine(0xfffe, 1000);
            let (output, stream, result) = read_from(source, FILL_FROM, format, || false);
            result.expect("read");
            assert_eq!(stream.source.reads, 0, "{format:?}");
            assert!(output == printed(FILL_FROM, format), "{format:?}");
        }
    }

    /// After a failed `fill`, reading returns the remaining numbers and then the error.
    #[test]
    fn device_that_goes_away_during_fill_loses_no_number() {
        let mut source = Counter::with_engine(0, 1000);
        source.left = 40_000;
        let (output, stream, result) = read_from(source, 1 << 40, Format::Raw, || false);
        let failure = result.expect_err("a failure");
        assert!(matches!(failure, Failure::Device(_)), "{failure}");
        assert_eq!((stream.numbers, output.len()), (40_000, 160_000));
        assert_eq!(stream.source.fills, 3);
    }

    #[test]
    fn filled_numbers_are_printed_when_stopped() {
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

    /// A signal makes a read short.
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
        // The first number is taken by ioctl.
        assert_eq!(stream.source.reads, 3996_usize.div_ceil(256));
    }

    #[test]
    fn driver_without_read_gives_the_same_numbers_one_by_one() {
        let mut source = Counter::new(0xfffe);
        source.piece = None;
        let (output, stream, result) = read_from(source, 4 * 1000 + 3, Format::Raw, || false);
        result.expect("read");
        assert_eq!(output, printed(4 * 1000 + 3, Format::Raw));
        assert_eq!((stream.numbers, stream.source.reads), (1001, 1));
    }

    #[test]
    fn one_number_is_taken_by_ioctl() {
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
    fn json_array_is_not_closed_when_the_device_fails() {
        let mut source = Counter::new(7);
        source.left = 2;
        let (output, _, result) = read_from(source, 20, Format::Json, || false);
        assert!(result.is_err());
        assert_eq!(output, b"[7,8");
    }

    #[test]
    fn numbers_taken_are_printed_when_stopped() {
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
    fn full_disk_stops_the_read() {
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
        // Nothing is taken after the piece that could not be written.
        assert_eq!(stream.source.fills, 1);
        assert_eq!(stream.source.reads, 1);
        assert_eq!(stream.numbers, 1 + (PIECE / REG_SIZE) as u64);
    }
}
