// SPDX-License-Identifier: GPL-2.0-or-later

//! Driver for the `my_rng` PCI device, on the Rust abstractions of Linux 7.3.
//!
//! - `driver`: the PCI driver: device table, probe and unbind
//! - `device`: one device, and the operations on it
//! - `bulk`: its bulk engine: transfers by DMA
//! - `identity`: what a device reports in the register `INFO`
//! - `node`: the nodes under `/dev`: names and file operations
//! - `hwrng`: registration with the kernel's `hw_random`
//! - `debugfs`: the device's debugfs directory
//! - `gaps`: what the kernel's abstractions lack; the `unsafe` code
//! - `abi`: the constants shared with the device and with its clients

use crate::gaps::ModuleDir;
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

module! {
    type: MyRngModule,
    name: "my_rng",
    authors: ["my_rng developers"],
    description: "Driver of the my_rng virtual random number generator",
    license: "GPL",
    params: {
        seeded_hwrng: bool {
            default: false,
            description: "Also register seeded generators (chacha20, chacha8) with hw_random, which \
then reads from their streams and credits some entropy for it: for tests only",
        },
    },
}

const MODULE_NAME: &CStr = <LocalModule as ModuleMetadata>::NAME;

#[pin_data]
struct MyRngModule {
    // Fields drop in order; the driver uses the directory.
    #[pin]
    _driver: Registration<pci::Adapter<driver::MyRngDriver>>,
    _dir: ModuleDir,
}

// Not `module_pci_driver!`, which has no hook to log when the module is loaded.
impl InPlaceModule for MyRngModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!(
            "ioctl numbers: RAND {:#010x}, SEED {:#010x}\n",
            abi::IOCTL_RAND,
            abi::IOCTL_SEED
        );

        try_pin_init!(Self {
            // SAFETY: This is the module's init, and the driver is not registered yet.
            _dir: unsafe { ModuleDir::new(MODULE_NAME) },
            _driver <- Registration::new(MODULE_NAME, module),
        })
    }
}
