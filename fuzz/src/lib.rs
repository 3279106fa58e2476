// SPDX-License-Identifier: GPL-2.0-or-later

//! Fuzzing the device models: what comes from outside (a guest's accesses, a state that arrives in a
//! migration, the user's properties). `my_rng` is held against a second model, written from the specification
//! alone, and every device against what the kit promises of all devices.
//!
//! - [`oracle`]: the second model. It is naive on purpose, and shares nothing with the device but the
//!   specification.
//! - [`fields`]: the state of a `my_rng`, for the oracle.
//! - [`pair`]: a device and its oracle, driven together and compared at every step.
//! - [`mmio`], [`vmstate`], [`properties`], [`devices`]: the targets. `fuzz_targets/` gives them to libFuzzer, and
//!   `cargo test` gives them the committed corpora.
//!
//! The machine around a device is the kit's, `qemu_pci::testing`. A finding is a panic.

pub mod devices;
pub mod fields;
#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
pub mod mmio;
pub mod oracle;
pub mod pair;
pub mod properties;
pub mod vmstate;

/// Whether a letter controls a terminal, or makes a text look like another one.
fn unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Fails if an error cannot be shown on a terminal.
fn check_text(text: &str) {
    assert!(
        !text.is_empty() && !text.contains(unprintable),
        "{text:?} is not a text for a terminal"
    );
}
