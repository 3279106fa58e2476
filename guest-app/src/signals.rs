// SPDX-License-Identifier: GPL-2.0-or-later

//! Being asked to stop (Ctrl-C, `kill`, a terminal that is closed), so that what was taken from the stream
//! is still written.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Whether this program was asked to stop, and by which signal.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on, the first of the signals only asks. The second ends the program at once, whatever it
    /// waits for. One that whoever started the program had it ignore, as a shell does with SIGINT for what
    /// runs in the background, and nohup with SIGHUP, stays ignored.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            // In this order: the first signal must not find its own mark.
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

    /// Whether a signal came.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends the program as the signal would have, so that whoever started it sees what it was; returns
    /// if none came.
    pub fn end(&self) {
        let signal = self.signal.load(Ordering::SeqCst);
        if let Ok(signal @ 1..) = i32::try_from(signal) {
            // Where that fails, the exit status of a failure has to do.
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

/// The set of signals that a process ignores, from its status.
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
    fn the_set_of_what_is_ignored() {
        let status =
            "Name:\tmy-rng\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001002\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 1 << (SIGINT - 1) | 1 << (13 - 1));
        for status in ["", "SigIgn:\n", "SigIgn:\tmany\n"] {
            assert_eq!(ignored(status), 0, "{status:?}");
        }
    }
}
