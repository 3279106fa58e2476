// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles the guest's half (`guest/bench.c`), statically, into `OUT_DIR`.

#[allow(dead_code)]
#[path = "../abi/my_rng_abi.rs"]
mod abi;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=../abi/my_rng_abi.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let rustc = std::env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    println!(
        "cargo::rustc-env=BENCH_RUSTC={}",
        String::from_utf8_lossy(&version).trim()
    );

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
            format!("-DRNG_REG_INFO={}", abi::REG_INFO),
            format!("-DRNG_DEFAULT_SEED={}", abi::DEFAULT_SEED),
            format!("-DRNG_NODE=\"{}\"", abi::NODE_NAME),
            format!("-DRNG_IOCTL_RAND={:#x}ul", abi::IOCTL_RAND),
            format!("-DRNG_IOCTL_SEED={:#x}ul", abi::IOCTL_SEED),
            format!("-DRNG_IOCTL_FILL={:#x}ul", abi::IOCTL_FILL),
        ])
        .arg("-o")
        .arg(out.join("bench"))
        .arg("guest/bench.c")
        .status()?;
    if !status.success() {
        return Err(
            "guest/bench.c does not compile statically (needs gcc and the C library's \
                    static half, package libc6-dev)"
                .into(),
        );
    }
    Ok(())
}
