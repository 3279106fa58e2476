// SPDX-License-Identifier: GPL-2.0-or-later

//! The demo: what the guest shows on its serial console, and the check of all of it.

use std::ffi::OsString;
use std::fmt;

use crate::abi;
use crate::job::{MODULE_PATH, Step, Work};
use crate::kernel;
use crate::known_answers::{LIBC, SELFTEST_SEED};

/// The seed that the classic app uses.
const APP_SEED: u32 = 0;

const RULE: &str = "------------------------------------------------------------------";

fn lspci() -> [String; 4] {
    let id = format!("{:04x}:{:04x}", abi::PCI_VENDOR_ID, abi::PCI_DEVICE_ID);
    ["lspci".into(), "-v".into(), "-d".into(), id]
}

fn insmod() -> [String; 2] {
    ["insmod".into(), MODULE_PATH.into()]
}

fn app() -> [String; 1] {
    ["my-rng".into()]
}

/// The line that shows a command.
fn prompt(argv: &[String]) -> String {
    format!("# {}", argv.join(" "))
}

/// What the guest does on its console.
pub fn work() -> Work {
    let step = |argv: &[String], kernel_log| Step {
        argv: argv.iter().map(OsString::from).collect(),
        kernel_log,
    };
    Work::Console(vec![
        // Before the driver is loaded, the output is as documented. On a machine without firmware, the
        // self-test has enabled the memory, which is [disabled] before.
        step(&lspci(), false),
        step(&insmod(), true),
        step(&app(), false),
    ])
}

/// The result of a demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many numbers were right.
    pub right: usize,
    /// How many numbers there should be.
    pub total: usize,
    /// What was not as documented.
    pub differences: Vec<String>,
}

impl Verdict {
    /// Whether everything was as documented.
    pub fn passed(&self) -> bool {
        self.differences.is_empty() && self.right == self.total
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { right, total, .. } = self;
        if self.passed() {
            write!(
                f,
                "PASS: {right} of {total} numbers and every line as documented"
            )
        } else {
            write!(
                f,
                "FAIL: {right} of {total} numbers right; {}",
                self.differences.join("; ")
            )
        }
    }
}

/// Checks what the guest said on its console.
pub fn check(console: &[u8]) -> Verdict {
    let lines = kernel::lines(console);
    let mut verdict = Verdict::default();
    let mut boot = Shown::until_next_prompt(lines.iter());
    boot.kernel.retain(|message| is_selftest_line(message));
    verdict.compare("the self-test", &selftest_lines(), &boot.kernel);
    let shown = verdict.shown_by(&lspci(), &lines);
    verdict.lspci(&shown.user);
    let shown = verdict.shown_by(&insmod(), &lines);
    verdict.driver(&shown);
    let shown = verdict.shown_by(&app(), &lines);
    verdict.compare("the app", &rounds(APP_SEED), &shown.user);
    verdict
}

/// The lines of one part of the console, by who wrote them.
#[derive(Default)]
struct Shown<'a> {
    user: Vec<&'a str>,
    kernel: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    fn until_next_prompt(lines: impl Iterator<Item = &'a String>) -> Self {
        let prompts = [prompt(&lspci()), prompt(&insmod()), prompt(&app())];
        let mut shown = Self::default();
        for line in lines.take_while(|line| !prompts.contains(line)) {
            match kernel::message(line) {
                Some(message) => shown.kernel.push(message),
                None if line.is_empty() => {}
                None => shown.user.push(line),
            }
        }
        shown
    }
}

