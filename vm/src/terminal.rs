// SPDX-License-Identifier: GPL-2.0-or-later

//! The terminal that the launcher is used from.

use std::env;
use std::io;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::job::Terminal;

/// What the guest's shell must know of the terminal.
pub(crate) fn describe() -> Terminal {
    let size = tcgetwinsize(io::stdout()).ok();
    Terminal {
        name: env::var_os("TERM").unwrap_or_default(),
        rows: size.map_or(0, |size| size.ws_row),
        columns: size.map_or(0, |size| size.ws_col),
    }
}

/// The terminal's settings. They are restored when this is dropped, as a killed QEMU does not do it.
pub(crate) struct SavedTerminal(Termios);

impl SavedTerminal {
    pub fn save() -> Option<Self> {
        let stdin = io::stdin();
        isatty(&stdin).then(|| tcgetattr(&stdin).ok().map(Self))?
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
