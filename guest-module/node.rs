// SPDX-License-Identifier: GPL-2.0-or-later

//! The nodes under `/dev`: their names and their file operations.

use crate::{
    abi,
    bulk::DIRECT_FROM,
    device::Device,
    gaps::{self, Block, Buffer, Facts, NodeFile},
};
use core::mem::size_of;
use kernel::{
    current,
    fs::{
        file::flags::{O_ACCMODE, O_RDWR, O_WRONLY},
        File,
    },
    ioctl::{_IOR, _IOW},
    iov::IovIterDest,
    mm::virt::VmaNew,
    prelude::*,
    seq_file::{seq_print, SeqFile},
    sync::{
        atomic::{Atomic, Full, Relaxed},
        new_mutex, new_spinlock, Arc, Mutex, SetOnce, SpinLock,
    },
    uaccess::UserSlice,
};

/// The maximum number of devices with a node.
///
/// It is bounded because a misc device's name must live as long as the module. 64 is the width of
/// [`TAKEN`], and about twice what fits on the root bus of a PC.
pub(crate) const MAX_NODES: usize = u64::BITS as usize;

/// The size of a name with two digits and the terminating NUL.
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

/// `my_rng_driver` for the first node, which the classic clients open, then `my_rng_driver1` and so on.
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

/// One bit per node name, set while it is in use.
static TAKEN: Atomic<u64> = Atomic::new(0);

/// A node name that is reserved until dropped.
pub(crate) struct NodeName {
    index: usize,
    name: &'static CStr,
}

impl NodeName {
    /// Reserves the first free name. Returns `None` if all are in use.
    pub(crate) fn take() -> Option<Self> {
        let mut taken = TAKEN.load(Relaxed);
        loop {
            let index = taken.trailing_ones() as usize;
            // If all bits are set, the index is one past the last name.
            let name = CStr::from_bytes_until_nul(NAME_BYTES.get(index)?).ok()?;
            match TAKEN.cmpxchg(taken, taken | 1 << index, Full) {
                Ok(_) => return Some(Self { index, name }),
                Err(now) => taken = now,
            }
        }
    }

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
    assert!(abi::IOCTL_FILL == _IOW::<[u32; 2]>(abi::IOCTL_TYPE, abi::IOCTL_FILL_NR));
};

/// The size in bytes from which a read uses a bulk transfer: 4 numbers. For fewer, reading the register is
/// faster. Measured under TCG.
const BULK_FROM: usize = 13;

/// From here on, a read does not fit into one block.
const BLOCK_END: usize = Block::SIZE + 1;

// Only the last piece of a read may end inside a number.
const _: () = assert!(Block::SIZE % abi::REG_SIZE == 0);

/// A way to read a piece. Each is faster than the one before for long reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// From the register, by way of the stack.
    Register,
    /// A bulk transfer, by way of the stack.
    Block,
    /// A bulk transfer, by way of the file's buffer.
    Buffer,
    /// A bulk transfer to the caller's memory.
    Direct,
}

impl Way {
    /// The fastest way to read `length` bytes. If the generator `can_fail`, a read of the register takes two
    /// more of FAILURES.
    fn of(length: usize, can_fail: bool) -> Self {
        match length {
            DIRECT_FROM.. => Self::Direct,
            BLOCK_END.. => Self::Buffer,
            BULK_FROM.. => Self::Block,
            _ if can_fail => Self::Block,
            _ => Self::Register,
        }
    }

    /// The way to try if this one has failed.
    fn simpler(self) -> Option<Self> {
        match self {
            Self::Register => None,
            Self::Block => Some(Self::Register),
            Self::Buffer => Some(Self::Block),
            Self::Direct => Some(Self::Buffer),
        }
    }
}

/// An open file of a device's node.
#[pin_data]
pub(crate) struct OpenFile {
    device: Arc<Device>,
    /// The mmap buffer, allocated on first use. A mapping keeps the file open.
    memory: SetOnce<Buffer>,
    /// Held while `memory` is set, so that a concurrent caller finds it complete.
    #[pin]
    storing: Mutex<()>,
    /// A zeroed buffer for the next read. It is per file: a reader whose copy to user space stalls does not
    /// block readers of other files.
    #[pin]
    spare: SpinLock<Option<Buffer>>,
}

impl OpenFile {
    /// Returns the mmap buffer, and allocates it on the first call.
    fn memory(&self) -> Result<&Buffer> {
        if let Some(memory) = self.memory.as_ref() {
            return Ok(memory);
        }
        let made = Buffer::new(abi::BULK_MAX_BYTES)?;
        {
            let _storing = self.storing.lock();
            // If another caller was first, its buffer stays and this one is dropped.
            self.memory.populate(made);
        }
        self.memory.as_ref().ok_or(ENOMEM)
    }