impl Verdict {
    /// What a command has shown.
    fn shown_by<'a>(&mut self, argv: &[String], lines: &'a [String]) -> Shown<'a> {
        let prompt = prompt(argv);
        let mut behind = lines.iter().skip_while(|line| **line != prompt);
        if behind.next().is_none() {
            self.differences
                .push(format!("the guest never showed '{prompt}'"));
        }
        Shown::until_next_prompt(behind)
    }

    /// Compares lines one by one and records the first difference.
    fn compare(&mut self, what: &str, expected: &[String], got: &[&str]) {
        let is_number = |line: &String| line.starts_with("Round ");
        self.total += expected.iter().filter(|line| is_number(line)).count();
        self.right += expected
            .iter()
            .zip(got)
            .filter(|(expected, got)| is_number(expected) && expected == *got)
            .count();
        let length = expected.len().max(got.len());
        let different = (0..length)
            .map(|index| (expected.get(index), got.get(index)))
            .find(|(expected, got)| expected.map(String::as_str) != got.copied());
        if let Some((expected, got)) = different {
            let quoted = |line: Option<&str>| match line {
                Some(line) => format!("'{line}'"),
                None => "nothing".to_owned(),
            };
            self.differences.push(format!(
                "{what}: expected {}, got {}",
                quoted(expected.map(String::as_str)),
                quoted(got.copied())
            ));
        }
    }

    fn lspci(&mut self, got: &[&str]) {
        let header = format!(
            " Unclassified device [{:04x}]: Device {:04x}:{:04x} (rev {:02x})",
            abi::PCI_CLASS,
            abi::PCI_VENDOR_ID,
            abi::PCI_DEVICE_ID,
            abi::PCI_REVISION
        );
        let memory = format!(
            " (32-bit, non-prefetchable) [size={}K]",
            abi::BAR_SIZE / 1024
        );
        // The slot and the address are up to the machine.
        let mut expected = vec![
            format!("BB:DD.F{header}"),
            "\tSubsystem: Red Hat, Inc. Device 1100".to_owned(),
            "\tFlags: fast devsel".to_owned(),
            format!("\tMemory at ADDRESS{memory}"),
        ];
        let is_header = |line: &str| line.strip_suffix(&header).is_some_and(is_slot);
        let is_memory = |line: &str| {
            line.strip_prefix("\tMemory at ")
                .and_then(|rest| rest.strip_suffix(&memory))
                .is_some_and(|address| u32::from_str_radix(address, 16).is_ok())
        };
        for (expected, got) in expected.iter_mut().zip(got) {
            if is_header(got) && expected.ends_with(&header)
                || is_memory(got) && expected.ends_with(&memory)
            {
                *expected = (*got).to_owned();
            }
        }
        self.compare("lspci -v", &expected, got);
    }

    fn driver(&mut self, shown: &Shown<'_>) {
        for number in [abi::IOCTL_RAND, abi::IOCTL_SEED] {
            let number = format!("{number:#x}");
            if !shown.kernel.iter().any(|message| message.contains(&number)) {
                self.differences
                    .push(format!("the driver's load message lacks {number}"));
            }
        }
        if let Some(line) = shown.user.first() {
            self.differences.push(format!("insmod said '{line}'"));
        }
    }
}

/// The lines of the boot self-test.
fn selftest_lines() -> Vec<String> {
    let mut lines = [RULE, "BEGIN MY-RNG TEST", RULE]
        .map(str::to_owned)
        .to_vec();
    lines.extend(rounds(SELFTEST_SEED));
    lines.extend([RULE, "END MY-RNG TEST", RULE].map(str::to_owned));
    lines
}

/// Two rounds of the first five numbers that a seed gives.
fn rounds(seed: u32) -> Vec<String> {
    let mut lines = Vec::new();
    for round in 0..2 {
        for answer in LIBC.iter().filter(|answer| answer.seed == seed) {
            for (index, number) in answer.first.iter().enumerate() {
                lines.push(format!("Round {round} number {index}: {number}"));
            }
        }
    }
    lines
}

/// Whether a kernel message is one of the self-test, or looks like one.
fn is_selftest_line(message: &str) -> bool {
    message.starts_with("---")
        || message.starts_with("Round ")
        || message.contains("MY-RNG TEST")
        || message.starts_with("ERROR: cannot map")
}

