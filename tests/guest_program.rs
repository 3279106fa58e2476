// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles C programs for the guest. The build scripts of the tests and of the benchmarks use it.

#[allow(dead_code)]
#[path = "../abi/my_rng_abi.rs"]
mod abi;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// rustc's name of the guest's architecture, from `scripts/arch.sh`: `MY_RNG_ARCH` names it, by default the host's.
pub fn target() -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=MY_RNG_ARCH");
    println!("cargo::rerun-if-changed=../scripts/arch.sh");
    let table = Command::new("bash")
        .args([
            "-c",
            "die() { echo \"$*\" >&2; exit 1; }; . ../scripts/arch.sh; echo \"$arch_rust\"",
        ])
        .output()?;
    if !table.status.success() {
        return Err(String::from_utf8_lossy(&table.stderr).into());
    }
    Ok(String::from_utf8(table.stdout)?.trim_end().to_owned())
}

/// Compiles a static program for that architecture, with the numbers of the contract as macros. Returns the compiler.
pub fn compile(
    target: &str,
    sources: &[PathBuf],
    program: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../abi/my_rng_abi.rs");
    let mut build = cc::Build::new();
    build.target(target);
    build
        .opt_level(2)
        .std("gnu11")
        .include("guest/lib")
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true);
    for (name, value) in [
        ("RNG_BAR_SIZE", abi::BAR_SIZE.to_string()),
        ("RNG_REG_RNG", abi::REG_RNG.to_string()),
        ("RNG_REG_SEED", abi::REG_SEED.to_string()),
        ("RNG_REG_INFO", abi::REG_INFO.to_string()),
        ("RNG_REG_DOORBELL", abi::REG_DOORBELL.to_string()),
        ("RNG_REG_FAILURES", abi::REG_FAILURES.to_string()),
        ("RNG_INFO_BULK", abi::INFO_BULK.to_string()),
        ("RNG_INFO_FAILURES", abi::INFO_FAILURES.to_string()),
        ("RNG_BULK_PAGE", abi::BULK_PAGE.to_string()),
        ("RNG_BULK_MAX_BYTES", abi::BULK_MAX_BYTES.to_string()),
        ("RNG_DEFAULT_SEED", abi::DEFAULT_SEED.to_string()),
        ("RNG_NODE", format!("\"{}\"", abi::NODE_NAME)),
        ("RNG_IOCTL_RAND", format!("{:#x}ul", abi::IOCTL_RAND)),
        ("RNG_IOCTL_SEED", format!("{:#x}ul", abi::IOCTL_SEED)),
        ("RNG_IOCTL_FILL", format!("{:#x}ul", abi::IOCTL_FILL)),
    ] {
        build.define(name, value.as_str());
    }
    let compiler = build.get_compiler();
    let status = compiler
        .to_command()
        .args(["-static", "-pthread", "-o"])
        .arg(program)
        .args(sources)
        .status()?;
    if !status.success() {
        return Err(format!(
            "{} does not compile statically for {target} (needs gcc and the static C library, package libc6-dev)",
            program.display()
        )
        .into());
    }
    Ok(compiler.path().to_owned())
}
