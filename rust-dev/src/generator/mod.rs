// SPDX-License-Identifier: GPL-2.0-or-later

//! Generators: from a seed to a stream of numbers.
//!
//! Nothing here knows what a register or QEMU is, and no generator shares state with another: two
//! devices, or QEMU's own use of the C library, never disturb each other's streams.

mod glibc;

pub use glibc::GlibcRandom;
