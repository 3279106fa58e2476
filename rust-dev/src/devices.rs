// SPDX-License-Identifier: GPL-2.0-or-later

//! The devices of this library, a line each. QEMU's build reads this list too.

pub mod my_rng;
pub mod rust_edu;
pub mod rust_sampler;
pub mod rust_testdev;
