// SPDX-License-Identifier: GPL-2.0-or-later

//! What has to be written down outside Rust agrees with the contract in `abi/`. Needs no guest.

use std::collections::BTreeMap;
use std::fs;

use my_rng_e2e::known_answers::{self, WordsAnswer};
use my_rng_e2e::{abi, root};

/// The numbers of `#define MY_RNG_NAME NUMBER` lines, which begin with `prefix`.
fn defined(text: &str, prefix: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix(prefix)?.split_whitespace();
            if words.next() != Some("#define") {
                return None;
            }
            let name = words.next()?.strip_prefix("MY_RNG_")?;
            Some((name.to_owned(), words.next().and_then(number)?))
        })
        .collect()
}

/// Those that the kernel patches add.
fn patch_constants() -> BTreeMap<String, u64> {
    let mut constants = BTreeMap::new();
    let folder = fs::read_dir(root().join("linux-patches")).expect("linux-patches/");
    for entry in folder {
        let path = entry.expect("an entry of linux-patches/").path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a patch");
        for (name, number) in defined(&text, "+") {
            let before = constants.insert(name.clone(), number);
            assert!(before.is_none_or(|before| before == number), "two {name}");
        }
    }
    constants
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[test]
fn the_kernel_patches_agree_with_the_contract() {
    let expected = BTreeMap::from(
        [
            ("PCI_VENDOR_ID", u64::from(abi::PCI_VENDOR_ID)),
            ("PCI_DEVICE_ID", u64::from(abi::PCI_DEVICE_ID)),
            ("BAR", u64::from(abi::BAR)),
            ("BAR_SIZE", abi::BAR_SIZE as u64),
            ("REG_RNG", abi::REG_RNG as u64),
            ("REG_SEED", abi::REG_SEED as u64),
            ("SELFTEST_SEED", u64::from(known_answers::SELFTEST_SEED)),
            ("SELFTEST_ROUNDS", 2),
            ("SELFTEST_NUMBERS", 5),
        ]
        .map(|(name, number)| (name.to_owned(), number)),
    );
    assert_eq!(patch_constants(), expected);
}

const QTEST: &str = "qemu-8.2.9-overlay/tests/qtest/my-rng-test.c";

#[test]
fn the_qtest_agrees_with_the_contract() {
    let text = fs::read_to_string(root().join(QTEST)).expect("the qtest");
    let expected = BTreeMap::from(
        [
            ("PCI_VENDOR_ID", u64::from(abi::PCI_VENDOR_ID)),
            ("PCI_DEVICE_ID", u64::from(abi::PCI_DEVICE_ID)),
            ("PCI_REVISION", u64::from(abi::PCI_REVISION)),
            ("PCI_CLASS", u64::from(abi::PCI_CLASS)),
            ("BAR", u64::from(abi::BAR)),
            ("BAR_SIZE", abi::BAR_SIZE as u64),
            ("REG_SIZE", abi::REG_SIZE as u64),
            ("REG_RNG", abi::REG_RNG as u64),
            ("REG_SEED", abi::REG_SEED as u64),
            ("REG_INFO", abi::REG_INFO as u64),
            ("REG_DOORBELL", abi::REG_DOORBELL as u64),
            ("REG_FAILURES", abi::REG_FAILURES as u64),
            ("INFO_FAILURES", u64::from(abi::INFO_FAILURES)),
            ("INFO_BULK", u64::from(abi::INFO_BULK)),
            ("BULK_PAGE", abi::BULK_PAGE as u64),
            ("BULK_STATUS", abi::BULK_STATUS as u64),
            ("BULK_COUNT", abi::BULK_COUNT as u64),
            ("BULK_DONE", abi::BULK_DONE as u64),
            ("BULK_SEGMENTS", abi::BULK_SEGMENTS as u64),
            ("BULK_SEGMENT_SIZE", abi::BULK_SEGMENT_SIZE as u64),
            ("BULK_FILLED", u64::from(abi::BULK_FILLED)),
            ("BULK_BAD_DESCRIPTOR", u64::from(abi::BULK_BAD_DESCRIPTOR)),
            ("BULK_BAD_MEMORY", u64::from(abi::BULK_BAD_MEMORY)),
            ("INFO_SIGNATURE", u64::from(abi::INFO_SIGNATURE)),
            ("GENERATOR_LIBC", u64::from(abi::GENERATOR_LIBC)),
            ("GENERATOR_CHACHA20", u64::from(abi::GENERATOR_CHACHA20)),
            ("GENERATOR_HOST", u64::from(abi::GENERATOR_HOST)),
            ("GENERATOR_CHACHA8", u64::from(abi::GENERATOR_CHACHA8)),
            (
                "GENERATOR_XOSHIRO256PP",
                u64::from(abi::GENERATOR_XOSHIRO256PP),
            ),
            ("DEFAULT_SEED", u64::from(abi::DEFAULT_SEED)),
        ]
        .map(|(name, number)| (name.to_owned(), number)),
    );
    let found = defined(&text, "");
    assert_eq!(found.len(), expected.len(), "each once: {found:?}");
    assert_eq!(BTreeMap::from_iter(found), expected);
}

/// The generators beside the default that have a seed.
const OTHERS: [(&str, &[WordsAnswer]); 3] = [
    ("chacha20", &known_answers::CHACHA20),
    ("chacha8", &known_answers::CHACHA8),
    ("xoshiro256pp", &known_answers::XOSHIRO256PP),
];

/// The numbers in the braces of a table of the qtest.
fn table(text: &str, name: &str) -> Vec<u64> {
    let start = format!("static const Answer {name}[] = {{\n");
    let (_, rest) = text.split_once(&start).expect(name);
    let (inside, _) = rest.split_once("\n};").expect("the table's end");
    inside
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| number(word).unwrap_or_else(|| panic!("{word} in {name}")))
        .collect()
}

