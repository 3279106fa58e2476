// SPDX-License-Identifier: GPL-2.0-or-later

//! Driver of the `my_rng` PCI device, on the Rust abstractions of Linux 7.3.
//!
//! - `driver`: which PCI devices are ours, and what happens when one comes or goes
//! - `device`: the registers of one device, and what can be done with them
//! - `node`: the nodes under `/dev`: their names and the ioctls they answer
//! - `gaps`: what the kernel's abstractions leave out; the only `unsafe` code
//! - `abi`: the contract that the driver shares with the device and with its clients

use kernel::{driver::Registration, pci, prelude::*, InPlaceModule, ModuleMetadata};

#[path = "../abi/my_rng_abi.rs"]
pub mod abi;
mod device;
mod driver;
mod gaps;
mod node;

module! {
    type: MyRngModule,
    name: "my_rng",
    authors: ["my_rng developers"],
    description: "Driver of the my_rng virtual random number generator",
    license: "GPL",
}

/// The module's name as the kernel knows it.
const MODULE_NAME: &CStr = <LocalModule as ModuleMetadata>::NAME;

#[pin_data]
struct MyRngModule {
    #[pin]
    _driver: Registration<pci::Adapter<driver::MyRngDriver>>,
}

// Not `module_pci_driver!`, which leaves no place to log from when the module is loaded.
impl InPlaceModule for MyRngModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!(
            "ioctl numbers: RAND {:#010x}, SEED {:#010x}\n",
            abi::IOCTL_RAND,
            abi::IOCTL_SEED
        );

        try_pin_init!(Self {
            _driver <- Registration::new(MODULE_NAME, module),
        })
    }
}
