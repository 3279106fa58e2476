// SPDX-License-Identifier: GPL-2.0-or-later

//! Where the output goes: stdout or a file, with the bytes written counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// An unbuffered output. `std::io::Stdout` is line-buffered, which costs time here.
#[derive(Debug)]
pub struct Output {
    file: File,
    is_stdout: bool,
    pub written: u64,
}

impl Output {
    pub fn stdout() -> io::Result<Self> {
        Ok(Self {
            file: io::stdout().as_fd().try_clone_to_owned()?.into(),
            is_stdout: true,
            written: 0,
        })
    }

    /// Creates the file, or empties it.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            is_stdout: false,
            written: 0,
        })
    }

    /// Reports errors that the system would report only after the end of the program, or not at all.
    pub fn finish(self) -> io::Result<()> {
        // Other files, such as terminals, cannot be synced.
        if !self.is_stdout && self.file.metadata()?.is_file() {
            self.file.sync_all()?;
        }
        Ok(())
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
