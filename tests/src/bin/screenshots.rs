// SPDX-License-Identifier: GPL-2.0-or-later

//! Takes the pictures of `docs/pictures/` into a directory. `make screenshots` runs this.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: screenshots DIRECTORY");
        return ExitCode::FAILURE;
    };
    my_rng_e2e::pictures::take(Path::new(&folder));
    ExitCode::SUCCESS
}
