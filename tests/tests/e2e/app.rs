// SPDX-License-Identifier: GPL-2.0-or-later

//! The app in the guest, and by it the known answers.

use my_rng_e2e::{Guest, known_answers};

use crate::first_boot::{SECTIONS, section};

/// These numbers, one a line.
pub fn lines(words: &[u32]) -> String {
    words.iter().map(|word| format!("{word}\n")).collect()
}

/// What the classic check prints if these are the first five numbers.
pub fn classic(words: &[u32; 5]) -> String {
    (0..2)
        .flat_map(|round| {
            words
                .iter()
                .enumerate()
                .map(move |(number, word)| format!("Round {round} number {number}: {word}\n"))
        })
        .collect()
}

#[test]
fn the_classic_check() {
    let checked = Guest::new().run(&["my-rng"]).success();
    assert_eq!(checked.text(), classic(&known_answers::LIBC[0].first));
    assert!(checked.stderr.is_empty(), "{}", checked.report());
}

/// All of them to the thousandth number, in the raw format, which is also what comes through
/// `vm/run` byte for byte.
#[test]
fn known_answers_to_the_thousandth_number() {
    let script: String = known_answers::LIBC
        .iter()
        .map(|answer| {
            format!(
                "my-rng seed {}; my-rng read 1000 --format raw\n",
                answer.seed
            )
        })
        .collect();
    let read = Guest::new().sh(&script).success();
    assert_eq!(read.stdout.len(), known_answers::LIBC.len() * 4000);
    for (answer, bytes) in known_answers::LIBC.iter().zip(read.stdout.chunks(4000)) {
        let words: Vec<_> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        assert_eq!(words[..5], answer.first, "seed {:#x}", answer.seed);
        assert_eq!(words[999], answer.thousandth, "seed {:#x}", answer.seed);
    }
}

#[test]
fn known_answers_at_the_millionth_number() {
    let script: String = known_answers::LIBC
        .iter()
        .map(|answer| {
            format!(
                "my-rng seed {}; my-rng read 1000000 | tail -n 1\n",
                answer.seed
            )
        })
        .collect();
    let read = Guest::new().sh(&script).success();
    assert_eq!(
        read.text(),
        lines(&known_answers::LIBC.map(|answer| answer.millionth))
    );
}

#[test]
fn formats_errors_and_full_disks_in_the_guest() {
    let said = Guest::new()
        .program("as_nobody")
        .sh(&format!(
            "{SECTIONS}
             failed() {{ local status=0; \"$@\" 2>&1 || status=$?; echo \"status $status\"; }}
             my-rng seed 0x42
             section hex; my-rng read 2 --format hex
             section none; my-rng read 0
             exec 3>&1
             section pipe; {{ my-rng read 1000000 || echo \"status $?\" >&3; }} | head -n 1
             section full; failed sh -c 'my-rng read >/dev/full'
             mkdir /small; mount -t tmpfs -o size=16k tmpfs /small
             section disk; failed sh -c 'my-rng read 100000 >/small/file'
             section stream; my-rng seed 0x42; failed my-rng seed 4294967296 | tail -n 1; my-rng read
             chmod 600 /dev/my_rng_driver
             section nobody; failed /as_nobody my-rng read
             chmod 666 /dev/my_rng_driver
             section somebody; failed /as_nobody my-rng read
             section path; failed my-rng --device /dev/my_rng_driver9 read
             address=$(basename $(device))
             echo $address >/sys/bus/pci/drivers/my_rng/unbind
             section unbound; failed my-rng read
             rmmod my_rng
             section unloaded; failed my-rng read"
        ))
        .success();
    let words = &known_answers::LIBC[2].first;
    assert_eq!(
        section(&said, "hex"),
        [format!("0x{:08x}", words[0]), format!("0x{:08x}", words[1])]
    );
    assert!(section(&said, "none").is_empty());
    // `head` has what it wanted, and the app ends without a word.
    let pipe = section(&said, "pipe");
    assert!(pipe.contains(&"status 141"), "{pipe:#?}");
    assert_eq!(pipe.len(), 2, "{pipe:#?}");
    for disk in ["full", "disk"] {
        let lines = section(&said, disk);
        assert!(lines[0].contains("make room"), "{lines:#?}");
        assert_eq!(lines[1..], ["status 1"]);
    }
    // A seed that is none has changed nothing.
    assert_eq!(
        section(&said, "stream"),
        ["status 2", &words[0].to_string()]
    );
    assert_eq!(
        section(&said, "somebody"),
        [&words[1].to_string(), "status 0"]
    );
    for (case, mend) in [
        ("nobody", "sudo"),
        ("path", "/dev/my_rng_driver1"),
        ("unbound", "/sys/bus/pci/drivers/my_rng/bind"),
        ("unloaded", "modprobe my_rng"),
    ] {
        let lines = section(&said, case);
        assert!(lines[0].starts_with("my-rng: cannot open "), "{lines:#?}");
        assert!(lines[0].contains(mend), "{lines:#?}");
        assert_eq!(lines[1..], ["status 1"]);
    }
}