    /// Fills `length` bytes of the mmap buffer from `start`.
    fn fill(&self, [start, length]: [u32; 2]) -> Result {
        self.device.check_bulk()?;
        let memory = self.memory.as_ref().ok_or(EINVAL)?;
        let (start, length) = (start as usize, length as usize);
        let end = start
            .checked_add(length)
            .filter(|end| *end <= memory.size());
        let end = end.ok_or(EINVAL)?;
        if start % abi::REG_SIZE != 0 || length % abi::REG_SIZE != 0 {
            return Err(EINVAL);
        }
        if length == 0 {
            return Ok(());
        }
        self.device.fill_memory(memory, start..end)
    }
}

/// Whether the file was opened for writing. Access mode 3 allows only ioctls, so it does not count.
fn is_open_for_writing(file: &File) -> bool {
    matches!(file.flags() & O_ACCMODE, O_WRONLY | O_RDWR)
}

impl NodeFile for OpenFile {
    type Target = Device;

    fn facts(device: &Device) -> Facts<'_> {
        let (identity, counters) = (device.identity(), device.counters());
        Facts {
            generator: identity.generator().name(),
            has_bulk: identity.has_bulk(),
            words: &counters.words,
            seeds: &counters.seeds,
        }
    }

    fn open(device: Arc<Device>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            device,
            memory: SetOnce::new(),
            storing <- new_mutex!((), "my_rng::OpenFile::storing"),
            spare <- new_spinlock!(None, "my_rng::OpenFile::spare"),
        })
    }

    #[inline]
    fn ioctl(&self, file: &File, command: u32, argument: UserPtr) -> Result<isize> {
        match command {
            abi::IOCTL_RAND => gaps::put_user(self.device.rand()?, argument)?,
            abi::IOCTL_SEED if !is_open_for_writing(file) => return Err(EBADF),
            abi::IOCTL_SEED => self.device.seed(gaps::get_user(argument)?)?,
            abi::IOCTL_FILL => {
                let part = UserSlice::new(argument, size_of::<[u32; 2]>());
                self.fill(part.reader().read()?)?;
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn mmap(&self, vma: &VmaNew) -> Result {
        self.device.check_bulk()?;
        self.memory()?.map(vma)
    }

    #[inline]
    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize> {
        let mut fastest = if self.device.has_bulk() {
            Way::Direct
        } else {
            Way::Register
        };
        let can_fail = self.device.identity().can_fail();
        let mut done = 0;
        while !to.is_empty() && (done == 0 || !current!().signal_pending()) {
            let way = fastest.min(Way::of(to.len(), can_fail));
            let piece = match way {
                Way::Register => self.device.read_block(to, false),
                Way::Block => self.device.read_block(to, true),
                Way::Buffer => self.device.read_buffered(to, &self.spare),
                Way::Direct => self.device.read_direct(to),
            };
            let end = match (piece, way.simpler()) {
                (Ok(piece), _) => {
                    done += piece.stored;
                    piece.end
                }
                (Err(_), Some(simpler)) => {
                    // The register may still work, and reading it detects a missing device.
                    fastest = simpler;
                    None
                }
                (Err(error), None) => Some(error),
            };
            match end {
                Some(error) if done == 0 => return Err(error),
                // The numbers that were stored are gone from the stream.
                Some(_) => break,
                None => {}
            }
        }
        Ok(done)
    }

    fn show_fdinfo(&self, to: &SeqFile) {
        let device = &*self.device;
        let identity = device.identity();
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        seq_print!(to, "my_rng-device:\t{}\n", device.address());
        seq_print!(to, "my_rng-generator:\t{}\n", identity.generator().name());
        seq_print!(to, "my_rng-bulk:\t{}\n", yes_or_no(identity.has_bulk()));
        seq_print!(to, "my_rng-hwrng:\t{}\n", yes_or_no(device.is_offered()));
        seq_print!(to, "my_rng-words:\t{}\n", device.counters().words.sum());
        seq_print!(to, "my_rng-seeds:\t{}\n", device.counters().seeds.sum());
    }
}

#[kunit_tests(my_rng_node)]
mod tests {
    use super::*;

    #[test]
    fn way_of_a_read_depends_on_its_length() {
        for (first, last, way) in [
            (1, 12, Way::Register),
            (13, 512, Way::Block),
            (513, (32 << 10) - 1, Way::Buffer),
            (32 << 10, usize::MAX, Way::Direct),
        ] {
            for length in [first, last] {
                assert!(Way::of(length, false) == way);
                assert!(Way::of(length, true) == way.max(Way::Block));
            }
        }
    }

    #[test]
    fn node_names() {
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
