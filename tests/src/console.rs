// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's serial console, with a shell on it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use crate::DEADLINE;

/// The prompt of the guest's shell.
const PROMPT: &str = "guest:~#";
/// Added to each line for the shell. The shell echoes what is typed; the quotes keep the echo apart from the
/// output.
const END: &str = "; echo e''nd:$?";

/// A serial console.
#[derive(Debug)]
pub struct Console {
    input: UnixStream,
    output: Receiver<Vec<u8>>,
    /// Output that nobody has asked for yet.
    pending: String,
}

impl Console {
    pub(crate) fn new(input: UnixStream) -> Self {
        let mut stream = input.try_clone().expect("a second handle");
        let (sender, output) = channel();
        // Always reads, so that the guest never waits for us.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            input,
            output,
            pending: String::new(),
        }
    }

    /// Waits for the shell's prompt.
    pub fn shell(&mut self) {
        self.until(PROMPT);
    }

    /// Types a line for the shell. [`Console::until_end`] waits for its end.
    pub fn shell_line(&mut self, line: &str) {
        writeln!(self.input, "{line}{END}").expect("QEMU takes input");
    }

    /// Waits for the end of the shell's line, which must succeed. Returns the lines that it printed.
    pub fn until_end(&mut self) -> Vec<String> {
        let end = "\nend:";
        let text = self.until(end);
        let status = self.until("\r\n");
        assert_eq!(status, "0\r\n", "the shell's line failed: {text}");
        self.shell();
        let lines = lines(text.strip_suffix(end).unwrap_or_default());
        let mut lines = lines.into_iter().skip_while(|line| !line.contains(END));
        lines.next();
        lines.collect()
    }

    /// Runs a line of the shell, which must succeed. Returns the lines that it printed.
    pub fn run(&mut self, line: &str) -> Vec<String> {
        self.shell_line(line);
        self.until_end()
    }

    /// Waits until the shell has echoed a whole line.
    pub fn echo(&mut self) {
        self.until(&format!("{END}\r\n"));
    }

    /// Changes the prompt, so that [`Console::shell`] waits for the prompt of the next boot.
    pub fn change_prompt(&mut self) {
        self.shell_line("PS1=before''-the-reset");
        self.until("before-the-reset");
    }

    /// Interrupts the shell's line. Returns the lines that it has printed since the last wait.
    pub fn interrupt(&mut self) -> Vec<String> {
        const ECHO: &str = "^C";
        self.input.write_all(b"\x03").expect("QEMU takes input");
        // The program may print before the echo: the kernel sends the signal first.
        let before = self.until(ECHO);
        let text = before.strip_suffix(ECHO).unwrap_or_default().to_owned() + &self.until(PROMPT);
        lines(&text)
    }

    /// Waits for `marker`. Returns everything up to and including it.
    pub fn until(&mut self, marker: &str) -> String {
        loop {
            if let Some(at) = self.pending.find(marker) {
                let rest = self.pending.split_off(at + marker.len());
                return std::mem::replace(&mut self.pending, rest);
            }
            match self.output.recv_timeout(DEADLINE) {
                Ok(bytes) => self.pending.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the guest is silent, without {marker:?}: {}", self.pending)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the console ended, without {marker:?}: {}", self.pending)
                }
            }
        }
    }

    /// Everything that was printed since the last wait.
    pub(crate) fn take(&mut self) -> String {
        while let Ok(bytes) = self.output.try_recv() {
            self.pending.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.pending)
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}
