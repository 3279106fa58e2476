// SPDX-License-Identifier: GPL-2.0-or-later

//! Standard output that counts the bytes written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Unbuffered standard output. `std::io::Stdout` is line-buffered, which costs time here.
#[derive(Debug)]
pub struct Output {
    file: File,
    pub written: u64,
}

impl Output {
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
