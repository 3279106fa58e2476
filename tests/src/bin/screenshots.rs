// SPDX-License-Identifier: GPL-2.0-or-later

//! Takes the pictures of `docs/pictures/` into the folder that is named. `make screenshots` runs this.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: screenshots FOLDER");
        return ExitCode::FAILURE;
    };
    my_rng_e2e::pictures::take(Path::new(&folder));
    ExitCode::SUCCESS
}
