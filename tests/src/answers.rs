// SPDX-License-Identifier: GPL-2.0-or-later

//! The numbers that the device must give, and how programs print them.

use my_rng_dev::generator::Generator;
pub use my_rng_dev::generator::Kind;
use sha2::{Digest, Sha256};

use crate::known_answers::{CHACHA8, CHACHA20, LIBC, SELFTEST_SEED, WordsAnswer, XOSHIRO256PP};

/// The known answer of a generator for a seed.
pub fn known(kind: Kind, seed: u32) -> WordsAnswer {
    let libc = LIBC.map(|answer| WordsAnswer {
        seed: answer.seed,
        first: answer.first,
        thousandth: answer.thousandth,
    });
    let answers: &[WordsAnswer] = match kind {
        Kind::Libc => &libc,
        Kind::ChaCha20 => &CHACHA20,
        Kind::ChaCha8 => &CHACHA8,
        Kind::Xoshiro256PlusPlus => &XOSHIRO256PP,
        Kind::Host => &[],
    };
    let answer = answers.iter().find(|answer| answer.seed == seed);
    let answer = answer.unwrap_or_else(|| panic!("no known answer of {kind} for {seed:#x}"));
    WordsAnswer { ..*answer }
}

/// The first five numbers of the default generator.
pub fn libc(seed: u32) -> [u32; 5] {
    known(Kind::Libc, seed).first
}

/// The stream of a seed, without end.
pub fn stream(kind: Kind, seed: u32) -> impl Iterator<Item = u32> {
    let mut generator = Generator::new(kind, seed);
    std::iter::from_fn(move || generator.next_u32(|| None))
}

/// What `sha256sum` prints of the first bytes of a stream.
pub fn sha256sum(kind: Kind, seed: u32, bytes: usize) -> String {
    let mut digest = Sha256::new();
    let mut left = bytes;
    for (index, word) in stream(kind, seed).take(bytes.div_ceil(4)).enumerate() {
        if index == 999 {
            assert_eq!(word, known(kind, seed).thousandth, "{kind}");
        }
        let word = word.to_le_bytes();
        let part = left.min(word.len());
        digest.update(&word[..part]);
        left -= part;
    }
    let hex = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("{hex}  -")
}

/// These numbers, one a line.
pub fn lines(numbers: &[u32]) -> String {
    numbers.iter().map(|number| format!("{number}\n")).collect()
}

/// The lines that the classic program and the self-test print, if these are the first five numbers.
pub fn rounds(numbers: &[u32; 5]) -> Vec<String> {
    let line = |round| {
        let numbers = numbers.iter().enumerate();
        numbers.map(move |(index, number)| format!("Round {round} number {index}: {number}"))
    };
    (0..2).flat_map(line).collect()
}

/// The lines of the kernel's self-test.
pub fn self_test() -> Vec<String> {
    framed(rounds(&libc(SELFTEST_SEED)))
}

/// The lines of a self-test that prints these lines between its first and its last.
pub fn framed(lines: Vec<String>) -> Vec<String> {
    let rule = "-".repeat(66);
    let begin = [rule.clone(), "BEGIN MY-RNG TEST".to_owned(), rule.clone()];
    let end = [rule.clone(), "END MY-RNG TEST".to_owned(), rule];
    [begin.to_vec(), lines, end.to_vec()].concat()
}
