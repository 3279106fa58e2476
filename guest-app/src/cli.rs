// SPDX-License-Identifier: GPL-2.0-or-later

//! The command line: what can be said to the app, and its help.

use std::num::IntErrorKind;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  my-rng                         the classic check: seed with 0, read five numbers, twice
  my-rng seed 0x42               restart the stream from a seed
  my-rng read 5                  take the next five numbers
  my-rng read 1000 --format raw | xxd
  my-rng --device /dev/my_rng_driver1 read

Exit status:
  0    all was done
  1    the device or the output failed; the message says what to do
  2    the command line is wrong
  141  whoever read the output closed the pipe (128 + SIGPIPE)

The stream is shared by all who have the device open, and a seeded stream is
predictable: never make keys or passwords of it.";

const READ_EXAMPLES: &str = "\
Formats:
  dec  one decimal number a line
  hex  one number a line, as 0x and eight lower-case digits
  raw  four bytes a number, little-endian, nothing between them";

/// Reads and seeds the my_rng random number generator.
///
/// Without a command: seeds the device with 0 and reads five numbers, twice, so that both rounds
/// show the same numbers.
#[derive(Debug, Parser)]
#[command(name = "my-rng", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// The device's node
    #[arg(long, global = true, value_name = "PATH", default_value_os_t = my_rng::default_path())]
    pub device: PathBuf,

    /// What to do; the classic check without it
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
    Read {
        /// How many numbers, in decimal or 0x…
        #[arg(default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
        count: u64,
        /// How to print them
        #[arg(long, value_enum, default_value_t = Format::Dec)]
        format: Format,
    },
}

/// How numbers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One decimal number a line
    Dec,
    /// One number a line, as 0x and eight lower-case digits
    Hex,
    /// Four bytes a number, little-endian
    Raw,
}

fn parse_seed(text: &str) -> Result<u32, String> {
    let range = "a seed is 0 to 4294967295, or 0x0 to 0xffffffff";
    let seed = parse_number(text).map_err(|problem| format!("{problem}; {range}"))?;
    u32::try_from(seed).map_err(|_| format!("too large; {range}"))
}

fn parse_count(text: &str) -> Result<u64, String> {
    parse_number(text).map_err(|problem| format!("{problem}; a count is a whole number, 0 or more"))
}

/// Decimal, or hexadecimal after `0x`. No sign, no spaces, no digit separators.
fn parse_number(text: &str) -> Result<u64, &'static str> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would take a plus sign.
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
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["my-rng"], arguments].concat())
    }

    fn seed(text: &str) -> Option<u32> {
        match parse(&["seed", text]).ok()?.command {
            Some(Command::Seed { seed }) => Some(seed),
            _ => None,
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_is_the_classic_check_on_the_first_device() {
        let cli = parse(&[]).expect("no arguments");
        assert!(cli.command.is_none());
        assert_eq!(cli.device, PathBuf::from("/dev/my_rng_driver"));
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
        }
    }

    #[test]
    fn seeds_that_are_none() {
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
            let error = parse(&["seed", text]).expect_err(text).to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(error.contains("0 to 4294967295"), "{text}: {error}");
        }
    }

    #[test]
    fn counts_and_formats() {
        for (arguments, expected) in [
            (&["read"][..], (1, Format::Dec)),
            (&["read", "0"], (0, Format::Dec)),
            (&["read", "0x10"], (16, Format::Dec)),
            (&["read", "5", "--format", "hex"], (5, Format::Hex)),
            (&["read", "--format=raw", "5"], (5, Format::Raw)),
            (&["read", "18446744073709551615"], (u64::MAX, Format::Dec)),
        ] {
            let cli = parse(arguments).expect("a good command line");
            let Some(Command::Read { count, format }) = cli.command else {
                panic!("{arguments:?} is no read");
            };
            assert_eq!((count, format), expected, "{arguments:?}");
        }
        for arguments in [
            &["read", "-1"][..],
            &["read", "five"],
            &["read", "18446744073709551616"],
            &["read", "--format", "octal"],
            &["read", "1", "2"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_device_may_stand_before_or_after_the_command() {
        for arguments in [
            ["--device", "/dev/other", "read"],
            ["read", "--device", "/dev/other"],
        ] {
            let cli = parse(&arguments).expect("a good command line");
            assert_eq!(cli.device, PathBuf::from("/dev/other"));
        }
    }

    #[test]
    fn wrong_command_lines() {
        for arguments in [&["seed"][..], &["frobnicate"], &["--device"], &["-x"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
