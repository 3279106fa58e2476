// SPDX-License-Identifier: GPL-2.0-or-later

//! The virtual machine as a tool: boots the built QEMU, kernel and initramfs, runs a command in
//! the guest, and brings back what it printed and its exit status.
//!
//! [`Vm`] is the door: [`Vm::from_build`], then [`Vm::run`] (captures the output) or
//! [`Vm::start`] (streams it). How guest and launcher talk is told in `vm/README.md`.

pub mod accel;
pub mod built;
pub mod capture;
pub mod cli;
pub mod demo;
mod error;
pub mod init;
pub mod initramfs;
pub mod job;
pub mod kernel;
pub mod machine;
pub mod protocol;
pub mod qemu;
pub mod qmp;
pub mod signals;

/// The guest-visible contract of the device and its driver.
#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
/// What the default generator must give.
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;

pub use accel::Accel;
pub use error::Error;
pub use initramfs::GuestFile;
pub use machine::{Console, Outcome, Running, Vm};
