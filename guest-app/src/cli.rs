// SPDX-License-Identifier: GPL-2.0-or-later

//! The command line and its help. The manual page and the completions are generated from it.

use std::ffi::OsString;
use std::num::IntErrorKind;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use my_rng::abi;

/// The variable in the environment that names a device.
pub const VARIABLE: &str = "MY_RNG_DEVICE";

const EXAMPLES: &str = "\
Examples:
  my-rng                the classic check: seed with 0, read five, twice
  my-rng seed 0x42      restart the stream from a seed
  my-rng read 5         take the next five numbers
  my-rng read --seed 7 --bytes 1G -o stream
  my-rng -d /dev/my_rng_driver1 info
  my-rng -d pci info    use a device that has no driver, as root

Exit status:
  0    success
  1    the device or the output failed; the message says what to do
  2    the command line is wrong
  3    there is no device, or no driver for it
  4    you may not use the device
  5    the device went away
  130  interrupted by Ctrl-C (128 + SIGINT; 143 for SIGTERM, 129 for SIGHUP)
  141  the reader of the output closed the pipe (128 + SIGPIPE)

All programs that open the device share one stream. A seeded stream is
predictable: never use it for keys or passwords.

With the name pci, root uses the first device that no driver is bound to,
with pci:0000:00:04.0 the one at this PCI address. Only one program can do so
at a time, and no driver can bind to the device meanwhile.";

const READ_EXAMPLES: &str = "\
Formats:
  dec   one decimal number per line
  hex   one number per line, as 0x and eight lower-case digits
  json  one array of numbers, not closed if reading fails
  raw   four bytes per number, little-endian, without separators

Sizes:
  A plain number is bytes. The units are binary: K or KiB is 1024
  bytes, and so on with M, G and T. If the size is not a multiple
  of 4, the rest of the last number is dropped.

Examples:
  my-rng read -n 5 -o numbers
  my-rng read --bytes 1M | xxd | less
  my-rng read --seed 0x42 --bytes 64K | sha256sum
  my-rng read 1000 --format json | jq add

A long read shows a progress bar if stderr is a terminal and the output is not.
Ctrl-C stops it after writing all numbers taken; a second Ctrl-C ends it at once.";

const INFO_EXAMPLES: &str = "\
Formats:
  text  one property per line
  json  one object: node, device, driver (null if none is bound),
        generator, bits (of each number, null if unknown), hwrng,
        bulk (null if unknown), words, seeds (null without a driver)

It takes no number from the stream. Bulk says whether the device can write
numbers to memory by DMA, which makes long reads fast. Words and seeds count
numbers read and seeds written, by all programs, since the driver was bound.";

const LIST_EXAMPLES: &str = "\
Formats:
  text  one device per line: node, PCI address, generator, driver
  json  an array of the objects that info prints; for a node that
        cannot be queried, an object with node and error";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  my-rng completions bash \\
    >~/.local/share/bash-completion/completions/my-rng
  my-rng completions fish >~/.config/fish/completions/my-rng.fish";

/// Uses the my_rng random number generator; without a command, restarts its stream for everybody
///
/// Without a command it does what the classic app does: it seeds the device with 0 and reads five numbers, twice, so
/// that both rounds show the same numbers. All programs share the stream of the device, so it starts again for all of
/// them.
#[derive(Debug, Parser)]
#[command(name = "my-rng", version, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true, subcommand_value_name = "COMMAND")]
pub struct Cli {
    /// The device: its node, or `pci` (see below) [env: MY_RNG_DEVICE] [default: /dev/my_rng_driver]
    #[arg(short, long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    device: Option<PathBuf>,

    /// Write to FILE instead of stdout; what was in it is lost
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// No progress bar and, if the command line is right, no error messages: only the exit status tells
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Seed with N: before `read`, or instead of 0 if there is no command
    #[arg(long, value_name = "N", value_parser = parse_seed, allow_negative_numbers = true)]
    seed: Option<u32>,

    /// What to do; without it, the classic check
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do to the device.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Restart the stream from a seed
    Seed {
        /// The seed: 0 to 4294967295, or 0x0 to 0xffffffff
        #[arg(value_name = "N", value_parser = parse_seed, allow_negative_numbers = true)]
        seed: u32,
    },
    /// Take numbers from the stream and print them
    #[command(after_help = READ_EXAMPLES)]
    Read(Read),
    /// Show what the device is and how much was read from it
    #[command(after_help = INFO_EXAMPLES)]
    Info {
        /// How to print it
        #[arg(long, value_enum, default_value_t = Shape::Text)]
        format: Shape,
    },
    /// List all devices: their nodes, or names like pci:0000:00:04.0 without a driver
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// How to print them
        #[arg(long, value_enum, default_value_t = Shape::Text)]
        format: Shape,
    },
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, for `man -l`
    Man,
}

