// SPDX-License-Identifier: GPL-2.0-or-later

//! What `make bench` runs: measures the device, its driver, their twins in C, and other sources of bytes, in
//! one run of one virtual machine. `docs/benchmarks.md` has the results.

pub mod baseline;
pub mod chart;
pub mod figures;
pub mod guest;
pub mod host;
pub mod names;
pub mod native;
pub mod realize;
pub mod results;
pub mod stats;
pub mod tables;

/// Why the measurement failed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
