// SPDX-License-Identifier: GPL-2.0-or-later

//! QEMU's test protocol: a test does what firmware and a driver would do.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::arch::facts;
use crate::{DEADLINE, Process};

/// The slot of the device on the bus.
pub(crate) const SLOT: u64 = 4;

#[derive(Debug)]
pub(crate) struct Qtest(BufReader<UnixStream>);

impl Qtest {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a socket has timeouts");
        Self(BufReader::new(stream))
    }

    /// Executes a command. Returns the answer without its `OK`.
    fn execute(&mut self, command: &str) -> String {
        let line = format!("{command}\n");
        self.0
            .get_mut()
            .write_all(line.as_bytes())
            .expect("QEMU reads commands");
        loop {
            let mut answer = String::new();
            self.0
                .read_line(&mut answer)
                .unwrap_or_else(|error| panic!("{command}: {error}"));
            // Interrupts are reported in between.
            if answer.starts_with("IRQ") {
                continue;
            }
            let answer = answer.strip_prefix("OK");
            let answer = answer.unwrap_or_else(|| panic!("{command} has failed"));
            return answer.trim().to_owned();
        }
    }
}

impl Process {
    fn qtest(&mut self, command: &str) -> String {
        let qtest = self.qtest.as_mut().expect("a machine without a guest");
        qtest.execute(command)
    }

    /// Writes to the device's configuration space: size `w` or `l`.
    fn configure(&mut self, size: char, offset: u64, value: u64) {
        match facts().ecam {
            Some(ecam) => self.write(size, ecam + (SLOT << 15) + offset, value),
            None => {
                let address = 0x8000_0000 | SLOT << 11 | offset;
                self.qtest(&format!("outl 0xcf8 {address:#x}"));
                self.qtest(&format!("out{size} 0xcfc {value:#x}"));
            }
        }
    }

    /// Has the device's first BAR at [`registers`](crate::arch::Facts::registers), and writes its command register
    /// (2: memory decoding, 4: DMA).
    pub fn enable(&mut self, command: u16) {
        self.configure('l', 0x10, facts().registers);
        self.configure('w', 0x04, command.into());
    }

    /// Reads 1, 2, 4 or 8 bytes of memory: size `b`, `w`, `l` or `q`.
    pub fn read(&mut self, size: char, address: u64) -> u64 {
        let answer = self.qtest(&format!("read{size} {address:#x}"));
        let digits = answer.strip_prefix("0x").expect("a hexadecimal number");
        u64::from_str_radix(digits, 16).expect("a hexadecimal number")
    }

    /// Writes 1, 2, 4 or 8 bytes of memory.
    pub fn write(&mut self, size: char, address: u64, value: u64) {
        self.qtest(&format!("write{size} {address:#x} {value:#x}"));
    }
}