/// What to read.
#[derive(Args, Debug)]
pub struct Read {
    /// How many numbers, in decimal or hexadecimal (0x10)
    #[arg(default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    count: u64,
    /// The same, as an option
    #[arg(
        short = 'n',
        long = "count",
        value_name = "COUNT",
        conflicts_with = "count",
        value_parser = parse_count,
        allow_negative_numbers = true
    )]
    number: Option<u64>,
    /// Read this many bytes instead: a number, optionally with K, M, G or T (see below)
    #[arg(
        long,
        value_name = "SIZE",
        conflicts_with_all = ["count", "number"],
        value_parser = parse_size,
        allow_negative_numbers = true
    )]
    bytes: Option<u64>,
    /// How to print them [default: dec, or raw with --bytes]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Restart the stream from this seed first
    #[arg(long, value_name = "N", value_parser = parse_seed, allow_negative_numbers = true)]
    seed: Option<u32>,
}

/// How much to print, and in which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// In bytes of the stream. A count of numbers can be `u64::MAX`, so this can be four times that.
    pub bytes: u128,
    pub format: Format,
}

/// The format of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One decimal number per line
    Dec,
    /// One number per line, as 0x and eight lower-case digits
    Hex,
    /// One array of numbers
    Json,
    /// Four bytes per number, little-endian
    Raw,
}

/// The format of `info` and `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Cli {
    /// The path of the device. `variable` is the value of [`VARIABLE`].
    pub fn device(&self, variable: Option<OsString>) -> PathBuf {
        let variable = variable.filter(|path| !path.is_empty());
        let given = self.device.clone().or(variable.map(PathBuf::from));
        given.unwrap_or_else(my_rng::default_path)
    }

    /// The seed to start with, if any. Refuses options that would have no effect, which clap cannot express.
    pub fn seed(&self) -> Result<Option<u32>, clap::Error> {
        match (&self.command, self.seed) {
            (Some(Command::Seed { .. }), _) if self.output.is_some() => {
                Err(wrong("`seed` prints nothing: leave out --output"))
            }
            (Some(Command::Read(Read { seed: Some(_), .. })), Some(_)) => {
                Err(wrong("--seed may be given only once"))
            }
            (Some(Command::Read(read)), seed) => Ok(seed.or(read.seed)),
            (Some(_), Some(_)) => Err(wrong("--seed works only with `read`, or without a command")),
            (_, seed) => Ok(seed),
        }
    }
}

impl Read {
    /// Returns what to print, or an error if the options do not fit together.
    pub fn amount(&self, to_terminal: bool) -> Result<Amount, clap::Error> {
        let word = abi::REG_SIZE as u64;
        let Some(bytes) = self.bytes else {
            return Ok(Amount {
                bytes: u128::from(self.number.unwrap_or(self.count)) * u128::from(word),
                format: self.format.unwrap_or(Format::Dec),
            });
        };
        match self.format {
            None if to_terminal => Err(wrong(
                "raw bytes would garble the terminal: write them to a file (-o FILE), or choose a --format",
            )),
            None | Some(Format::Raw) => Ok(Amount {
                bytes: bytes.into(),
                format: Format::Raw,
            }),
            Some(_) if bytes % word != 0 => Err(wrong(&format!(
                "{bytes} is not a whole number of {word}-byte numbers: give a multiple of {word}, or use \
                 `--format raw`"
            ))),
            Some(format) => Ok(Amount {
                bytes: bytes.into(),
                format,
            }),
        }
    }
}

fn wrong(message: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ArgumentConflict, message)
}

fn parse_seed(text: &str) -> Result<u32, String> {
    let range = "a seed is 0 to 4294967295, or 0x0 to 0xffffffff";
    let seed = parse_number(text).map_err(|problem| format!("{problem}; {range}"))?;
    u32::try_from(seed).map_err(|_| format!("too large; {range}"))
}

fn parse_count(text: &str) -> Result<u64, String> {
    parse_number(text).map_err(|problem| {
        format!(
            "{problem}; a count is a whole number, 0 or more (for bytes use --bytes: \
             `my-rng read --bytes 1G`)"
        )
    })
}

