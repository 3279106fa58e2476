// SPDX-License-Identifier: GPL-2.0-or-later

//! Fuzzing the device model: what comes from outside (a guest's accesses, a state that arrives in a
//! migration, the user's properties) against a second model, written from the specification alone.
//!
//! - [`oracle`]: the second model. It is naive on purpose, and shares nothing with the device but the
//!   specification.
//! - [`memory`]: the guest's memory, for what goes by DMA.
//! - [`pair`]: a device and its oracle, driven together and compared at every step.
//! - [`wire`]: a state as bytes, through the visitors with which QEMU's side reads and writes it.
//! - [`mmio`], [`vmstate`], [`properties`]: the targets. `fuzz_targets/` gives them to libFuzzer, and
//!   `cargo test` gives them the committed corpora.
//!
//! A finding is a panic.

#[cfg(test)]
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;
pub mod memory;
pub mod mmio;
pub mod oracle;
pub mod pair;
pub mod properties;
pub mod vmstate;
pub mod wire;
