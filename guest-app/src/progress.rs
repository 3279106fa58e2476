// SPDX-License-Identifier: GPL-2.0-or-later

//! The progress bar of a long read.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The line is less than 80 columns wide.
const TEMPLATE: &str = "{bar:20} {percent:>3}% {binary_bytes} of {binary_total_bytes}, \
                        {binary_bytes_per_sec}, {eta} left";

/// A bar on stderr, or nothing. The bar is cleared on drop.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub fn none() -> Self {
        Self(None)
    }

    /// For a read of `bytes` bytes in pieces of `piece`. Draws a bar only if the read takes more than one piece,
    /// stderr is a terminal, and the numbers are not printed to a terminal too.
    pub fn new(
        bytes: u128,
        piece: usize,
        stdout_is_terminal: bool,
        stderr_is_terminal: bool,
    ) -> Self {
        let long = bytes > piece as u128;
        if !long || stdout_is_terminal || !stderr_is_terminal {
            return Self::none();
        }
        let length = u64::try_from(bytes).unwrap_or(u64::MAX);
        Self(Some(bar(length, ProgressDrawTarget::stderr())))
    }

    /// Reports that `bytes` more bytes were read.
    pub fn advance(&self, bytes: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar(length: u64, target: ProgressDrawTarget) -> ProgressBar {
    // The template is constant and tested, so the fallback is never used.
    let style = ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=>.");
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};

    const PIECE: usize = 4096;

    fn drawn(bytes: u128, stdout: bool, stderr: bool) -> bool {
        Progress::new(bytes, PIECE, stdout, stderr).0.is_some()
    }

    #[test]
    fn bar_needs_stderr_and_not_stdout_on_a_terminal() {
        let long = PIECE as u128 + 1;
        assert!(drawn(long, false, true));
        assert!(drawn(u128::MAX, false, true));
        assert!(!drawn(long, false, false));
        assert!(!drawn(long, true, true));
        assert!(!drawn(long, true, false));
    }

    #[test]
    fn short_reads_have_no_bar() {
        for bytes in [0, 4, PIECE as u128] {
            assert!(!drawn(bytes, false, true), "{bytes}");
        }
    }

    #[test]
    fn bar_shows_progress_rate_and_time_left() {
        let terminal = InMemoryTerm::new(4, 80);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let progress = Progress(Some(bar(1 << 30, target)));
        progress.advance(1 << 28);
        if let Some(bar) = &progress.0 {
            bar.force_draw();
        }
        let line = terminal.contents();
        assert!(
            line.starts_with("=====>.............. ")
                && line.contains(" 25% 256.00 MiB of 1.00 GiB, ")
                && line.contains("/s, ")
                && line.ends_with(" left"),
            "{line}"
        );
        assert!(line.len() < usize::from(terminal.width()), "{line}");
        drop(progress);
        assert_eq!(terminal.contents(), "");
    }
}
