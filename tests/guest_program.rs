// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles a C program for the guest: for the build scripts of those that run some in it.

#[allow(dead_code)]
#[path = "../abi/my_rng_abi.rs"]
mod abi;

use std::error::Error;
use std::path::Path;

/// Compiles `source`, statically and by itself, with the numbers of the contract as macros.
pub fn compile(source: &Path, program: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../abi/my_rng_abi.rs");
    let status = cc::Build::new()
        .opt_level(2)
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .get_compiler()
        .to_command()
        .args(["-std=gnu11", "-static", "-pthread"])
        .args([
            format!("-DRNG_BAR_SIZE={}", abi::BAR_SIZE),
            format!("-DRNG_REG_RNG={}", abi::REG_RNG),
            format!("-DRNG_REG_SEED={}", abi::REG_SEED),
            format!("-DRNG_REG_INFO={}", abi::REG_INFO),
            format!("-DRNG_REG_DOORBELL={}", abi::REG_DOORBELL),
            format!("-DRNG_REG_FAILURES={}", abi::REG_FAILURES),
            format!("-DRNG_INFO_BULK={}", abi::INFO_BULK),
            format!("-DRNG_INFO_FAILURES={}", abi::INFO_FAILURES),
            format!("-DRNG_BULK_PAGE={}", abi::BULK_PAGE),
            format!("-DRNG_BULK_MAX_BYTES={}", abi::BULK_MAX_BYTES),
            format!("-DRNG_DEFAULT_SEED={}", abi::DEFAULT_SEED),
            format!("-DRNG_NODE=\"{}\"", abi::NODE_NAME),
            format!("-DRNG_IOCTL_RAND={:#x}ul", abi::IOCTL_RAND),
            format!("-DRNG_IOCTL_SEED={:#x}ul", abi::IOCTL_SEED),
            format!("-DRNG_IOCTL_FILL={:#x}ul", abi::IOCTL_FILL),
        ])
        .arg("-o")
        .arg(program)
        .arg(source)
        .status()?;
    if !status.success() {
        return Err(format!(
            "{} does not compile statically (needs gcc and the C library's static half, \
             package libc6-dev)",
            source.display()
        )
        .into());
    }
    Ok(())
}
