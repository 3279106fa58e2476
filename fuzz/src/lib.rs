// SPDX-License-Identifier: GPL-2.0-or-later

//! Fuzzing of the device models with untrusted input: a guest's accesses, a migration's state, the user's properties.
//! `my_rng` is compared with a second model, which was written only from the specification. Every device is checked
//! against the kit's guarantees.
//!
//! - [`oracle`]: the second model. It is naive on purpose and shares no code with the device.
//! - [`fields`]: the state of a `my_rng`, for the oracle.
//! - [`pair`]: a device and its oracle, driven together and compared at every step.
//! - [`mmio`], [`vmstate`], [`properties`], [`devices`]: the targets. `fuzz_targets/` runs them with libFuzzer,
//!   `cargo test` with the committed corpora.
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

/// Whether a character controls a terminal or disguises text.
fn unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Fails if an error is not safe to print on a terminal.
fn check_text(text: &str) {
    assert!(
        !text.is_empty() && !text.contains(unprintable),
        "{text:?} is not a text for a terminal"
    );
}
