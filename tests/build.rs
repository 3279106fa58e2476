// SPDX-License-Identifier: GPL-2.0-or-later

//! Compiles the guest's test programs into a folder of `OUT_DIR`: one for each `guest/NAME.c`, and one for each folder
//! `guest/NAME/`. Headers that several programs use are in `guest/lib/`.

mod guest_program;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=../guest-app/include");
    let target = guest_program::target()?;
    println!("cargo::rustc-env=GUEST_TARGET={target}");
    // Tests in guests of another architecture may still run.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join(&target);
    fs::create_dir_all(&out)?;
    println!("cargo::rustc-env=GUEST_PROGRAMS={}", out.display());

    for entry in fs::read_dir("guest")? {
        let path = entry?.path();
        let sources = if path.is_dir() {
            c_files(&path)?
        } else {
            vec![path.clone()]
        };
        let name = path.file_stem().ok_or("a source without a name")?;
        if !sources.is_empty() {
            let compiler = guest_program::compile(&target, &sources, &out.join(name))?;
            println!("cargo::rustc-env=GUEST_CC={}", compiler.display());
        }
    }
    Ok(())
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    Ok(files)
}
