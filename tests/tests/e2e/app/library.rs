// SPDX-License-Identifier: GPL-2.0-or-later

//! Programs that use the device by the installed header or by the library.

use std::path::PathBuf;
use std::process::Command;

use my_rng_e2e::answers::{Kind, known, lines, stream};
use my_rng_e2e::{build_folder, root};

use super::of_generator;
use crate::first_boot::SECTIONS;

/// A client in C, written with the header that the project installs.
#[test]
fn a_client_with_the_header_runs() {
    for (kind, id) in [(Kind::Libc, 0), (Kind::ChaCha20, 1)] {
        let header = of_generator(&kind.to_string())
            .program("header")
            .sh(&format!("{SECTIONS} /header $(device)/resource0"))
            .success();
        let first = lines(&known(kind, 0x42).first);
        assert_eq!(header.text(), format!("{first}generator {id}\n"));
    }
}

/// Builds the example of the library, linked statically.
fn dice() -> PathBuf {
    const TARGET: &str = env!("GUEST_TARGET");
    let linker = format!(
        "CARGO_TARGET_{}_LINKER",
        TARGET.to_uppercase().replace('-', "_")
    );
    let target = build_folder().join("guest");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-p", "my-rng", "--no-default-features"])
        .args(["--example", "dice", "--target-dir"])
        .arg(&target)
        .current_dir(root())
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env(linker, env!("GUEST_CC"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "{errors}");
    target.join(TARGET).join("release/examples/dice")
}

/// `rand` draws only from a device whose numbers have all 32 bits.
#[test]
fn a_program_can_use_the_library_as_its_generator() {
    let dice = dice();
    let mut stream = stream(Kind::ChaCha20, 0x42);
    let mut next = || stream.next().expect("a number");
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
