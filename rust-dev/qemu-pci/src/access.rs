// SPDX-License-Identifier: GPL-2.0-or-later

//! An access of the guest.

/// One access to a BAR, as it came from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The BAR.
    pub bar: u8,
    /// Where in the BAR, in bytes.
    pub offset: u64,
    /// How many bytes: 1 to 8.
    pub size: u32,
}
