// SPDX-License-Identifier: GPL-2.0-or-later

//! The app in the guest, and by it the known answers.

use std::path::PathBuf;
use std::process::Command;

use my_rng_dev::generator::{Generator, Kind};
use my_rng_e2e::{Finished, Guest, Machine, build_folder, known_answers, root};
use serde_json::{Value, json};

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
    // An invalid seed has changed nothing.
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

/// The digests of the first mebibyte and of the first 1000003 bytes of the seed 0x42's stream, and the word
/// behind those. For libc they were made with glibc's `rand`, for chacha20 with OpenSSL.
struct Digests {
    generator: &'static str,
    mebibyte: &'static str,
    odd: &'static str,
    next: u32,
}

const DIGESTS: [Digests; 2] = [
    Digests {
        generator: "libc",
        mebibyte: "204e0feab9b42b1132acf75787d78f4d5562211640d8565fb810a4bedcebf3cd",
        odd: "d3d57b483e60fb6224e3f060c4498985b3c9021ef2dae432b1e78a6f6e468f49",
        next: 1380851074,
    },
    Digests {
        generator: "chacha20",
        mebibyte: "ea4882ac2e9820b1d6346dda5443eed00c14dbbdcc83bf46a64483ffff78f117",
        odd: "a3f425ebf96ab4ba12676c71e5108595f5a07104c218731a36932ee7f25086ec",
        next: 1084519204,
    },
];