/// Whether text is a PCI slot as lspci writes it, `bus:device.function`.
fn is_slot(text: &str) -> bool {
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split_once(':')
        .and_then(|(bus, rest)| Some((bus, rest.split_once('.')?)))
        .is_some_and(|(bus, (device, function))| hex(bus, 2) && hex(device, 2) && hex(function, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[    0.000000] Linux version 7.3.4
[    0.619214] ------------------------------------------------------------------
[    0.619510] BEGIN MY-RNG TEST
[    0.619620] ------------------------------------------------------------------
[    0.620024] Round 0 number 0: 286129175
[    0.620046] Round 0 number 1: 1594929109
[    0.620199] Round 0 number 2: 971802288
[    0.620394] Round 0 number 3: 222134722
[    0.620500] tsc: Refined TSC clocksource calibration: 2500.000 MHz
[    0.620559] Round 0 number 4: 1335014133
[    0.620754] Round 1 number 0: 286129175
[    0.620918] Round 1 number 1: 1594929109
[    0.621073] Round 1 number 2: 971802288
[    0.621227] Round 1 number 3: 222134722
[    0.621406] Round 1 number 4: 1335014133
[    0.621545] ------------------------------------------------------------------
[    0.621965] END MY-RNG TEST
[    0.622101] ------------------------------------------------------------------
[    0.700000] Run /init as init process
[    0.800000] vm-init: the boot is over
# lspci -v -d 1234:cafe
00:02.0 Unclassified device [00ff]: Device 1234:cafe (rev 10)
\tSubsystem: Red Hat, Inc. Device 1100
\tFlags: fast devsel
\tMemory at febf1000 (32-bit, non-prefetchable) [size=4K]

# insmod /lib/modules/my_rng.ko
[    1.100000] my_rng: loading out-of-tree module taints kernel.
[    1.100001] my_rng: ioctl numbers: RAND 0x80047101, SEED 0x40047101
# my-rng
Round 0 number 0: 1804289383
Round 0 number 1: 846930886
Round 0 number 2: 1681692777
Round 0 number 3: 1714636915
Round 0 number 4: 1957747793
Round 1 number 0: 1804289383
Round 1 number 1: 846930886
Round 1 number 2: 1681692777
Round 1 number 3: 1714636915
Round 1 number 4: 1957747793
[    1.500000] reboot: Power down
";

    fn verdict_of(text: &str) -> Verdict {
        check(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_good_console_passes() {
        let verdict = verdict_of(GOOD);
        assert!(verdict.passed(), "{verdict}");
        assert_eq!(
            verdict.to_string(),
            "PASS: 20 of 20 numbers and every line as documented"
        );
    }

    /// Each damage in three lines: what is replaced, by what, and a part of the verdict. `~` is the end
    /// of a line.
    const DAMAGES: &str = "
number 2: 971802288
number 2: 971802289
FAIL: 19 of 20 numbers right; the self-test: expected 'Round 0 number 2: 971802288', got 'Round 0 number 2: 971802289'

[    0.619510] BEGIN MY-RNG TEST~
(nothing)
expected 'BEGIN MY-RNG TEST', got '-----

END MY-RNG TEST
END MY-RNG TEST!
expected 'END MY-RNG TEST', got 'END MY-RNG TEST!'

Round 0 number 4: 1335014133
Ruond 0 number 4: 1335014133
expected 'Round 0 number 4: 1335014133', got 'Round 1 number 0: 286129175'

[    0.622101] ------------------------------------------------------------------~
(nothing)
got nothing

Round 0 number 0: 286129175
ERROR: cannot map device registers
got 'ERROR: cannot map device registers'

[    0.700000] Run /init
[    0.700000] ---~[    0.700000] Run /init
expected nothing, got '---'

(rev 10)
(rev 11)
got '00:02.0 Unclassified device [00ff]: Device 1234:cafe (rev 11)'

00:02.0 Uncl
somewhere Uncl
expected 'BB:DD.F Unclassified

Device 1100
Device 1101
expected '\tSubsystem: Red Hat, Inc. Device 1100'

Flags: fast devsel
Flags: fast devsel, IRQ 11
got '\tFlags: fast devsel, IRQ 11'

at febf1000 (32-bit
at febf1000 (64-bit
expected '\tMemory at ADDRESS (32-bit

[size=4K]~
[size=4K]~\tKernel driver in use: x~
expected nothing, got '\tKernel driver

# lspci -v -d 1234:cafe~
(nothing)
the guest never showed '# lspci -v -d 1234:cafe'

0x80047101
80047101
the driver's load message lacks 0x80047101

0x40047101
0x40047102
the driver's load message lacks 0x40047101

# insmod /lib/modules/my_rng.ko~
# insmod /lib/modules/my_rng.ko~insmod: can't insert~
insmod said 'insmod: can't insert'

number 4: 1957747793~[
number 4: 1957747794~[
FAIL: 19 of 20 numbers right; the app: expected 'Round 1 number 4: 1957747793', got 'Round 1 number 4: 1957747794'

# my-rng~
# my-rng~my-rng: /dev/my_rng_driver is not there~
the app: expected 'Round 0 number 0: 1804289383', got 'my-rng: /dev/
";

    #[test]
    fn each_damage_is_named() {
        for damage in DAMAGES.trim().split("\n\n") {
            let mut lines = damage.lines();
            let mut next = || lines.next().unwrap().replace('~', "\n");
            let (from, to, told) = (next(), next().replace("(nothing)", ""), next());
            assert!(GOOD.contains(&from), "{from}");
            let verdict = verdict_of(&GOOD.replacen(&from, &to, 1));
            assert!(!verdict.passed(), "{from} -> {to}");
            let verdict = verdict.to_string();
            assert!(verdict.starts_with("FAIL: "), "{verdict}");
            assert!(verdict.contains(&told), "{told}\nis not in\n{verdict}");
        }
    }

    #[test]
    fn a_console_cut_off_anywhere_fails() {
        let end = GOOD.find("[    1.500000]").unwrap() - 1;
        for length in 0..end {
            assert!(
                !verdict_of(GOOD.get(..length).unwrap()).passed(),
                "{length}"
            );
        }
        let nothing = check(b"").to_string();
        assert!(
            nothing.starts_with("FAIL: 0 of 20 numbers right; "),
            "{nothing}"
        );
    }
}
