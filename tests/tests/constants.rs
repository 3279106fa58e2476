// SPDX-License-Identifier: GPL-2.0-or-later

//! The numbers in patches, in the qtest and in the documentation are those of `abi/`. Boots nothing.

use std::collections::BTreeMap;
use std::fs;

use my_rng_e2e::known_answers::{self, WordsAnswer};
use my_rng_e2e::{abi, root};

const QTEST: &str = "qemu-8.2.9-overlay/tests/qtest/my-rng-test.c";

/// The names of these constants of `abi`, with their values.
macro_rules! constants {
    ($($name:ident)*) => {
        BTreeMap::from([$((stringify!($name).to_owned(), abi::$name as u64)),*])
    };
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The numbers of the lines `#define MY_RNG_NAME NUMBER` that begin with `prefix`.
fn defined(text: &str, prefix: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let line = line.strip_prefix(prefix)?.strip_prefix("#define MY_RNG_")?;
            let (name, value) = line.split_once(char::is_whitespace)?;
            Some((name.to_owned(), number(value.split_whitespace().next()?)?))
        })
        .collect()
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[test]
fn the_kernel_patches_agree_with_the_contract() {
    let mut expected = constants!(PCI_VENDOR_ID PCI_DEVICE_ID BAR BAR_SIZE REG_RNG REG_SEED);
    for (name, number) in [
        ("SELFTEST_SEED", known_answers::SELFTEST_SEED.into()),
        ("SELFTEST_ROUNDS", 2),
        ("SELFTEST_NUMBERS", 5),
    ] {
        expected.insert(name.to_owned(), number);
    }
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root().join("linux-patches")).expect("linux-patches/") {
        let path = entry.expect("an entry of linux-patches/").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let text = fs::read_to_string(&path).expect("a patch");
            for (name, number) in defined(&text, "+") {
                let before = found.insert(name.clone(), number);
                assert!(before.is_none_or(|before| before == number), "two {name}");
            }
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn the_qtest_agrees_with_the_contract() {
    let expected = constants!(
        PCI_VENDOR_ID PCI_DEVICE_ID PCI_REVISION PCI_CLASS
        BAR BAR_SIZE REG_SIZE REG_RNG REG_SEED REG_INFO REG_DOORBELL REG_FAILURES
        INFO_FAILURES INFO_BULK INFO_SIGNATURE
        BULK_PAGE BULK_STATUS BULK_COUNT BULK_DONE BULK_SEGMENTS BULK_SEGMENT_SIZE
        BULK_FILLED BULK_BAD_DESCRIPTOR BULK_BAD_MEMORY
        GENERATOR_LIBC GENERATOR_CHACHA20 GENERATOR_HOST GENERATOR_CHACHA8 GENERATOR_XOSHIRO256PP
        DEFAULT_SEED
    );
    let found = defined(&read(QTEST), "");
    assert_eq!(found.len(), expected.len(), "each once: {found:?}");
    assert_eq!(BTreeMap::from_iter(found), expected);
}

/// The other generators with a seed.
const OTHERS: [(&str, &[WordsAnswer]); 3] = [
    ("chacha20", &known_answers::CHACHA20),
    ("chacha8", &known_answers::CHACHA8),
    ("xoshiro256pp", &known_answers::XOSHIRO256PP),
];

/// The numbers in a table of the qtest.
fn table(text: &str, name: &str) -> Vec<u64> {
    let start = format!("static const Answer {name}_answers[] = {{\n");
    let (_, rest) = text.split_once(&start).expect(name);
    let (inside, _) = rest.split_once("\n};").expect("the end of the table");
    inside
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| number(word).unwrap_or_else(|| panic!("{word} in {name}")))
        .collect()
}

#[test]
fn the_qtest_has_the_known_answers() {
    let text = read(QTEST);
    let row = |seed: u32, first: [u32; 5], thousandth: u32| {
        let row = [&[seed][..], &first, &[thousandth]].concat();
        row.into_iter().map(u64::from)
    };
    let libc = known_answers::LIBC.iter();
    let libc = libc.flat_map(|answer| row(answer.seed, answer.first, answer.thousandth));
    assert_eq!(table(&text, "libc"), libc.collect::<Vec<_>>());
    for (name, answers) in OTHERS {
        let answers = answers.iter();
        let rows = answers.flat_map(|answer| row(answer.seed, answer.first, answer.thousandth));
        assert_eq!(table(&text, name), rows.collect::<Vec<_>>());
    }
}

/// Classic clients have these numbers in their code.
#[test]
fn the_ioctl_numbers_are_the_classic_ones() {
    assert_eq!(abi::IOCTL_RAND, 0x8004_7101);
    assert_eq!(abi::IOCTL_SEED, 0x4004_7101);
    assert_eq!(abi::NODE_NAME, "my_rng_driver");
}

#[test]
fn the_specification_agrees_with_the_contract() {
    let text = read("docs/my-rng.rst");
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
        let later = [answer.thousandth, answer.millionth];
        check(answer.seed, answer.first, &later);
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
    let text = read("docs/dev_my_rng.txt");
    let ioctl = |name: &str, number: u32| {
        format!("ioctl$MY_RNG_{name}(fd fd_my_rng, cmd const[{number:#x}],")
    };
    for expected in [
        format!("string[\"/dev/{}\"]", abi::NODE_NAME),
        ioctl("RAND", abi::IOCTL_RAND),
        ioctl("SEED", abi::IOCTL_SEED),
        ioctl("FILL", abi::IOCTL_FILL),
        format!("start\tint32[0:{}]", abi::BULK_MAX_BYTES),
    ] {
        assert!(text.contains(&expected), "{expected}");
    }
}

/// libvirt starts QEMU without the launcher.
#[test]
fn kernel_arguments_are_those_of_the_launcher() {
    let domain = read("docs/my_rng-domain.xml");
    let arguments = my_rng_vm::Arch::X86_64.kernel_arguments().split(' ');
    // libvirt has a setting of its own for what a panic does.
    for argument in arguments.filter(|it| *it != "panic=-1") {
        assert!(domain.contains(argument), "the domain lacks {argument}");
    }
}
