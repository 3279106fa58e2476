// SPDX-License-Identifier: GPL-2.0-or-later

//! What `make bench` runs: measures the device, its driver, their twins in C, and what else gives a guest
//! bytes, in one run of one virtual machine, and tells the figures. `docs/benchmarks.md` has them.

pub mod chart;
pub mod guest;
pub mod host;
pub mod native;
pub mod realize;
pub mod report;
pub mod results;
pub mod stats;

/// Why there are no figures.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
