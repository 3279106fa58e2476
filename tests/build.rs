// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles the guest's test programs (`guest/*.c`) into `OUT_DIR`.

mod guest_program;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=../guest-app/include");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo::rustc-env=GUEST_PROGRAMS={}", out.display());

    for entry in fs::read_dir("guest")? {
        let source = entry?.path();
        if source.extension().is_some_and(|extension| extension == "c") {
            let name = source.file_stem().ok_or("a source without a name")?;
            guest_program::compile(&source, &out.join(name))?;
        }
    }
    Ok(())
}
