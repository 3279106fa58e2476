// SPDX-License-Identifier: GPL-2.0-or-later

//! The saved state of a `my_rng`, for migrations and snapshots.

use super::{MyRng, generator_id};
use crate::generator::{Generator, Place, TABLE_WORDS};

qemu_pci::state! {
    /// The device's properties, and where its stream stands.
    #[derive(Debug, PartialEq, Eq)]
    pub struct MyRngState: version 2 {
        /// The generator's id.
        pub generator: u8,
        /// The property `bulk`.
        pub bulk: bool,
        /// The property `seed`.
        pub initial_seed: u32,
        /// Where the stream stands: [`Place::seed`].
        pub seed: u32,
        /// [`Place::position`].
        pub position: u64,
        /// [`Place::table`].
        pub table: [u32; TABLE_WORDS],
        /// The register FAILURES.
        pub failures: u32,
    }
}

const _: () = assert!(TABLE_WORDS == 31, "the format of the state has 31 words");

/// The state of `device`.
pub(super) fn save(device: &MyRng) -> MyRngState {
    let Place {
        seed,
        position,
        table,
    } = device.generator.place();
    MyRngState {
        generator: generator_id::of(device.generator.kind()),
        bulk: device.has_bulk,
        initial_seed: device.initial_seed,
        seed,
        position,
        table,
        failures: device.failures,
    }
}

/// Puts `device` into this state.
///
/// # Errors
///
/// When the state is impossible, or from a device with other properties. The device has not changed then.
pub(super) fn load(device: &mut MyRng, state: &MyRngState) -> Result<(), String> {
    let generator = generator_id::find(state.generator).ok_or_else(|| {
        format!(
            "it names generator {}, which is not known here",
            state.generator
        )
    })?;
    let kind = device.generator.kind();
    same("generator", generator, kind)?;
    same("bulk", on_off(state.bulk), on_off(device.has_bulk))?;
    same("seed", state.initial_seed, device.initial_seed)?;
    let place = Place {
        seed: state.seed,
        position: state.position,
        table: state.table,
    };
    device.generator = Generator::at(kind, &place)
        .map_err(|_| format!("the generator {kind} cannot stand where it says"))?;
    device.failures = state.failures;
    Ok(())
}

fn on_off(switch: bool) -> &'static str {
    if switch { "on" } else { "off" }
}

fn same<T: PartialEq + core::fmt::Display>(name: &str, theirs: T, ours: T) -> Result<(), String> {
    if theirs == ours {
        return Ok(());
    }
    Err(format!(
        "it is of a device with {name}={theirs}, and this one has {name}={ours}: give both sides the same"
    ))
}
