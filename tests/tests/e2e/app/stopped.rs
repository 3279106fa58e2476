// SPDX-License-Identifier: GPL-2.0-or-later

//! Reads that are stopped in the middle.

use my_rng_e2e::answers::{Kind, sha256sum};
use my_rng_e2e::{Finished, Guest, Machine};

use crate::first_boot::{SECTIONS, section};

/// The count of numbers in the message of a read that was stopped.
fn taken(said: &Finished, name: &str, beginning: &str) -> usize {
    let message = section(said, name).concat();
    message
        .strip_prefix(beginning)
        .and_then(|rest| rest.split_once(" numbers were taken from the stream, "))
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{message:?}"))
}

/// Reads without end, into a pipe. The pipe's reader takes 64 KiB, runs `action`, and takes the rest.
fn endless(action: &str) -> Finished {
    Guest::new()
        .sh(&format!(
            "{SECTIONS}
             some() {{ dd bs=1k count=$1 iflag=fullblock 2>/dev/null; }}
             mkfifo /fifo
             address=$(basename $(device))
             {{ some 64; {action}; cat; }} </fifo >/bytes & reader=$!
             status=0; my-rng read --seed 0x42 --bytes 1T 2>/errors >/fifo || status=$?
             wait $reader
             section status; echo $status
             section errors; grep ^my-rng: /errors
             section length; wc -c </bytes
             section digest; sha256sum </bytes
             section words; my-rng info | grep words || true"
        ))
        .success()
}

/// Checks that all numbers that were taken have arrived, and that the message says so. Returns how many.
fn check_nothing_lost(said: &Finished, beginning: &str) -> usize {
    let numbers = taken(said, "errors", beginning);
    assert!(numbers > 16384, "{numbers}");
    let bytes = 4 * numbers;
    let message = section(said, "errors").concat();
    assert!(
        message.ends_with(&format!(", {bytes} bytes of output written")),
        "{message}"
    );
    assert_eq!(section(said, "length"), [bytes.to_string()]);
    assert_eq!(
        section(said, "digest"),
        [sha256sum(Kind::Libc, 0x42, bytes)]
    );
    numbers
}

#[test]
fn a_read_that_a_signal_stops_loses_no_number() {
    for (action, status) in [
        ("kill -TERM $(pidof my-rng)", "143"),
        ("kill -INT $(pidof my-rng)", "130"),
        ("kill -HUP $(pidof my-rng)", "129"),
    ] {
        let said = endless(action);
        assert_eq!(section(&said, "status"), [status]);
        let numbers = check_nothing_lost(&said, "my-rng: interrupted; ");
        assert_eq!(section(&said, "words"), [format!("words:      {numbers}")]);
    }
}

/// Much more is read after the ignored signal than a pipe holds.
#[test]
fn an_ignored_signal_stops_nothing() {
    let said = Guest::new()
        .sh(&format!(
            "{SECTIONS}
             mkfifo /fifo
             trap '' INT
             some() {{ dd bs=1k count=$1 iflag=fullblock 2>/dev/null; }}
             {{ some 64; kill -INT $(pidof my-rng); some 4096; kill -TERM $(pidof my-rng); cat; }} \
                 </fifo >/dev/null & reader=$!
             status=0; my-rng read --bytes 1T 2>/dev/null >/fifo || status=$?
             wait $reader
             section status; echo $status"
        ))
        .success();
    assert_eq!(section(&said, "status"), ["143"], "{}", said.report());
}

#[test]
fn a_read_whose_device_goes_away_loses_no_number() {
    let said = endless("echo $address >/sys/bus/pci/drivers/my_rng/unbind");
    assert_eq!(section(&said, "status"), ["5"]);
    let beginning = "my-rng: cannot read from /dev/my_rng_driver: the device is gone; ";
    check_nothing_lost(&said, beginning);
}

#[test]
fn a_read_to_a_full_disk_says_how_much_was_written() {
    let said = Guest::new()
        .sh(&format!(
            "{SECTIONS}
             mkdir /small; mount -t tmpfs -o size=64k tmpfs /small
             section full; my-rng read --seed 0x42 --bytes 1M 2>&1 >/small/file && exit 1
             section length; wc -c </small/file
             section digest; sha256sum </small/file"
        ))
        .success();
    let numbers = taken(
        &said,
        "full",
        "my-rng: cannot write the output: No space left on device (os error 28); make room or redirect it; ",
    );
    assert!((16384..=2 * 16384).contains(&numbers), "{numbers}");
    let message = section(&said, "full").concat();
    assert!(
        message.ends_with(", 65536 bytes of output written"),
        "{message}"
    );
    assert_eq!(section(&said, "length"), ["65536"]);
    assert_eq!(
        section(&said, "digest"),
        [sha256sum(Kind::Libc, 0x42, 65536)]
    );
}

#[test]
fn a_read_shows_progress_on_a_terminal_and_restores_it() {
    let mut guest = Machine::guest().device("my_rng").start();
    let console = &mut guest.console;
    console.shell();
    console.run("stty -a >/before");

    let error = console.run("my-rng read --bytes 8 || test $? = 2");
    assert!(error.concat().contains("garble the terminal"), "{error:?}");
    assert_eq!(console.run("my-rng read --seed 0x42 1"), ["286129175"]);

    // The guest's own terminal is dumb: no bar.
    assert!(console.run("my-rng read --bytes 1M >/dev/null").is_empty());
    console.shell_line("TERM=linux my-rng read --bytes 1T >/dev/null");
    console.until(" left");
    let bar = console.until(" left");
    for part in [" of 1.00 TiB, ", "iB/s, "] {
        assert!(bar.contains(part), "no {part} in {bar:?}");
    }
    let rest = console.interrupt();
    assert!(rest.concat().contains("my-rng: interrupted; "), "{rest:#?}");
    assert_eq!(console.run("test $? = 130 && echo ok"), ["ok"]);
    console.run("stty -a >/after; cmp /before /after");

    // No bar between numbers on the same terminal.
    let numbers = console.run("TERM=linux my-rng read --seed 0x42 20000 --format hex");
    assert_eq!(numbers.len(), 20000);
    guest.quit();
}