#[test]
fn the_qtest_knows_the_known_answers() {
    let text = fs::read_to_string(root().join(QTEST)).expect("the qtest");
    let row = |seed: u32, first: &[u32; 5], thousandth: u32| -> Vec<u64> {
        let row = [&[seed], first.as_slice(), &[thousandth]].concat();
        row.into_iter().map(u64::from).collect()
    };
    let libc: Vec<_> = known_answers::LIBC
        .iter()
        .flat_map(|answer| row(answer.seed, &answer.first, answer.thousandth))
        .collect();
    assert_eq!(table(&text, "libc_answers"), libc);
    for (name, answers) in OTHERS {
        let expected: Vec<_> = answers
            .iter()
            .flat_map(|answer| row(answer.seed, &answer.first, answer.thousandth))
            .collect();
        assert_eq!(table(&text, &format!("{name}_answers")), expected);
    }
}

/// The classic clients know these numbers by heart.
#[test]
fn the_ioctl_numbers_are_the_classic_ones() {
    assert_eq!(abi::IOCTL_RAND, 0x8004_7101);
    assert_eq!(abi::IOCTL_SEED, 0x4004_7101);
    assert_eq!(abi::NODE_NAME, "my_rng_driver");
}

#[test]
fn the_specification_agrees_with_the_contract() {
    let text = fs::read_to_string(root().join("docs/my-rng.rst")).expect("the specification");
    let check = |seed: u32, first: [u32; 5], later: &[u32]| {
        let first = first.map(|word| word.to_string()).join(" ");
        let row = text
            .lines()
            .find(|line| line.contains(&first))
            .unwrap_or_else(|| panic!("no row for seed {seed:#x}"));
        for word in later {
            assert!(row.contains(&word.to_string()), "no {word} in: {row}");
        }
    };
    for answer in &known_answers::LIBC {
        check(
            answer.seed,
            answer.first,
            &[answer.thousandth, answer.millionth],
        );
    }
    for answer in OTHERS.iter().flat_map(|(_, answers)| *answers) {
        check(answer.seed, answer.first, &[answer.thousandth]);
    }
    // Without the bulk engine.
    let info = |generator| format!("{:#x}", abi::info(generator) | abi::INFO_FAILURES);
    for number in [
        format!("{:#06x}", abi::PCI_VENDOR_ID),
        format!("{:#06x}", abi::PCI_DEVICE_ID),
        info(abi::GENERATOR_LIBC),
        info(abi::GENERATOR_CHACHA20),
        info(abi::GENERATOR_HOST),
        info(abi::GENERATOR_CHACHA8),
        info(abi::GENERATOR_XOSHIRO256PP),
        format!("{:#x}", abi::IOCTL_RAND),
        format!("{:#x}", abi::IOCTL_SEED),
        format!("{:#x}", abi::IOCTL_FILL),
        format!("have at most {} bytes", abi::BULK_MAX_BYTES),
        format!("/dev/{}", abi::NODE_NAME),
    ] {
        assert!(text.contains(&number), "{number} is not in docs/my-rng.rst");
    }
}

#[test]
fn the_syzkaller_description_agrees_with_the_contract() {
    let text = fs::read_to_string(root().join("docs/dev_my_rng.txt")).expect("the description");
    for expected in [
        format!("string[\"/dev/{}\"]", abi::NODE_NAME),
        format!(
            "ioctl$MY_RNG_RAND(fd fd_my_rng, cmd const[{:#x}],",
            abi::IOCTL_RAND
        ),
        format!(
            "ioctl$MY_RNG_SEED(fd fd_my_rng, cmd const[{:#x}],",
            abi::IOCTL_SEED
        ),
        format!(
            "ioctl$MY_RNG_FILL(fd fd_my_rng, cmd const[{:#x}],",
            abi::IOCTL_FILL
        ),
        format!("start\tint32[0:{}]", abi::BULK_MAX_BYTES),
    ] {
        assert!(text.contains(&expected), "{expected}");
    }
}
