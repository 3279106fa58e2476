// SPDX-License-Identifier: GPL-2.0-or-later

//! Registers the device with the kernel's `hw_random` (`/dev/hwrng`).
//!
//! Linux 7.3 has no Rust abstraction of `hw_random`; `linux-patches/` adds one. On a kernel without it no
//! device is registered, and the rest of the driver works the same.

use crate::{device::Device, module_parameters};

/// Returns the quality for the registration, or `None` if the device must not be registered.
pub(crate) fn quality(device: &Device) -> Option<u16> {
    let seeded = module_parameters::seeded_hwrng.value();
    device
        .identity()
        .quality(seeded)
        .filter(|_| cfg!(MY_RNG_HWRNG))
}

#[cfg(MY_RNG_HWRNG)]
pub(crate) use registration::{register, Registered};

#[cfg(MY_RNG_HWRNG)]
mod registration {
    use super::*;
    use kernel::{
        hw_random::{HwRng, Quality, Registration},
        prelude::*,
        sync::Arc,
    };

    pub(crate) struct Source(Arc<Device>);

    impl HwRng for Source {
        fn read(&self, buffer: &mut [u8], _wait: bool) -> Result<usize> {
            self.0.fill(buffer)?;
            Ok(buffer.len())
        }
    }

    /// Unregisters on drop. `None` if the device is not registered.
    pub(crate) type Registered = Option<Pin<KBox<Registration<Source>>>>;

    /// Registers the device as `name`, if it has a [`quality`].
    pub(crate) fn register(
        name: &'static CStr,
        device: &Arc<Device>,
        quality: Option<u16>,
    ) -> Result<Registered> {
        let Some(quality) = quality else {
            return Ok(None);
        };
        let registration =
            Registration::new(name, Quality::try_from(quality)?, Source(device.clone()));
        KBox::pin_init(registration, GFP_KERNEL).map(Some)
    }
}

#[cfg(not(MY_RNG_HWRNG))]
pub(crate) use without_core::{register, Registered};

#[cfg(not(MY_RNG_HWRNG))]
mod without_core {
    use super::*;
    use kernel::{prelude::*, sync::Arc};

    pub(crate) type Registered = ();

    /// Does nothing on this kernel.
    pub(crate) fn register(
        _name: &'static CStr,
        _device: &Arc<Device>,
        _quality: Option<u16>,
    ) -> Result<Registered> {
        Ok(())
    }
}
