// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles C programs for the guest. The build scripts of the tests and of the benchmarks use it.

#[allow(dead_code)]
#[path = "../abi/my_rng_abi.rs"]
mod abi;

use std::error::Error;
use std::path::{Path, PathBuf};

/// Compiles a static program, with the numbers of the contract as macros.
pub fn compile(sources: &[PathBuf], program: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../abi/my_rng_abi.rs");
    let mut build = cc::Build::new();
    build
        .opt_level(2)
        .std("gnu11")
        .include("guest/lib")
        .extra_warnings(true)
        .warnings_into_errors(true)
        .define("RNG_NODE", format!("\"{}\"", abi::NODE_NAME).as_str());
    for (name, number) in [
        ("RNG_BAR_SIZE", abi::BAR_SIZE),
        ("RNG_REG_RNG", abi::REG_RNG),
        ("RNG_REG_SEED", abi::REG_SEED),
        ("RNG_REG_INFO", abi::REG_INFO),
        ("RNG_REG_DOORBELL", abi::REG_DOORBELL),
        ("RNG_REG_FAILURES", abi::REG_FAILURES),
        ("RNG_INFO_BULK", abi::INFO_BULK as usize),
        ("RNG_INFO_FAILURES", abi::INFO_FAILURES as usize),
        ("RNG_BULK_PAGE", abi::BULK_PAGE),
        ("RNG_BULK_MAX_BYTES", abi::BULK_MAX_BYTES),
        ("RNG_DEFAULT_SEED", abi::DEFAULT_SEED as usize),
    ] {
        build.define(name, number.to_string().as_str());
    }
    for (name, command) in [
        ("RNG_IOCTL_RAND", abi::IOCTL_RAND),
        ("RNG_IOCTL_SEED", abi::IOCTL_SEED),
        ("RNG_IOCTL_FILL", abi::IOCTL_FILL),
    ] {
        build.define(name, format!("{command:#x}ul").as_str());
    }
    let status = build
        .get_compiler()
        .to_command()
        .args(["-static", "-pthread", "-o"])
        .arg(program)
        .args(sources)
        .status()?;
    if !status.success() {
        return Err(format!(
            "{} does not compile statically (needs gcc and the static C library, package libc6-dev)",
            program.display()
        )
        .into());
    }
    Ok(())
}
