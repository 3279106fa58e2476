// SPDX-License-Identifier: GPL-2.0-or-later

//! The nodes under `/dev`: their names, and the ioctls they answer.

use crate::{abi, device::Device, gaps::NodeOperations};
use core::mem::size_of;
use kernel::{
    ioctl::{_IOR, _IOW},
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
    uaccess::UserSlice,
};

/// How many devices can have a node at a time.
///
/// There has to be a bound, because a misc device's name has to live as long as the module does;
/// 64 is the width of [`TAKEN`], and about twice what fits on the root bus of a PC.
pub(crate) const MAX_NODES: usize = u64::BITS as usize;

/// Room for a name, two digits and the terminating NUL.
const NAME_SIZE: usize = abi::NODE_NAME.len() + 3;

const _: () = assert!(MAX_NODES <= 100);

static NAME_BYTES: [[u8; NAME_SIZE]; MAX_NODES] = {
    let mut names = [[0; NAME_SIZE]; MAX_NODES];
    let mut index = 0;
    while index < MAX_NODES {
        names[index] = name_bytes(index);
        index += 1;
    }
    names
};

/// `my_rng_driver` for the first node, as the classic clients want it, then `my_rng_driver1` and
/// so on.
const fn name_bytes(index: usize) -> [u8; NAME_SIZE] {
    let stem = abi::NODE_NAME.as_bytes();
    let mut name = [0; NAME_SIZE];
    let mut len = 0;
    while len < stem.len() {
        name[len] = stem[len];
        len += 1;
    }
    if index >= 10 {
        name[len] = b'0' + (index / 10) as u8;
        len += 1;
    }
    if index > 0 {
        name[len] = b'0' + (index % 10) as u8;
    }
    name
}

/// One bit for each node, set while the node has a device.
static TAKEN: Atomic<u64> = Atomic::new(0);

/// The right to a node's name, given back when it is dropped.
pub(crate) struct NodeName {
    index: usize,
    name: &'static CStr,
}

impl NodeName {
    /// Takes the first name that is free, or none if all are taken.
    pub(crate) fn take() -> Option<Self> {
        let mut taken = TAKEN.load(Relaxed);
        loop {
            let index = taken.trailing_ones() as usize;
            // None if all bits are set: the index is then one past the last name.
            let name = CStr::from_bytes_until_nul(NAME_BYTES.get(index)?).ok()?;
            match TAKEN.cmpxchg(taken, taken | 1 << index, Full) {
                Ok(_) => return Some(Self { index, name }),
                Err(now) => taken = now,
            }
        }
    }

    /// The name, as it stands under `/dev`.
    pub(crate) fn as_cstr(&self) -> &'static CStr {
        self.name
    }
}

impl Drop for NodeName {
    fn drop(&mut self) {
        let mut taken = TAKEN.load(Relaxed);
        while let Err(now) = TAKEN.cmpxchg(taken, taken & !(1 << self.index), Full) {
            taken = now;
        }
    }
}

const _: () = {
    assert!(abi::IOCTL_RAND == _IOR::<u32>(abi::IOCTL_TYPE, abi::IOCTL_NR));
    assert!(abi::IOCTL_SEED == _IOW::<u32>(abi::IOCTL_TYPE, abi::IOCTL_NR));
};

impl NodeOperations for Device {
    fn ioctl(&self, command: u32, argument: UserPtr) -> Result<isize> {
        // Both point to one number.
        let number = UserSlice::new(argument, size_of::<u32>());
        match command {
            abi::IOCTL_RAND => number.writer().write(&self.rand()?)?,
            abi::IOCTL_SEED => self.seed(number.reader().read()?)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}
