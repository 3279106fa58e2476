// SPDX-License-Identifier: GPL-2.0-or-later

//! Driver of the `my_rng` PCI device, on the Rust abstractions of Linux 7.3.
//!
//! - `driver`: which PCI devices are ours, and what happens when one comes or goes
//! - `device`: the registers of one device, and what can be done with them
//! - `bulk`: its bulk engine: many numbers at once, by DMA
//! - `pool`: a fixed number of things that callers share: the engine's descriptors
//! - `identity`: what a device says of itself, and what follows from its generator
//! - `node`: the nodes under `/dev`: their names, and what they do for open files
//! - `hwrng`: the device as one of the kernel's own random number generators
//! - `debugfs`: what there is to see of a device
//! - `gaps`: what the kernel's abstractions leave out; the only `unsafe` code
//! - `abi`: the contract that the driver shares with the device and with its clients

use kernel::{driver::Registration, pci, prelude::*, InPlaceModule, ModuleMetadata};

#[path = "../abi/my_rng_abi.rs"]
pub mod abi;
mod bulk;
mod debugfs;
mod device;
mod driver;
mod gaps;
mod hwrng;
mod identity;
mod node;
mod pool;

module! {
    type: MyRngModule,
    name: "my_rng",
    authors: ["my_rng developers"],
    description: "Driver of the my_rng virtual random number generator",
    license: "GPL",
    params: {
        seeded_hwrng: bool {
            default: false,
            description: "Offer generators that are seeded (chacha20, chacha8) to hw_random too, which then \
reads from their stream by itself, and credits a little of it: for tests only",
        },
    },
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
