// SPDX-License-Identifier: GPL-2.0-or-later

//! What debugfs shows of a device: a folder that has the name of its node.

use crate::device::Device;
use kernel::{
    debugfs::{Scope, ScopedDir},
    fmt,
    prelude::*,
    sync::Arc,
};

/// A folder of this name, which is there as long as the value is.
pub(crate) fn folder(name: &'static CStr, device: Arc<Device>) -> impl PinInit<Scope<Arc<Device>>> {
    Scope::dir(device, name, populate)
}

fn populate<'data>(device: &'data Arc<Device>, folder: &ScopedDir<'data, '_>) {
    folder.read_callback_file(c"device", device, &address);
    folder.read_callback_file(c"generator", device, &generator);
    folder.read_callback_file(c"words", device, &words);
    folder.read_callback_file(c"seeds", device, &seeds);
}

fn address(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", fmt::Adapter(device.address()))
}

fn generator(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", device.identity().generator().name())
}

fn words(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", device.counters().words())
}

fn seeds(device: &Arc<Device>, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(to, "{}", device.counters().seeds())
}
