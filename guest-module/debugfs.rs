// SPDX-License-Identifier: GPL-2.0-or-later

//! The device's directory in debugfs: `my_rng/`, and the name of its node.

use crate::device::Device;
use kernel::{
    debugfs::{Dir, Scope, ScopedDir},
    fmt,
    prelude::*,
    sync::Arc,
};

/// Creates the directory `name` in `parent`. It is removed when the result is dropped.
pub(crate) fn directory<'a>(
    parent: &'a Dir,
    name: &'static CStr,
    device: Arc<Device>,
) -> impl PinInit<Scope<Arc<Device>>> + 'a {
    parent.scope(device, name, populate)
}

fn populate<'data>(device: &'data Arc<Device>, directory: &ScopedDir<'data, '_>) {
    directory.read_callback_file(c"device", device, &address);
    directory.read_callback_file(c"generator", device, &generator);
    directory.read_callback_file(c"words", device, &words);
    directory.read_callback_file(c"seeds", device, &seeds);
}

fn address(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", fmt::Adapter(device.address()))
}

fn generator(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", fmt::Adapter(device.identity().generator().name()))
}

fn words(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", device.counters().words.sum())
}

fn seeds(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", device.counters().seeds.sum())
}
