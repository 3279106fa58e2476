// SPDX-License-Identifier: GPL-2.0-or-later

//! Standard output, which knows how much of it was written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Standard output without a buffer. The library's own has one that lines are cut by, which would only
/// be in the way.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// How many bytes were written.
    pub written: u64,
}

impl Output {
    /// Standard output.
    pub fn stdout() -> io::Result<Self> {
        Ok(Self {
            file: io::stdout().as_fd().try_clone_to_owned()?.into(),
            written: 0,
        })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
