// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles the guest's half (`guest/`) into `OUT_DIR`.

#[path = "../tests/guest_program.rs"]
mod guest_program;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=guest");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let rustc = std::env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    println!(
        "cargo::rustc-env=BENCH_RUSTC={}",
        String::from_utf8_lossy(&version).trim()
    );
    let sources = ["bench", "beside", "candidates", "machine", "readers"];
    let sources = sources.map(|name| PathBuf::from(format!("guest/{name}.c")));
    guest_program::compile(&guest_program::target()?, &sources, &out.join("bench"))?;
    Ok(())
}
