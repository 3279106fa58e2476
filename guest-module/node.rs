// SPDX-License-Identifier: GPL-2.0-or-later

//! The nodes under `/dev`: their names, and what they do for the files that are open on them.

use crate::{abi, device::Device, gaps::NodeOperations, hwrng};
use core::mem::size_of;
use kernel::{
    current,
    ioctl::{_IOR, _IOW},
    iov::IovIterDest,
    prelude::*,
    seq_file::{seq_print, SeqFile},
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

/// What is read from the device at a time, in bytes: between two of these a reader can be interrupted.
const PIECE: usize = 256;

// So that only the last number of a read can be in part.
const _: () = assert!(PIECE % abi::REG_SIZE == 0);

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

    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize> {
        let mut buffer = [0; PIECE];
        let mut done = 0;
        // What has been handed over is never taken back: it has left the stream.
        while !to.is_empty() {
            if done > 0 && current!().signal_pending() {
                break;
            }
            let piece = &mut buffer[..PIECE.min(to.len())];
            match self.fill(piece) {
                Ok(()) => (),
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            let copied = to.copy_to_iter(piece);
            done += copied;
            if copied < piece.len() {
                if done == 0 {
                    return Err(EFAULT);
                }
                break;
            }
        }
        Ok(done)
    }

    fn show_fdinfo(&self, to: &SeqFile) {
        let offered = if hwrng::quality(self).is_some() {
            "yes"
        } else {
            "no"
        };
        seq_print!(to, "my_rng-device:\t{}\n", self.address());
        seq_print!(
            to,
            "my_rng-generator:\t{}\n",
            self.identity().generator().name()
        );
        seq_print!(to, "my_rng-hwrng:\t{offered}\n");
        seq_print!(to, "my_rng-words:\t{}\n", self.counters().words());
        seq_print!(to, "my_rng-seeds:\t{}\n", self.counters().seeds());
    }
}

#[kunit_tests(my_rng_node)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nodes() {
        for (index, name) in [
            (0, c"my_rng_driver"),
            (1, c"my_rng_driver1"),
            (9, c"my_rng_driver9"),
            (10, c"my_rng_driver10"),
            (63, c"my_rng_driver63"),
        ] {
            assert_eq!(CStr::from_bytes_until_nul(&NAME_BYTES[index]), Ok(name));
        }
    }
}
