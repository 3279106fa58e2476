// SPDX-License-Identifier: GPL-2.0-or-later

//! The virtual machine as a tool: boots the built QEMU, kernel and initramfs, runs a command in
//! the guest, and returns its output and exit status.
//!
//! Start with [`Vm::from_build`] and [`Vm::start`]. `vm/README.md` tells how guest and launcher talk.

pub mod accel;
pub mod arch;
mod arguments;
pub mod built;
pub mod capture;
pub mod cli;
pub mod demo;
mod error;
mod files;
pub mod init;
pub mod initramfs;
pub mod job;
pub mod kernel;
pub mod machine;
mod ports;
pub mod protocol;
pub mod qemu;
pub mod qmp;
pub mod run;
pub mod signals;
mod start;
mod terminal;

/// The guest-visible contract of the device and its driver.
#[path = "../../abi/my_rng_abi.rs"]
pub mod abi;
/// What the default generator must give.
#[path = "../../abi/known_answers.rs"]
pub mod known_answers;

pub use accel::Accel;
pub use arch::Arch;
pub use error::Error;
pub use initramfs::GuestFile;
pub use machine::{Console, Vm};
pub use run::Running;