/// As the tutorial makes it, before the driver is loaded: the kernel does not replace it.
#[test]
fn a_node_made_by_hand_is_told_from_the_driver_s() {
    let said = Guest::new()
        .switch("--no-module")
        .sh(&format!(
            "{SECTIONS}
             failed() {{ if \"$@\" 2>&1; then exit 1; fi; }}
             mknod /dev/my_rng_driver c 250 0
             section unloaded; failed my-rng
             insmod /lib/modules/my_rng.ko
             section loaded; failed my-rng; failed my-rng read; failed my-rng info
             # A device of another driver, which takes neither.
             rm /dev/my_rng_driver; mknod /dev/my_rng_driver c 1 3
             section null; failed my-rng seed 1; failed my-rng read
             # As the message says.
             rm /dev/my_rng_driver; rmmod my_rng; insmod /lib/modules/my_rng.ko
             section mended; my-rng seed 0x42; my-rng read"
        ))
        .success();
    let unloaded = section(&said, "unloaded");
    assert!(
        unloaded[0].contains(
            "no driver uses it; first remove it (`sudo rm /dev/my_rng_driver`), then: the driver is not loaded"
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
    assert_eq!(
        section(&said, "mended"),
        [known_answers::LIBC[2].first[0].to_string()]
    );
}

fn of_generator(name: &str) -> Guest {
    Guest::new().option("--device", format!("my_rng,generator={name}"))
}

#[test]
fn known_bytes_in_bulk() {
    // Around a number, around the driver's piece of 256 bytes, around the app's.
    const SIZES: [usize; 11] = [1, 2, 3, 4, 5, 255, 257, 65535, 65536, 65537, 65541];
    let sizes = SIZES.map(|size| size.to_string()).join(" ");
    for digests in &DIGESTS {
        let said = of_generator(digests.generator)
            .sh(&format!(
                "{SECTIONS}
                 section mebibyte; my-rng read --seed 0x42 --bytes 1M | sha256sum
                 section same; my-rng read --seed 0x42 --bytes 1024KiB --format raw | sha256sum
                 section count; my-rng read --seed 66 262144 --format raw | sha256sum
                 section hex; my-rng read --seed 0x42 --bytes 1M --format hex | cut -c 3- |
                     sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/\\4\\3\\2\\1/' | xxd -r -p | sha256sum
                 section odd; my-rng read --seed 0x42 --bytes 1000003 | sha256sum
                 section next; my-rng read
                 section none; my-rng read --bytes 0 | wc -c
                 section sizes
                 for size in {sizes}; do
                     my-rng read --bytes $size >/bytes
                     test $(wc -c </bytes) = $size
                 done
                 my-rng info | grep words"
            ))
            .success();
        for name in ["mebibyte", "same", "count", "hex"] {
            let digest = format!("{}  -", digests.mebibyte);
            assert_eq!(section(&said, name), [digest], "{name}");
        }
        assert_eq!(section(&said, "odd"), [format!("{}  -", digests.odd)]);
        assert_eq!(section(&said, "next"), [digests.next.to_string()]);
        assert_eq!(section(&said, "none"), ["0"]);
        // Each read took as many numbers as it needed.
        let of_sizes: usize = SIZES.iter().map(|size| size.div_ceil(4)).sum();
        let words = 4 * 262144 + 250001 + 1 + of_sizes;
        assert_eq!(section(&said, "sizes"), [format!("words:      {words}")]);
        assert!(said.stderr.is_empty(), "{}", said.report());
    }
}

#[test]
fn seeds_of_a_run_and_numbers_as_json() {
    let answer = &known_answers::LIBC[2];
    let said = Guest::new()
        .sh(&format!(
            "{SECTIONS}
             section classic; my-rng --seed {seed}
             section read; my-rng read 5 --seed {seed}
             section json; my-rng read --seed {seed} 5 --format json
             section none; my-rng read 0 --format json
             section thousand; my-rng read --seed {seed} 1000 --format json",
            seed = answer.seed
        ))
        .success();
    let classic = classic(&answer.first);
    assert!(classic.lines().eq(section(&said, "classic")));
    assert!(lines(&answer.first).lines().eq(section(&said, "read")));
    let numbers = |name| -> Vec<u32> {
        let text = section(&said, name).concat();
        serde_json::from_str(&text).expect("an array of numbers")
    };
    assert_eq!(numbers("json"), answer.first);
    assert!(numbers("none").is_empty());
    assert_eq!(numbers("thousand").last(), Some(&answer.thousandth));
}

#[test]
fn devices_are_described() {
    let mut guest = Guest::new().program("as_nobody");
    for device in [
        "addr=05.0",
        "addr=06.0,generator=chacha20",
        "addr=07.0,generator=host",
    ] {
        guest = guest.option("--device", format!("my_rng,{device}"));
    }
    let said = guest
        .sh(&format!(
            "{SECTIONS}
             failed() {{ local status=0; \"$@\" 2>&1 || status=$?; echo \"status $status\"; }}
             second=/dev/my_rng_driver1 third=/dev/my_rng_driver2
             my-rng seed 0x42; my-rng --device $second read --seed 0x42 --bytes 10 >/dev/null
             section before; my-rng read; my-rng --device $second read
             section info; my-rng info
             section json; my-rng --device $second info --format json
             section host; my-rng info --format json --device $third
             section after; my-rng read; my-rng --device $second read
             section list; my-rng list
             section all; my-rng list --format json
             section seedless; failed my-rng --device $third seed 1
             failed my-rng --device $third read --seed 1
             failed my-rng --device $third --seed 1
             section bytes; my-rng --device $third read --bytes 1M | wc -c
             my-rng --device $third | wc -l
             chmod 600 /dev/my_rng_driver*; chmod 666 $third
             section nobody; failed /as_nobody my-rng list
             section json nobody; failed /as_nobody my-rng list --format json
             exec 3<>$second
             echo 0000:00:06.0 >/sys/bus/pci/drivers/my_rng/unbind
             section left; my-rng list
             exec 3>&-
             rmmod my_rng
             section none; failed my-rng list
             section no json; failed my-rng list --format json"
        ))
        .success();
    let (libc, chacha20) = (
        &known_answers::LIBC[2].first,
        &known_answers::CHACHA20[2].first,
    );
    // Ten bytes are three words.
    assert_eq!(
        section(&said, "before"),
        [libc[0], chacha20[3]].map(|word| word.to_string())
    );
    assert_eq!(
        section(&said, "after"),
        [libc[1], chacha20[4]].map(|word| word.to_string())
    );
    assert_eq!(
        section(&said, "info"),
        [
            "node:       /dev/my_rng_driver",
            "device:     0000:00:05.0",
            "driver:     my_rng",
            "generator:  libc (31-bit numbers from a seed: bit 31 is always 0)",
            "hwrng:      no",
            "bulk:       yes",
            "words:      1",
            "seeds:      1",
        ]
    );
    let parsed =
        |name| -> Value { serde_json::from_str(&section(&said, name).concat()).expect("JSON") };
    let second = json!({
        "node": "/dev/my_rng_driver1",
        "device": "0000:00:06.0",
        "driver": "my_rng",
        "generator": "chacha20",
        "bits": 32,
        "hwrng": false,
        "bulk": true,
        "words": 4,
        "seeds": 1,
    });
    assert_eq!(parsed("json"), second);
    // Whether the kernel has it, and how much that reads, is the kernel's affair.
    assert_eq!(parsed("host")["generator"], "host");
    assert_eq!(parsed("host")["bits"], 32);
    let line = |node, device, generator| {
        format!("/dev/my_rng_driver{node:1}  0000:00:{device}.0  {generator}")
    };
    let list = [
        line("", "05", "libc"),
        line("1", "06", "chacha20"),
        line("2", "07", "host"),
    ];
    assert_eq!(section(&said, "list"), list);
    let all = parsed("all");
    let mut expected = second;
    expected["words"] = json!(5);
    assert_eq!(all[1], expected);
    assert_eq!(
        (&all[0]["node"], &all[2]["device"]),
        (&json!("/dev/my_rng_driver"), &json!("0000:00:07.0"))
    );
    assert_eq!(all.as_array().map(Vec::len), Some(3));

    let seedless = section(&said, "seedless");
    assert_eq!(seedless.len(), 6, "{seedless:#?}");
    for pair in seedless.chunks(2) {
        assert!(
            pair[0].contains("its generator `host` has no seed"),
            "{pair:?}"
        );
        assert_eq!(pair[1], "status 1");
    }
    // The classic check is what it always was, though its rounds differ.
    assert_eq!(section(&said, "bytes"), ["1048576", "10"]);

    let nobody = section(&said, "nobody");
    assert_eq!(nobody.len(), 6, "{nobody:#?}");
    for denied in [&line("", "", ""), &line("1", "", "")] {
        let node = denied.split(' ').next().expect("a node");
        let entry = nobody
            .iter()
            .any(|line| line.split_whitespace().eq([node, "-", "-"]));
        let told = nobody.iter().any(|line| {
            line.starts_with(&format!("my-rng: cannot open {node}: permission denied; "))
        });
        assert!(entry && told, "{nobody:#?}");
    }
    assert!(nobody.contains(&list[2].as_str()), "{nobody:#?}");
    assert_eq!(nobody[5], "status 1");
    assert!(
        section(&said, "json nobody")
            .concat()
            .contains("\"error\": \"cannot open ")
    );
    assert_eq!(section(&said, "left"), [&list[0], &list[2]]);
    for (name, beginning) in [("none", &[][..]), ("no json", &["[]"])] {
        let none = section(&said, name);
        let (last, rest) = none.split_last().expect("a status");
        assert_eq!(*last, "status 1");
        // The order in which the two outputs come is not told.
        assert_eq!(rest.len(), beginning.len() + 1, "{none:#?}");
        assert!(
            beginning.iter().all(|line| rest.contains(line)),
            "{none:#?}"
        );
        assert!(none.concat().contains("modprobe my_rng"), "{none:#?}");
    }
}

/// None of them takes a number, and none prints anything but why.
#[test]
fn bad_arguments() {
    const BAD: [(&str, &str); 25] = [
        ("read five", "not a number"),
        ("read 1G", "--bytes 1G"),
        ("read -1", "no sign"),
        ("read 18446744073709551616", "too large"),
        ("read 1 2", "unexpected argument"),
        ("read --format octal", "dec, hex, json, raw"),
        ("read --format", "a value is required"),
        ("read --bytes", "a value is required"),
        ("read --bytes ''", "not a number"),
        ("read --bytes G", "not a number"),
        ("read --bytes -4", "no sign"),
        ("read --bytes 1.5G", "not a number"),
        ("read --bytes 1E", "unknown unit"),
        ("read --bytes 1GB", "1024"),
        ("read --bytes 16777216T", "too large"),
        ("read --bytes 4 4", "cannot be used with"),
        ("read --bytes 6 --format dec", "multiple of 4"),
        ("read --bytes 6 --format json", "multiple of 4"),
        ("read --seed 0x100000000", "too large"),
        ("read --seed", "a value is required"),
        ("--seed 1 read", "after `read`"),
        ("--seed 1 seed 1", "only with `read`"),
        ("seed", "required"),
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
    let first = known_answers::LIBC[2].first[0];
    assert_eq!(section(&said, "next"), [first.to_string()]);
}

/// The count in the message that ends a read.
fn taken(said: &Finished, name: &str, beginning: &str) -> usize {
    let message = section(said, name).concat();
    message
        .strip_prefix(beginning)
        .and_then(|rest| rest.split_once(" numbers were taken from the stream, "))
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{message:?}"))
}

/// A read that has no end of its own, to a reader that carries out `action` when 64 KiB have come, and then
/// takes what is left. Of a program that a signal ended, the shell has something to say, too.
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

/// Of so many bytes of the stream of seed 0x42.
fn digest(bytes: usize) -> String {
    use sha2::{Digest, Sha256};

    let mut stream = Generator::new(Kind::Libc, 0x42);
    let mut digest = Sha256::new();
    for _ in 0..bytes / 4 {
        let word = stream.next_u32(|| None).expect("a number");
        digest.update(word.to_le_bytes());
    }
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that was taken has arrived, and that is what is said.
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
    assert_eq!(section(said, "digest"), [format!("{}  -", digest(bytes))]);
    numbers
}

/// Whoever stops a read gets all that was taken, and is told how much that was.
#[test]
fn a_read_that_is_stopped_loses_no_number() {
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

/// Far more comes after it than a pipe holds.
#[test]
fn a_signal_that_is_ignored_stops_nothing() {
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
    assert_eq!(section(&said, "status"), ["1"]);
    let beginning = "my-rng: cannot read from /dev/my_rng_driver: the device is gone ";
    check_nothing_lost(&said, beginning);
}

#[test]
fn what_fits_on_a_full_disk_is_told() {
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
    assert_eq!(section(&said, "digest"), [format!("{}  -", digest(65536))]);
}

#[test]
fn on_a_terminal_it_shows_how_far_it_has_come_and_leaves_the_terminal_as_it_was() {
    let mut guest = Machine::guest("pc").device("my_rng").start();
    let console = &mut guest.console;
    console.shell();
    console.run("stty -a >/before");

    let error = console.run("my-rng read --bytes 8 || test $? = 2");
    assert!(error.concat().contains("garble the terminal"), "{error:?}");
    assert_eq!(console.run("my-rng read --seed 0x42 1"), ["286129175"]);

    // The guest's own terminal is a dumb one, which has no bar.
    assert!(console.run("my-rng read --bytes 1M >/dev/null").is_empty());
    console.shell_line("TERM=linux my-rng read --bytes 1T >/dev/null");
    console.until(" left");
    let bar = console.until(" left");
    for part in [" of 1.00 TiB, ", "iB/s, "] {
        assert!(bar.contains(part), "no {part} in {bar:?}");
    }
    let rest = console.interrupt();
    assert!(rest.concat().contains("my-rng: interrupted; "), "{rest:#?}");
    assert_eq!(console.run("test $? = 130 && echo as told"), ["as told"]);
    console.run("stty -a >/after; cmp /before /after");

    // A terminal for both would have them mixed.
    let numbers = console.run("TERM=linux my-rng read --seed 0x42 20000 --format hex");
    assert_eq!(numbers.len(), 20000);
    guest.quit();
}

/// A client in C that was written with the header which the project installs.
#[test]
fn a_client_with_the_header_runs() {
    for (generator, id, first) in [
        ("libc", 0, &known_answers::LIBC[2].first),
        ("chacha20", 1, &known_answers::CHACHA20[2].first),
    ] {
        let header = of_generator(generator)
            .program("header")
            .sh(&format!("{SECTIONS} /header $(device)/resource0"))
            .success();
        assert_eq!(header.text(), format!("{}generator {id}\n", lines(first)));
    }
}

/// The example of the library, without what only the app needs, linked statically.
fn dice() -> PathBuf {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let target = build_folder().join("guest");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-p", "my-rng", "--no-default-features"])
        .args(["--example", "dice", "--target-dir"])
        .arg(&target)
        .current_dir(root())
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "{errors}");
    target.join(TARGET).join("release/examples/dice")
}

/// `rand` draws from a device whose numbers have all 32 bits, and from no other.
#[test]
fn a_program_with_the_library_has_it_as_its_generator() {
    let dice = dice();
    let mut stream = Generator::new(Kind::ChaCha20, 0x42);
    let mut next = || stream.next_u32(|| None).expect("a number");
    let throws: [u64; 5] = std::array::from_fn(|_| ((u64::from(next()) * 6) >> 32) + 1);
    let (low, high) = (next(), next());
    let bytes = [next(), next()].map(u32::to_le_bytes).concat();
    let expected = format!(
        "throws: {throws:?}\ntwo words: {high:#010x}{low:08x}\nbytes: {:02x?}\na word: {:#010x}\n",
        &bytes[..6],
        next()
    );
    let chacha20 = of_generator("chacha20")
        .file(&dice, "/dice")
        .run(&["/dice"])
        .success();
    assert_eq!(chacha20.text(), expected);

    let libc = of_generator("libc")
        .file(&dice, "/dice")
        .run(&["/dice"])
        .expect_code(1);
    assert_eq!(libc.text(), "");
    assert!(
        libc.errors().starts_with(
            "dice: cannot take uniform numbers from /dev/my_rng_driver: bit 31 of every number of its \
             generator `libc` is 0; start QEMU with "
        ),
        "{}",
        libc.report()
    );
}
