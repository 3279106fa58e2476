// SPDX-License-Identifier: GPL-2.0-or-later

//! Many threads use a device at the same time: the storm of `qemu/test-threads.c`, under ThreadSanitizer or another
//! QEMU that the variable `STORM_QEMU` names.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use my_rng_e2e::answers::{Kind, stream};
use my_rng_e2e::{Machine, tsan_qemu};
use serde_json::json;

/// The tester's first seed.
const FIRST_SEED: u32 = 100;

/// The numbers of one read or transfer, which are consecutive.
type Numbers = Vec<u32>;

fn read_numbers(path: &Path) -> Vec<Numbers> {
    let bytes = fs::read(path).expect("the tester writes the file");
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")))
        .collect();
    let mut rest = words.as_slice();
    let mut numbers = Vec::new();
    while let Some((&count, after)) = rest.split_first() {
        let (these, after) = after.split_at(count as usize);
        numbers.push(these.to_vec());
        rest = after;
    }
    numbers
}

/// Takes the numbers of one stream out of these, from the start of the stream on. Returns how many there were.
fn take_stream(
    by_first: &mut HashMap<u32, Vec<Numbers>>,
    stream: impl Iterator<Item = u32>,
) -> usize {
    let mut stream = stream.peekable();
    let mut count = 0;
    while let Some(first) = stream.peek() {
        let Some(all) = by_first.get_mut(first).filter(|all| !all.is_empty()) else {
            break;
        };
        // If several begin with this number, take the longest: shorter ones are single numbers, which are alike.
        all.sort_by_key(Vec::len);
        for number in all.pop().expect("one") {
            assert_eq!(stream.next(), Some(number), "after {count} numbers");
            count += 1;
        }
    }
    count
}

/// Each number of each stream is given once, and those of a transfer are consecutive.
fn check_numbers(kind: Kind, last_seed: u32, numbers: Vec<Numbers>) {
    let total: usize = numbers.iter().map(Vec::len).sum();
    if kind == Kind::Host {
        // The tester counts up from 1 for it.
        let mut words = numbers.concat();
        words.sort_unstable();
        assert!(words.iter().copied().eq(1..=total as u32));
        return;
    }
    let mut by_first = HashMap::<u32, Vec<Numbers>>::new();
    for these in numbers {
        by_first.entry(these[0]).or_default().push(these);
    }
    let found: usize = (FIRST_SEED..=last_seed)
        .map(|seed| take_stream(&mut by_first, stream(kind, seed)))
        .sum();
    assert_eq!(found, total, "numbers that no stream has there");
}

fn storm(kind: Kind) {
    let qemu = env::var_os("STORM_QEMU");
    let qemu = qemu.as_deref().map_or_else(|| tsan_qemu(), Path::new);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("numbers");
    let mut qemu = Machine::qtest(&format!(",generator={kind}"))
        .qemu(qemu)
        .device("my-rng-tester,id=tester")
        .start();
    qemu.enable(6);
    let tester = "/machine/peripheral/tester";
    let run = format!("storm {}", path.display());
    qemu.qmp.execute(
        "qom-set",
        json!({ "path": tester, "property": "run", "value": run }),
    );
    let said = qemu
        .qmp
        .execute("qom-get", json!({ "path": tester, "property": "said" }));
    let said = said.as_str().expect("text");
    println!("{kind}: {said}");
    let value = |name: &str| {
        let mut values = said.lines().filter_map(|line| line.strip_prefix(name));
        values.next().expect("a line").trim().to_owned()
    };
    // What the counters say, and what the threads got.
    for name in ["reads", "lock-releases"] {
        let counted = value(name);
        let (counter, threads) = counted.split_once(" of ").expect("two numbers");
        assert_eq!(counter, threads, "{name}");
        assert_ne!(counter, "0", "{name}");
    }
    let last_seed = value("last seed").parse().expect("a number");
    check_numbers(kind, last_seed, read_numbers(&path));
    qemu.quit();
}

#[test]
fn a_storm_on_libc() {
    storm(Kind::Libc);
}

#[test]
fn a_storm_on_chacha20() {
    storm(Kind::ChaCha20);
}

#[test]
fn a_storm_on_host() {
    storm(Kind::Host);
}

#[test]
fn a_storm_on_chacha8() {
    storm(Kind::ChaCha8);
}

#[test]
fn a_storm_on_xoshiro256pp() {
    storm(Kind::Xoshiro256PlusPlus);
}
