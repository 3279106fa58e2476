// SPDX-License-Identifier: GPL-2.0-or-later

//! Tests of the whole chain, in guests that boot what `make` has built. They are one program, so that they share
//! the processors and some boots.

mod app;
mod boot;
mod bulk;
mod classic;
mod crowd;
mod demo;
mod driver;
mod entropy;
mod first_boot;
mod hwrng;
mod iommu;
mod kunit;
mod machine;
mod many;
mod memory;
mod migration;
mod parallel;
mod pci;
mod read;
mod registers;
mod removal;
mod replay;
mod rings;
mod run_ubuntu;
mod sleep;
mod snapshot;
mod stress;
mod unplug;
mod vm_run;
mod watched;
