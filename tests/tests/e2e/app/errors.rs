// SPDX-License-Identifier: GPL-2.0-or-later

//! What the app says when something is wrong.

use my_rng_e2e::Guest;
use my_rng_e2e::answers::libc;

use super::FAILED;
use crate::first_boot::{SECTIONS, section};

#[test]
fn errors_say_how_to_fix_them() {
    let said = Guest::new()
        .program("as_nobody")
        .sh(&format!(
            "{SECTIONS}
             {FAILED}
             my-rng seed 0x42
             section hex; my-rng read 2 --format hex
             section none; my-rng read 0
             exec 3>&1
             section pipe; {{ my-rng read 1000000 || echo \"status $?\" >&3; }} | head -n 1
             section full; failed sh -c 'my-rng read >/dev/full'
             mkdir /small; mount -t tmpfs -o size=16k tmpfs /small
             section disk; failed sh -c 'my-rng read 100000 >/small/file'
             section file; failed my-rng read 100000 -o /small/file
             section stream; my-rng seed 0x42; failed my-rng seed 4294967296 | tail -n 1; my-rng read
             chmod 600 /dev/my_rng_driver
             section nobody; failed /as_nobody my-rng read
             chmod 644 /dev/my_rng_driver
             section reader; failed /as_nobody my-rng read; failed /as_nobody my-rng read --seed 1
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
    let words = libc(0x42);
    assert_eq!(
        section(&said, "hex"),
        [format!("0x{:08x}", words[0]), format!("0x{:08x}", words[1])]
    );
    assert!(section(&said, "none").is_empty());
    // `head` has ended, and the app ends silently.
    let pipe = section(&said, "pipe");
    assert!(pipe.contains(&"status 141"), "{pipe:#?}");
    assert_eq!(pipe.len(), 2, "{pipe:#?}");
    for disk in ["full", "disk", "file"] {
        let lines = section(&said, disk);
        assert!(lines[0].contains("make room"), "{lines:#?}");
        assert_eq!(lines[1..], ["status 1"]);
    }
    // An invalid seed changes nothing.
    assert_eq!(
        section(&said, "stream"),
        ["status 2", &words[0].to_string()]
    );
    assert_eq!(
        section(&said, "somebody"),
        [&words[2].to_string(), "status 0"]
    );
    // Who may only read gets numbers, but cannot seed.
    let reader = section(&said, "reader");
    assert_eq!(reader[..2], [&words[1].to_string(), "status 0"]);
    assert!(reader[2].contains("permission denied"), "{reader:#?}");
    assert_eq!(reader[3..], ["status 4"]);
    for (case, fix, status) in [
        ("nobody", "sudo", 4),
        ("path", "/dev/my_rng_driver1", 3),
        ("unbound", "/sys/bus/pci/drivers/my_rng/bind", 3),
        ("unloaded", "modprobe my_rng", 3),
    ] {
        let lines = section(&said, case);
        assert!(lines[0].starts_with("my-rng: cannot open "), "{lines:#?}");
        assert!(lines[0].contains(fix), "{lines:#?}");
        assert_eq!(lines[1..], [format!("status {status}")]);
    }
}

/// The tutorial makes the node before the driver is loaded. The kernel does not replace it.
#[test]
fn a_node_made_by_hand_is_reported() {
    let said = Guest::new()
        .switch("--no-module")
        .sh(&format!(
            "{SECTIONS}
             failed() {{ if \"$@\" 2>&1; then exit 1; fi; }}
             mknod /dev/my_rng_driver c 250 0
             section unloaded; failed my-rng
             insmod /lib/modules/my_rng.ko
             section loaded; failed my-rng; failed my-rng read; failed my-rng info
             # A device of another driver, which has neither ioctl.
             rm /dev/my_rng_driver; mknod /dev/my_rng_driver c 1 3
             section null; failed my-rng seed 1; failed my-rng read
             # Now do what the message says.
             rm /dev/my_rng_driver; rmmod my_rng; insmod /lib/modules/my_rng.ko
             section fixed; my-rng seed 0x42; my-rng read"
        ))
        .success();
    let unloaded = section(&said, "unloaded");
    assert!(
        unloaded[0].contains(
            "no driver uses it; remove it (`sudo rm /dev/my_rng_driver`), then: the driver is not loaded"
        ),
        "{unloaded:#?}"
    );
    for (name, number, lines) in [("loaded", "250:0", 3), ("null", "1:3", 2)] {
        let said = section(&said, name);
        assert_eq!(said.len(), lines, "{said:#?}");
        for line in said {
            assert!(
                line.contains(&format!("device number {number}, but the driver's is 10:")),
                "{line}"
            );
            assert!(line.contains("`sudo rm /dev/my_rng_driver`"), "{line}");
        }
    }
    assert_eq!(section(&said, "fixed"), [libc(0x42)[0].to_string()]);
}

/// Each prints only its reason, and takes no number. `guest-app/tests/cli.rs` has more of them.
#[test]
fn bad_arguments_are_refused() {
    const BAD: [(&str, &str); 10] = [
        ("read 1G", "--bytes 1G"),
        ("read -1", "no sign"),
        ("read 18446744073709551616", "too large"),
        ("read 1 2", "unexpected argument"),
        ("read --format", "a value is required"),
        ("read --bytes", "a value is required"),
        ("read --bytes ''", "not a number"),
        ("read --seed", "a value is required"),
        ("info 5", "unexpected argument"),
        ("completions tcsh", "bash, elvish, fish"),
    ];
    let tries: String = BAD
        .iter()
        .map(|(arguments, _)| {
            format!("my-rng {arguments} && exit 1; echo status $?; echo ---- >&2\n")
        })
        .collect();
    let said = Guest::new()
        .sh(&format!(
            "{SECTIONS} my-rng seed 0x42\n section tries\n {tries} section next\n my-rng read"
        ))
        .success();
    assert_eq!(section(&said, "tries"), ["status 2"; BAD.len()]);
    let errors = said.errors();
    let messages: Vec<_> = errors.split_terminator("----\n").collect();
    assert_eq!(messages.len(), BAD.len(), "{errors}");
    for ((arguments, reason), message) in BAD.iter().zip(messages) {
        assert!(message.starts_with("error: "), "{arguments}: {message}");
        assert!(message.contains(reason), "{arguments}: {message}");
    }
    assert_eq!(section(&said, "next"), [libc(0x42)[0].to_string()]);
}
