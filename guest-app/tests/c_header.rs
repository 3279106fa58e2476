// SPDX-License-Identifier: GPL-2.0-or-later

//! The C header is up to date with `abi/my_rng_abi.rs`, and a C compiler gets the same numbers from it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use my_rng::abi;

#[allow(dead_code)]
#[path = "../examples/c-header.rs"]
mod generator;

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn header() -> String {
    fs::read_to_string(include().join("my_rng.h")).expect("include/my_rng.h")
}

#[test]
fn the_header_is_up_to_date() {
    assert!(
        header() == generator::header(),
        "guest-app/include/my_rng.h is out of date with abi/my_rng_abi.rs: run\n    \
         cargo run -p my-rng --example c-header >guest-app/include/my_rng.h"
    );
}

/// Every macro that is a number, and that number in Rust.
fn numbers() -> Vec<(&'static str, u64)> {
    vec![
        ("PCI_VENDOR_ID", abi::PCI_VENDOR_ID.into()),
        ("PCI_DEVICE_ID", abi::PCI_DEVICE_ID.into()),
        ("PCI_REVISION", abi::PCI_REVISION.into()),
        ("PCI_CLASS", abi::PCI_CLASS.into()),
        ("BAR", abi::BAR.into()),
        ("BAR_SIZE", abi::BAR_SIZE as u64),
        ("REG_SIZE", abi::REG_SIZE as u64),
        ("REG_RNG", abi::REG_RNG as u64),
        ("REG_SEED", abi::REG_SEED as u64),
        ("REG_INFO", abi::REG_INFO as u64),
        ("REG_DOORBELL", abi::REG_DOORBELL as u64),
        ("REG_FAILURES", abi::REG_FAILURES as u64),
        ("INFO_SIGNATURE", abi::INFO_SIGNATURE.into()),
        ("GENERATOR_LIBC", abi::GENERATOR_LIBC.into()),
        ("GENERATOR_CHACHA20", abi::GENERATOR_CHACHA20.into()),
        ("GENERATOR_HOST", abi::GENERATOR_HOST.into()),
        ("GENERATOR_CHACHA8", abi::GENERATOR_CHACHA8.into()),
        ("GENERATOR_XOSHIRO256PP", abi::GENERATOR_XOSHIRO256PP.into()),
        ("INFO_BULK", abi::INFO_BULK.into()),
        ("INFO_FAILURES", abi::INFO_FAILURES.into()),
        ("BULK_PAGE", abi::BULK_PAGE as u64),
        ("BULK_STATUS", abi::BULK_STATUS as u64),
        ("BULK_COUNT", abi::BULK_COUNT as u64),
        ("BULK_DONE", abi::BULK_DONE as u64),
        ("BULK_SEGMENTS", abi::BULK_SEGMENTS as u64),
        ("BULK_SEGMENT_SIZE", abi::BULK_SEGMENT_SIZE as u64),
        ("BULK_MAX_SEGMENTS", abi::BULK_MAX_SEGMENTS as u64),
        ("BULK_MAX_BYTES", abi::BULK_MAX_BYTES as u64),
        ("BULK_FILLED", abi::BULK_FILLED.into()),
        ("BULK_BAD_DESCRIPTOR", abi::BULK_BAD_DESCRIPTOR.into()),
        ("BULK_BAD_MEMORY", abi::BULK_BAD_MEMORY.into()),
        ("BULK_NO_ENTROPY", abi::BULK_NO_ENTROPY.into()),
        ("DEFAULT_SEED", abi::DEFAULT_SEED.into()),
        ("IOCTL_TYPE", abi::IOCTL_TYPE.into()),
        ("IOCTL_NR", abi::IOCTL_NR.into()),
        ("IOCTL_FILL_NR", abi::IOCTL_FILL_NR.into()),
        ("IOCTL_RAND", abi::IOCTL_RAND.into()),
        ("IOCTL_SEED", abi::IOCTL_SEED.into()),
        ("IOCTL_FILL", abi::IOCTL_FILL.into()),
    ]
}

/// Returns a C program that prints the macros' values, and the output that it should have.
fn program() -> (String, String) {
    let mut lines: Vec<_> = numbers()
        .into_iter()
        .map(|(name, number)| (format!("MY_RNG_{name}"), number))
        .collect();
    for generator in [0, 1, 2, 3, 4, 0xff] {
        let info = abi::info(generator);
        lines.push((format!("MY_RNG_INFO({generator})"), info.into()));
        for (reading, is_there) in [(info, 1), (info | 0xff00, 1), (info ^ 0x1_0000, 0)] {
            lines.push((format!("MY_RNG_INFO_IS_THERE({reading}u)"), is_there));
            let expression = format!("MY_RNG_INFO_GENERATOR({reading}u)");
            lines.push((expression, generator.into()));
        }
    }
    let mut program = String::from("#include <my_rng.h>\n#include <stdio.h>\nint main(void)\n{\n");
    let mut expected = String::new();
    for (expression, value) in lines {
        writeln!(
            program,
            "    printf(\"{expression} %llu\\n\", (unsigned long long)({expression}));"
        )
        .expect("a line");
        writeln!(expected, "{expression} {value}").expect("a line");
    }
    program.push_str("    puts(MY_RNG_NODE_NAME);\n    puts(MY_RNG_NODE);\n    return 0;\n}\n");
    writeln!(expected, "{0}\n/dev/{0}", abi::NODE_NAME).expect("a line");
    (program, expected)
}

#[test]
fn c_reads_the_same_numbers_from_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, executable) = (
        folder.path().join("numbers.c"),
        folder.path().join("numbers"),
    );
    let (program, expected) = program();
    fs::write(&source, program).expect("the program");
    // The header must compile in strict, old C.
    let compiled = Command::new("cc")
        .args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include())
        .arg("-o")
        .arg(&executable)
        .arg(&source)
        .output()
        .expect("a C compiler, which Rust needs as its linker anyway");
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{errors}");
    let printed = Command::new(executable).output().expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&printed.stdout), expected);
}

/// Fails if a macro was added to the header and not to `numbers`.
#[test]
fn every_macro_is_checked() {
    let (program, _) = program();
    let header = header();
    let macros = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split([' ', '(']).next())
        .filter(|name| *name != "MY_RNG_H");
    for name in macros {
        let used = program
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .any(|word| word == name);
        assert!(used, "{name} is not checked");
    }
}
