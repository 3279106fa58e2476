// SPDX-License-Identifier: GPL-2.0-or-later

//! The app in the guest.

mod devices;
mod errors;
mod library;
mod numbers;
mod stopped;
mod without_driver;

use my_rng_e2e::Guest;

/// A shell function: `failed COMMAND...` runs a command and prints its stderr and its exit status.
const FAILED: &str =
    r#"failed() { local status=0; "$@" 2>&1 || status=$?; echo "status $status"; }"#;

fn of_generator(name: &str) -> Guest {
    Guest::new().device(&format!("my_rng,generator={name}"))
}
