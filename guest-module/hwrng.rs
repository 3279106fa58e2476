// SPDX-License-Identifier: GPL-2.0-or-later

//! Registers the device with the kernel's `hw_random` (`/dev/hwrng`).

use crate::{
    device::Device,
    gaps::{HwRandom, Source},
    module_parameters,
};
use kernel::{prelude::*, sync::Arc};

impl Source for Device {
    fn read(&self, buffer: &mut [u8]) -> Result {
        self.fill(buffer)
    }
}

/// Unregisters on drop. `None` if the device is not registered.
pub(crate) type Registered = Option<HwRandom<Device>>;

/// Returns the quality for the registration, or `None` if the device must not be registered.
pub(crate) fn quality(device: &Device) -> Option<u16> {
    let seeded = module_parameters::seeded_hwrng.value();
    device.identity().quality(seeded)
}

/// Registers the device as `name`, if it has a [`quality`] and the kernel has `hw_random`.
pub(crate) fn register(
    name: &'static CStr,
    device: &Arc<Device>,
    quality: Option<u16>,
) -> Result<Registered> {
    let Some(quality) = quality else {
        return Ok(None);
    };
    let registered = HwRandom::register(name, quality, device.clone())?;
    if registered.is_some() {
        device.set_offered();
    }
    Ok(registered)
}
