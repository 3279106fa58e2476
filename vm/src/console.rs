// SPDX-License-Identifier: GPL-2.0-or-later

//! What the guest said on its serial console.

use std::fmt;
use std::path::Path;

/// How many lines of the console an error shows.
const TAIL_LINES: usize = 20;

/// What a panicking kernel says.
const PANIC: &str = "Kernel panic - not syncing";

/// What a kernel says when the initramfs does not fit into the memory.
const UNPACKING_FAILED: &str = "Initramfs unpacking failed";

/// The last lines of a console, fit for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail(Vec<String>);

impl Tail {
    /// The last lines of `console`.
    pub fn of(console: &[u8]) -> Self {
        let lines = lines(console);
        let from = lines.len().saturating_sub(TAIL_LINES);
        Self(lines.into_iter().skip(from).collect())
    }

    /// What a panicking kernel said last, from a little before the panic on.
    pub fn of_panic(console: &[u8]) -> Self {
        const BEFORE: usize = 10;
        const AT_MOST: usize = 60;
        let lines = lines(console);
        let panic = lines.iter().position(|line| line.contains(PANIC));
        let from = panic
            .map_or(0, |panic| panic.saturating_sub(BEFORE))
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

/// The lines of a console, without what would disturb a terminal; a tab stays a tab.
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

/// Whether the kernel said that it panicked.
pub fn shows_panic(console: &[u8]) -> bool {
    console
        .windows(PANIC.len())
        .any(|window| window == PANIC.as_bytes())
}

/// What a console's file holds; nothing if it cannot be read, as it only serves error messages.
pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_without_control_characters() {
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
    fn bytes_that_are_no_text_are_shown_as_far_as_possible() {
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
        let tail = Tail::of_panic(text.as_bytes()).to_string();
        assert_eq!(
            tail.lines().position(|line| line.contains("panic")),
            Some(10)
        );
        assert_eq!(tail.lines().count(), 60);
        let short = Tail::of_panic(b"a\nKernel panic - not syncing: x\nb\n").to_string();
        assert_eq!(short.lines().count(), 3);
    }

    #[test]
    fn a_panic_is_seen() {
        assert!(shows_panic(
            b"[    1.0] Kernel panic - not syncing: No working init found.\r\n"
        ));
        assert!(!shows_panic(b"[    1.0] all is well\r\n"));
    }
}
