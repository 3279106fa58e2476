// SPDX-License-Identifier: GPL-2.0-or-later

//! What the end-to-end tests share: a guest to run a command in.
//!
//! Each test boots a guest of its own through `vm/run`, as a user would; what several tests look at
//! is booted once (`Lazy`). The programs they run in it are compiled from `guest/` by `build.rs`.

#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
mod guest;
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;

use std::path::{Path, PathBuf};

pub use guest::{Finished, Guest};

/// The folder that holds the whole project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands in the project's folder")
}

/// The compiled `guest/NAME.c`.
pub fn guest_program(name: &str) -> PathBuf {
    Path::new(env!("GUEST_PROGRAMS")).join(name)
}
