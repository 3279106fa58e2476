// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `vmstate`: random bytes are loaded as a state.

use arbitrary::Arbitrary;

use crate::fields::Fields;
use crate::oracle::Kind;
use crate::pair::{Pair, memory, properties};

/// A device and the state to load.
#[derive(Arbitrary, Clone, Debug)]
pub struct Arrival<'a> {
    device: Device,
    /// What happened to the device before.
    before: u8,
    /// The numbers taken afterwards.
    after: u8,
    /// Whether the device has a bulk engine.
    bulk: bool,
    state: State<'a>,
}

#[derive(Arbitrary, Clone, Debug)]
enum State<'a> {
    /// The fields in order, big-endian; missing bytes are 0.
    Bytes(&'a [u8]),
    /// The device's own state with some bytes changed: nearly valid, which random bytes rarely are.
    Edited(Vec<(u8, u8)>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Device {
    /// A device with the state's properties, as far as they are valid.
    AsTheState,
    Libc(u32),
    ChaCha20(u32),
    Host,
    ChaCha8(u32),
    Xoshiro256pp(u32),
}

/// Loads the state, and uses the device.
pub fn run(arrival: &Arrival<'_>) {
    let named = match arrival.state {
        State::Bytes(bytes) => Fields::from_bytes(bytes),
        State::Edited(_) => Fields::from_bytes(&[]),
    };
    let (kind, seed) = match arrival.device {
        Device::AsTheState => Kind::ALL
            .into_iter()
            .find(|kind| kind.number() == named.generator && *kind != Kind::Host)
            .map_or((Kind::Host, 1), |kind| (kind, named.initial_seed)),
        Device::Libc(seed) => (Kind::Libc, seed),
        Device::ChaCha20(seed) => (Kind::ChaCha20, seed),
        Device::Host => (Kind::Host, 1),
        Device::ChaCha8(seed) => (Kind::ChaCha8, seed),
        Device::Xoshiro256pp(seed) => (Kind::Xoshiro256pp, seed),
    };
    let properties = properties(kind, seed, arrival.bulk);
    let Some(mut pair) = Pair::new(&properties, u64::MAX, memory(0, false)) else {
        panic!("{properties:?} was refused");
    };
    pair.take(arrival.before.into());
    pair.check();

    let mut state = pair.save();
    match &arrival.state {
        State::Bytes(bytes) => state = Fields::from_bytes(bytes).to_bytes(),
        State::Edited(edits) => {
            for (at, value) in edits {
                if let Some(byte) = state.get_mut(usize::from(*at)) {
                    *byte = *value;
                }
            }
        }
    }
    let accepted = pair.load(&state);
    if accepted {
        // Any byte but 0 is true.
        assert_eq!(pair.save(), Fields::from_bytes(&state).to_bytes());
    }
    // Accepted or not: the numbers match the oracle's ...
    let mut twin = pair.twin();
    pair.read(8, 4);
    pair.take(arrival.after.into());
    pair.check();
    // ... a reset restores the initial seed ...
    pair.reset();
    pair.check();
    pair.take(2);
    pair.check();
    // ... the same state can be loaded again, like a snapshot that is loaded twice ...
    assert_eq!(pair.load(&state), accepted);
    // ... and the device can be migrated again.
    assert!(
        twin.travel(),
        "a state that had arrived was refused elsewhere"
    );
    twin.take(arrival.after.into());
    twin.check();
}
