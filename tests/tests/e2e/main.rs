// SPDX-License-Identifier: GPL-2.0-or-later

//! The whole chain, in guests that `vm/run` boots from what `make` has built.
//!
//! One program, so that its tests share the machine's processors and the boots they look at
//! together.

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
mod kunit;
mod machine;
mod many;
mod memory;
mod migration;
mod pci;
mod read;
mod registers;
mod removal;
mod replay;
mod run_ubuntu;
mod sleep;
mod snapshot;
mod stress;
mod unplug;
mod vm_run;
mod watched;
