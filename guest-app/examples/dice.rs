// SPDX-License-Identifier: GPL-2.0-or-later

//! Throws dice: how to use a device as a generator for `rand`.
//!
//!   dice [NODE]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use my_rng::Device;
use my_rng::rand_core::{Rng, TryRng, UnwrapErr};
use rand::RngExt;

fn play() -> Result<(), my_rng::Error> {
    let node = env::args_os()
        .nth(1)
        .map_or_else(my_rng::default_path, PathBuf::from);
    let device = Device::open(node)?;
    device.seed(0x42)?;
    let mut rng = UnwrapErr(device.into_rng()?);

    let throws: [u32; 5] = std::array::from_fn(|_| rng.random_range(1..=6));
    println!("throws: {throws:?}");
    println!("two words: {:#018x}", rng.next_u64());
    let mut bytes = [0; 6];
    rng.fill_bytes(&mut bytes);
    println!("bytes: {bytes:02x?}");

    // A program that must survive an unplugged device uses `TryRng` and gets an error instead of a panic.
    let UnwrapErr(mut rng) = rng;
    println!("a word: {:#010x}", rng.try_next_u32()?);
    Ok(())
}

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dice: {error}");
            ExitCode::FAILURE
        }
    }
}
