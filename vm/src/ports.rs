// SPDX-License-Identifier: GPL-2.0-or-later

//! The sockets that QEMU connects to, and the threads that read them.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use crate::Error;
use crate::capture::Captured;
use crate::protocol::{self, FromGuest, Stream};
use crate::qemu::accept;

/// What a run waits for.
#[derive(Debug)]
pub(crate) enum Event {
    /// QEMU has connected to a socket, so it has set up its character devices.
    Connected,
    /// The control port is open; answers go here.
    ControlOpen(UnixStream),
    /// The guest sent a message on the control port.
    Control(FromGuest),
    /// The guest sent something that is not a message.
    Confused(String),
    /// This many more bytes of a stream have been written.
    Delivered(Stream, u64),
    /// The console has more.
    ConsoleGrew,
    /// Output could not be written.
    WriteFailed(Stream, io::Error),
    /// The reader of a socket has ended.
    ReaderEnded,
    /// QEMU has ended.
    QemuGone,
    /// A signal asks us to stop.
    Interrupt(i32),
}

/// What is done with the bytes from a socket.
pub(crate) enum Reader {
    /// Write a stream of the command's.
    Output(Stream, Box<dyn Write + Send>),
    /// Show the console, and gather it.
    Console(Box<dyn Write + Send>, Captured),
    /// Take the guest's messages.
    Control,
}

/// A socket that QEMU will connect to, and what will read it.
pub(crate) struct Port {
    listener: UnixListener,
    reader: Reader,
}

impl Port {
    pub fn bind(path: &Path, reader: Reader) -> Result<Self, Error> {
        UnixListener::bind(path)
            .map(|listener| Self { listener, reader })
            .map_err(|error| Error::file("listen on", path, &error))
    }

    /// Starts the reader. It ends with QEMU at the latest, and sends [`Event::ReaderEnded`] then.
    pub fn serve(self, pidfd: Arc<OwnedFd>, events: Sender<Event>) {
        thread::spawn(move || {
            if let Ok(Some(socket)) = accept(&self.listener, &pidfd, None) {
                let _ = events.send(Event::Connected);
                self.reader.read(socket, &events);
            }
            let _ = events.send(Event::ReaderEnded);
        });
    }
}

impl Reader {
    /// Reads to the end. If an event cannot be sent, the run is over.
    fn read(self, mut socket: UnixStream, events: &Sender<Event>) {
        match self {
            Self::Output(stream, mut sink) => {
                if opened(&mut socket, events) {
                    pass_on(&mut socket, &mut sink, stream, events, |bytes| {
                        Event::Delivered(stream, bytes.len() as u64)
                    });
                }
            }
            Self::Console(mut sink, mut gathered) => {
                pass_on(&mut socket, &mut sink, Stream::Stdout, events, |bytes| {
                    let _ = gathered.write_all(bytes);
                    Event::ConsoleGrew
                });
            }
            Self::Control => {
                if let (true, Ok(answers)) = (opened(&mut socket, events), socket.try_clone()) {
                    let _ = events.send(Event::ControlOpen(answers));
                    read_messages(&mut BufReader::new(socket), events);
                }
            }
        }
    }
}

/// Reads a port's opening line.
fn opened(socket: &mut UnixStream, events: &Sender<Event>) -> bool {
    protocol::read_opening(socket).unwrap_or_else(|error| {
        confused(&error, events);
        false
    })
}

fn read_messages(port: &mut BufReader<UnixStream>, events: &Sender<Event>) {
    loop {
        match protocol::receive(port) {
            Ok(Some(message)) => {
                if events.send(Event::Control(message)).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return confused(&error, events),
        }
    }
}

/// Reports what is not a message. Any other error means that QEMU has ended, which has its own event.
fn confused(error: &io::Error, events: &Sender<Event>) {
    if error.kind() == io::ErrorKind::InvalidData {
        let _ = events.send(Event::Confused(error.to_string()));
    }
}

/// Copies from a socket to `sink`, until the end or an error, which a killed QEMU may cause, too.
fn pass_on(
    socket: &mut UnixStream,
    sink: &mut impl Write,
    stream: Stream,
    events: &Sender<Event>,
    mut delivered: impl FnMut(&[u8]) -> Event,
) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let bytes = match socket.read(&mut buffer) {
            Ok(length) if length > 0 => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            _ => return,
        };
        let written = sink.write_all(bytes).and_then(|()| sink.flush());
        let failed = written.is_err();
        let event = match written {
            Ok(()) => delivered(bytes),
            Err(error) => Event::WriteFailed(stream, error),
        };
        if events.send(event).is_err() || failed {
            return;
        }
    }
}
