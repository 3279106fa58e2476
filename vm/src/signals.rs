// SPDX-License-Identifier: GPL-2.0-or-later

//! Signals that ask us to stop.

use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Error;
use crate::protocol::signal_status;

/// A request to stop, which a run obeys at any point.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Mutex<State>>);

/// Takes the signal's number. Returns `false` if it needs no further calls.
type Listener = Box<dyn Fn(i32) -> bool + Send>;

#[derive(Default)]
struct State {
    raised: Option<i32>,
    listeners: Vec<Listener>,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    /// Asks every run that has this interrupt to stop, as if by `signal`.
    pub fn raise(&self, signal: i32) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.raised.get_or_insert(signal);
        state.listeners.retain(|listener| listener(signal));
    }

    /// Calls `listener` for each request, also for one that was made before.
    pub(crate) fn subscribe(&self, listener: impl Fn(i32) -> bool + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.raised.is_none_or(&listener) {
            state.listeners.push(Box::new(listener));
        }
    }

    /// Raises the interrupt when a signal asks the process to stop.
    pub fn on_signals(&self) -> Result<(), Error> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored_signals(&status);
        let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
            .into_iter()
            // What `nohup` or a shell's background job ignores stays ignored.
            .filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let mut signals = Signals::new(wanted)
            .map_err(|error| Error::Host(format!("cannot watch for signals: {error}")))?;
        let interrupt = self.clone();
        thread::spawn(move || {
            let mut first = None;
            for signal in signals.forever() {
                if repeated(&mut first, Instant::now()) {
                    die_of(signal);
                }
                interrupt.raise(signal);
            }
        });
        Ok(())
    }
}

/// Whether a signal is a second request, which ends us at once. Right after the first it is not:
/// `timeout` signals its child and then the whole group.
fn repeated(first: &mut Option<Instant>, now: Instant) -> bool {
    const SAME_REQUEST: Duration = Duration::from_millis(200);
    now.saturating_duration_since(*first.get_or_insert(now)) > SAME_REQUEST
}

/// Ends the process by the signal, so that a shell or `make` sees why.
pub fn die_of(signal: i32) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(i32::from(signal_status(signal)))
}

/// The ignored signals in `/proc/self/status`, as a bit mask.
fn ignored_signals(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_run_gets_the_interrupt_and_so_does_a_later_one() {
        let interrupt = Interrupt::default();
        let subscribe = || {
            let (sender, heard) = channel();
            interrupt.subscribe(move |signal| sender.send(signal).is_ok());
            heard
        };
        let before = subscribe();
        drop(subscribe());
        interrupt.clone().raise(SIGTERM);
        let after = subscribe();
        for heard in [before, after] {
            assert_eq!(heard.try_recv(), Ok(SIGTERM));
        }
    }

    #[test]
    fn second_request_is_told_from_a_repeated_signal() {
        let now = Instant::now();
        let mut first = None;
        assert!(!repeated(&mut first, now));
        assert!(!repeated(&mut first, now + Duration::from_millis(1)));
        assert!(repeated(&mut first, now + Duration::from_secs(1)));
    }

    #[test]
    fn mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), 1 << (SIGHUP - 1) | 1 << 12);
        assert_eq!(ignored_signals(""), 0);
    }
}
