// SPDX-License-Identifier: GPL-2.0-or-later

//! What the guest's kernel logs to the serial console.

use std::fmt;

/// How many lines of the console an error shows.
const TAIL_LINES: usize = 20;

/// A panicking kernel logs this.
const PANIC: &str = "Kernel panic - not syncing";

/// The kernel logs this if the initramfs does not fit into memory.
const UNPACKING_FAILED: &str = "Initramfs unpacking failed";

/// A kernel with a fault logs one of these.
const COMPLAINTS: [&str; 15] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Call Trace",
    "panicked at",
    "refcount_t:",
    "KASAN:",
    "UBSAN:",
    "ODEBUG:",
    "INFO: possible",
    "INFO: task",
    "INFO: lockdep is turned off",
    "self-detected stall",
    "sleeping function called",
    "suspected memory leaks",
];

/// The last lines of a console, safe to print to a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail(Vec<String>);

impl Tail {
    /// The lines around a panic, if there is one, else the last lines.
    pub fn of(console: &[u8]) -> Self {
        const BEFORE_PANIC: usize = 10;
        const AT_MOST: usize = 60;
        let lines = lines(console);
        let panic = lines.iter().position(|line| line.contains(PANIC));
        let from = panic
            .map_or(lines.len(), |panic| panic.saturating_sub(BEFORE_PANIC))
            .min(lines.len().saturating_sub(TAIL_LINES));
        Self(lines.into_iter().skip(from).take(AT_MOST).collect())
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "  | (the console stayed silent)");
        }
        for (index, line) in self.0.iter().enumerate() {
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "  | {line}{end}")?;
        }
        Ok(())
    }
}

/// Whether the kernel could not unpack the initramfs.
pub fn shows_failed_unpacking(console: &[u8]) -> bool {
    String::from_utf8_lossy(console).contains(UNPACKING_FAILED)
}

/// The lines of a console, without control characters except for tabs.
pub fn lines(console: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(console);
    let mut lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            line.chars()
                .filter(|c| *c == '\t' || !c.is_control())
                .collect::<String>()
        })
        .collect();
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

/// Whether the kernel panicked.
pub fn shows_panic(console: &[u8]) -> bool {
    console
        .windows(PANIC.len())
        .any(|window| window == PANIC.as_bytes())
}

/// The text of a line of the kernel's log, without the time stamp `[    1.234567] `. `None` if the
/// line has no time stamp, so that something else wrote it.
pub fn message(line: &str) -> Option<&str> {
    let line = line.trim_end_matches('\r');
    let (stamp, message) = line.strip_prefix('[')?.split_once("] ")?;
    let (seconds, fraction) = stamp.trim_start().split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(seconds) && digits(fraction)).then_some(message)
}

/// The lines in which the kernel reports a fault of its own.
pub fn complaints(console: &str) -> Vec<&str> {
    // An allocation that fails, which a test may want, prints a trace a few lines further down.
    const TRACE_AFTER: u32 = 6;
    let mut excused = 0;
    console
        .lines()
        .filter(|line| {
            excused = if line.contains("vmalloc error: size") {
                TRACE_AFTER
            } else {
                excused.saturating_sub(1)
            };
            if line.contains("Call Trace") && excused > 0 {
                excused = 0;
                return false;
            }
            COMPLAINTS.iter().any(|sign| line.contains(sign))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_the_last_lines_without_control_characters() {
        let mut text = String::new();
        for number in 0..100 {
            text.push_str(&format!("line {number}\r\n"));
        }
        text.push_str("\x1b[31mred\ttab\r\n\r\n");
        let tail = Tail::of(text.as_bytes()).to_string();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.starts_with("  | line 81\n"));
        assert!(tail.ends_with("\n  | [31mred\ttab"));
    }

    #[test]
    fn a_silent_console_says_so() {
        assert!(Tail::of(b"").to_string().contains("silent"));
        assert!(Tail::of(b"\r\n\r\n").to_string().contains("silent"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(
            Tail::of(b"a\xff\xfeb\n").to_string(),
            "  | a\u{fffd}\u{fffd}b"
        );
    }

    #[test]
    fn a_long_trace_does_not_hide_the_panic() {
        let mut text = "before\n".repeat(100);
        text.push_str("[ 1.0] Kernel panic - not syncing: x\n");
        text.push_str(&"trace\n".repeat(100));
        let tail = Tail::of(text.as_bytes()).to_string();
        assert_eq!(
            tail.lines().position(|line| line.contains("panic")),
            Some(10)
        );
        assert_eq!(tail.lines().count(), 60);
        let short = Tail::of(b"a\nKernel panic - not syncing: x\nb\n").to_string();
        assert_eq!(short.lines().count(), 3);
    }

    #[test]
    fn a_panic_is_seen() {
        assert!(shows_panic(
            b"[    1.0] Kernel panic - not syncing: No working init found.\r\n"
        ));
        assert!(!shows_panic(b"[    1.0] all is well\r\n"));
    }

    #[test]
    fn kernel_messages_are_told_by_their_time_stamp() {
        assert_eq!(
            message("[    0.512345] Round 0 number 0: 1\r"),
            Some("Round 0 number 0: 1")
        );
        assert_eq!(message("[    0.619510] x] y"), Some("x] y"));
        assert_eq!(message("[12345.678901] [a] b"), Some("[a] b"));
        assert_eq!(message("[12345.619510] "), Some(""));
        for line in [
            "",
            "[",
            "[x.y] z",
            "[ 1.] z",
            "[1] z",
            " [ 1.5] z",
            "SeaBIOS (version 1.16)",
            "[core] text",
        ] {
            assert_eq!(message(line), None, "{line}");
        }
    }

    #[test]
    fn complaints_are_told_from_allocations_that_failed() {
        let fine = "[ 1.0] vmalloc error: size 4\n[ 1.0] CPU: 1\n[ 1.0] Call Trace:\nmy_rng: fine";
        assert!(complaints(fine).is_empty());
        let lines =
            "vmalloc error: size 4\nCall Trace:\nWARNING: lib/debugobjects.c:672\nCall Trace:";
        assert_eq!(
            complaints(lines),
            ["WARNING: lib/debugobjects.c:672", "Call Trace:"]
        );
        let far = format!("vmalloc error: size 4\n{}Call Trace:", "fine\n".repeat(6));
        assert_eq!(complaints(&far), ["Call Trace:"]);
    }
}