/// Parses a number of bytes, optionally with a binary unit.
fn parse_size(text: &str) -> Result<u64, String> {
    let size = "a size is a whole number of bytes, optionally with K, M, G or T (1K is 1024 bytes)";
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let unit_at = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .filter(|_| !hexadecimal);
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        "KB" | "MB" | "GB" | "TB" => {
            return Err(format!("{unit} is ambiguous (1000 or 1024); {size}"));
        }
        _ => return Err(format!("unknown unit; {size}")),
    };
    let number = parse_number(number).map_err(|problem| format!("{problem}; {size}"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("too large; {size}"))
}

/// Parses decimal, or hexadecimal after `0x`: no sign, no spaces, no digit separators.
fn parse_number(text: &str) -> Result<u64, &'static str> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` accepts a plus sign.
    if digits.starts_with(['+', '-']) {
        return Err("no sign is allowed");
    }
    u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => "too large",
        _ => "not a number",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["my-rng"], arguments].concat())
    }

    fn seed(text: &str) -> Option<u32> {
        match parse(&["seed", text]).ok()?.command {
            Some(Command::Seed { seed }) => Some(seed),
            _ => None,
        }
    }

    fn read(arguments: &[&str]) -> Result<Read, clap::Error> {
        match parse(&[&["read"], arguments].concat())?.command {
            Some(Command::Read(read)) => Ok(read),
            other => panic!("{arguments:?} is {other:?}"),
        }
    }

    #[test]
    fn clap_definitions_are_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_is_the_classic_check_on_the_first_device() {
        let cli = parse(&[]).expect("no arguments");
        assert!(cli.command.is_none());
        assert_eq!(cli.seed().expect("no seed"), None);
        assert_eq!(cli.device(None), PathBuf::from("/dev/my_rng_driver"));
    }

    #[test]
    fn seeds() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1),
            ("007", 7),
            ("0x42", 0x42),
            ("0X42", 0x42),
            ("0xDeadBeef", 0xdead_beef),
            ("4294967295", u32::MAX),
            ("0xffffffff", u32::MAX),
            ("0x0000000000000001", 1),
        ] {
            assert_eq!(seed(text), Some(expected), "{text}");
            for arguments in [
                &["--seed", text][..],
                &["--seed", text, "read"],
                &["read", "--seed", text],
            ] {
                let cli = parse(arguments).expect("a seed");
                assert_eq!(cli.seed().expect("a seed"), Some(expected), "{arguments:?}");
            }
        }
    }

    #[test]
    fn invalid_seeds() {
        for (text, problem) in [
            ("", "not a number"),
            ("0x", "not a number"),
            ("x42", "not a number"),
            ("42x", "not a number"),
            ("4 2", "not a number"),
            ("1_000", "not a number"),
            ("1.5", "not a number"),
            ("٣", "not a number"),
            ("-1", "no sign"),
            ("+1", "no sign"),
            ("0x+1", "no sign"),
            ("4294967296", "too large"),
            ("0x100000000", "too large"),
            ("99999999999999999999999", "too large"),
        ] {
            for arguments in [
                &["seed", text][..],
                &["read", "--seed", text],
                &["--seed", text],
            ] {
                let error = parse(arguments).expect_err(text).to_string();
                assert!(error.contains(problem), "{text}: {error}");
                assert!(error.contains("0 to 4294967295"), "{text}: {error}");
            }
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        for (arguments, problem) in [
            (
                &["--seed", "1", "read", "--seed", "2"][..],
                "--seed may be given only once",
            ),
            (&["--seed", "1", "info"], "only with `read`"),
            (&["--seed", "1", "seed", "2"], "only with `read`"),
            (&["seed", "1", "-o", "file"], "prints nothing"),
        ] {
            let cli = parse(arguments).expect("clap accepts it");
            let error = cli.seed().expect_err("no effect").to_string();
            assert!(error.contains(problem), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn counts_and_formats() {
        for (arguments, numbers, format) in [
            (&[][..], 1, Format::Dec),
            (&["0"], 0, Format::Dec),
            (&["0x10"], 16, Format::Dec),
            (&["-n", "5"], 5, Format::Dec),
            (&["-n0x10", "--format", "raw"], 16, Format::Raw),
            (&["--count", "7"], 7, Format::Dec),
            (&["5", "--format", "hex"], 5, Format::Hex),
            (&["--format=raw", "5"], 5, Format::Raw),
            (&["5", "--format", "json", "--seed", "7"], 5, Format::Json),
            (&["18446744073709551615"], u64::MAX, Format::Dec),
        ] {
            let bytes = u128::from(numbers) * 4;
            for to_terminal in [false, true] {
                let amount = read(arguments)
                    .expect("a good command line")
                    .amount(to_terminal)
                    .expect("an amount");
                assert_eq!(amount, Amount { bytes, format }, "{arguments:?}");
            }
        }
        for arguments in [
            &["-1"][..],
            &["five"],
            &["18446744073709551616"],
            &["--format", "octal"],
            &["--format", "text"],
            &["1", "2"],
            &["1", "-n", "2"],
            &["-n", "many"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1),
            ("4096", 4096),
            ("0x1000", 4096),
            ("0x1b", 27),
            ("7B", 7),
            ("64K", 64 << 10),
            ("64k", 64 << 10),
            ("64KiB", 64 << 10),
            ("4MiB", 4 << 20),
            ("4mib", 4 << 20),
            ("1G", 1 << 30),
            ("1GiB", 1 << 30),
            ("2T", 2 << 40),
            ("18446744073709551615", u64::MAX),
            ("16777215T", 0xff_ffff << 40),
        ] {
            assert_eq!(parse_size(text), Ok(expected), "{text}");
            let amount = read(&["--bytes", text])
                .expect("a size")
                .amount(false)
                .expect("an amount");
            let bytes = expected.into();
            let format = Format::Raw;
            assert_eq!(amount, Amount { bytes, format }, "{text}");
        }
    }

    #[test]
    fn invalid_sizes() {
        for (text, problem) in [
            ("", "not a number"),
            ("G", "not a number"),
            ("KiB", "not a number"),
            ("1 G", "not a number"),
            ("1.5G", "not a number"),
            ("1_000", "not a number"),
            ("0x", "not a number"),
            ("0x10K", "not a number"),
            ("٣G", "not a number"),
            ("1Г", "not a number"),
            ("1E", "unknown unit"),
            ("1GG", "unknown unit"),
            ("1G1", "unknown unit"),
            ("lots", "unknown unit"),
            ("1KB", "ambiguous"),
            ("1kB", "ambiguous"),
            ("1GB", "ambiguous"),
            ("-1", "no sign"),
            ("+1", "no sign"),
            ("-1G", "no sign"),
            ("18446744073709551616", "too large"),
            ("16777216T", "too large"),
            ("18446744073709551615K", "too large"),
        ] {
            let error = parse(&["read", &format!("--bytes={text}")])
                .expect_err(text)
                .to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(error.contains("1K is 1024 bytes"), "{text}: {error}");
        }
    }

    #[test]
    fn bytes_and_count_conflict() {
        for arguments in [
            &["--bytes", "4", "1"][..],
            &["5", "--bytes", "4"],
            &["-n", "5", "--bytes", "4"],
        ] {
            let error = read(arguments).expect_err("both").to_string();
            assert!(error.contains("cannot be used with"), "{error}");
        }
    }

    #[test]
    fn sizes_in_text_formats_are_whole_numbers() {
        for format in ["dec", "hex", "json"] {
            let amount = |size| {
                read(&["--bytes", size, "--format", format])
                    .expect("a good command line")
                    .amount(true)
            };
            assert_eq!(amount("8").expect("two numbers").bytes, 8);
            let error = amount("6").expect_err("one and a half").to_string();
            assert!(error.contains("multiple of 4"), "{error}");
        }
    }

    #[test]
    fn raw_bytes_go_to_a_terminal_only_on_request() {
        let bytes = read(&["--bytes", "8"]).expect("a good command line");
        let error = bytes.amount(true).expect_err("a terminal").to_string();
        assert!(error.contains("--format"), "{error}");
        let raw = read(&["--bytes", "8", "--format", "raw"]).expect("a good command line");
        assert_eq!(raw.amount(true).expect("on request").format, Format::Raw);
    }

    #[test]
    fn general_options_may_stand_before_or_after_the_command() {
        for arguments in [
            [
                "--device",
                "/dev/other",
                "--output",
                "file",
                "--quiet",
                "read",
            ],
            ["read", "-d", "/dev/other", "-o", "file", "-q"],
            ["-d", "/dev/other", "read", "-q", "-o", "file"],
        ] {
            let cli = parse(&arguments).expect("a good command line");
            let variable = Some("/dev/third".into());
            assert_eq!(cli.device(variable), PathBuf::from("/dev/other"));
            assert_eq!(cli.output, Some(PathBuf::from("file")));
            assert!(cli.quiet);
        }
    }

    #[test]
    fn invalid_command_lines() {
        for arguments in [
            &["seed"][..],
            &["frobnicate"],
            &["--device"],
            &["-x"],
            &["--seed"],
            &["read", "--bytes"],
            &["info", "--format", "hex"],
            &["info", "5"],
            &["list", "5"],
            &["completions"],
            &["completions", "command.com"],
            &["man", "read"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
