// SPDX-License-Identifier: GPL-2.0-or-later

//! Stops a read on SIGINT, SIGTERM or SIGHUP, so that the numbers already taken are still written.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Whether a signal asked the app to stop, and which.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Installs the handlers. The first signal only sets a flag; the second one ends the program at once, for example
    /// if it hangs in a write. A signal that is already ignored stays ignored: a shell ignores SIGINT for background
    /// jobs, and nohup ignores SIGHUP.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            // In this order: otherwise the first signal would find the flag that it has just set.
            flag::register_conditional_default(signal, Arc::clone(&stop.asked))?;
            flag::register(signal, Arc::clone(&stop.asked))?;
            flag::register_usize(
                signal,
                Arc::clone(&stop.signal),
                signal.unsigned_abs() as usize,
            )?;
        }
        Ok(stop)
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends the program by the signal's default action, so that the parent sees the signal. Returns if no signal
    /// arrived.
    pub fn end(&self) {
        let signal = self.signal.load(Ordering::SeqCst);
        if let Ok(signal @ 1..) = i32::try_from(signal) {
            // If this fails, the app exits with status 1.
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

/// Returns the set of ignored signals from the text of `/proc/self/status`.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_parsed() {
        let status =
            "Name:\tmy-rng\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001002\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 1 << (SIGINT - 1) | 1 << (13 - 1));
        for status in ["", "SigIgn:\n", "SigIgn:\tmany\n"] {
            assert_eq!(ignored(status), 0, "{status:?}");
        }
    }
}
