// SPDX-License-Identifier: GPL-2.0-or-later

//! The nodes under `/dev`: their names and their file operations.

use crate::{
    abi,
    bulk::DIRECT_FROM,
    device::{Device, Piece},
    gaps::{self, Buffer, NodeFile},
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

/// How many bytes are read from the registers before the reader checks for signals.
const PIECE: usize = 256;

/// The size in bytes from which a read uses a bulk transfer. Below it, reading the registers is faster.
/// Measured under TCG, where a transfer takes as long as 8 register reads.
const BULK_FROM: usize = 32;

// Only the last piece of a read may end inside a number.
const _: () = assert!(PIECE % abi::REG_SIZE == 0);

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

    /// Reads the next piece.
    fn read_piece(
        &self,
        to: &mut IovIterDest<'_>,
        buffer: &mut [u8; PIECE],
        ways: &mut Ways,
    ) -> Piece {
        // Do not retry a path that failed. The registers may still work, and reading them detects a missing
        // device.
        if ways.direct && to.len() >= DIRECT_FROM {
            if let Some(piece) = outcome(self.device.read_direct(to)) {
                return piece;
            }
            ways.direct = false;
        }
        if ways.bulk && to.len() >= BULK_FROM {
            if let Some(piece) = outcome(self.device.read_bulk(to, &self.spare).map(Some)) {
                return piece;
            }
            ways.bulk = false;
        }
        let piece = &mut buffer[..PIECE.min(to.len())];
        if let Err(error) = self.device.fill(piece) {
            return Piece::failed(error);
        }
        let stored = to.copy_to_iter(piece);
        Piece {
            stored,
            end: (stored < piece.len()).then_some(EFAULT),
        }
    }
}

/// Whether the file was opened for writing. Access mode 3 allows only ioctls, so it does not count.
fn is_open_for_writing(file: &File) -> bool {
    matches!(file.flags() & O_ACCMODE, O_WRONLY | O_RDWR)
}

/// Converts the result of a path; `None` means: try the next path.
fn outcome(result: Result<Option<Piece>>) -> Option<Piece> {
    match result {
        Ok(piece) => piece,
        // A signal ends the read.
        Err(ERESTARTSYS) => Some(Piece::failed(ERESTARTSYS)),
        Err(_) => None,
    }
}

/// Which paths a read may still try.
struct Ways {
    /// Bulk transfer into the caller's memory.
    direct: bool,
    /// Bulk transfer into a kernel buffer.
    bulk: bool,
}

impl NodeFile for OpenFile {
    type Target = Device;

    fn open(device: Arc<Device>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            device,
            memory: SetOnce::new(),
            storing <- new_mutex!((), "my_rng::OpenFile::storing"),
            spare <- new_spinlock!(None, "my_rng::OpenFile::spare"),
        })
    }

    fn ioctl(&self, file: &File, command: u32, argument: UserPtr) -> Result<isize> {
        // The classic commands point to one number.
        let number = UserSlice::new(argument, size_of::<u32>());
        match command {
            abi::IOCTL_RAND => number.writer().write(&self.device.rand()?)?,
            abi::IOCTL_SEED if !is_open_for_writing(file) => return Err(EBADF),
            abi::IOCTL_SEED => self.device.seed(number.reader().read()?)?,
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

    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize> {
        let mut buffer = [0; PIECE];
        let mut ways = Ways {
            direct: true,
            bulk: true,
        };
        let mut done = 0;
        // Once something is stored, return its length instead of an error: those numbers are gone from the
        // stream.
        let result = loop {
            if to.is_empty() || done > 0 && current!().signal_pending() {
                break Ok(done);
            }
            let piece = self.read_piece(to, &mut buffer, &mut ways);
            done += piece.stored;
            match piece.end {
                Some(error) if done == 0 => break Err(error),
                Some(_) => break Ok(done),
                None => {}
            }
        };
        gaps::wipe(&mut buffer);
        result
    }

    fn show_fdinfo(&self, to: &SeqFile) {
        let device = &*self.device;
        let identity = device.identity();
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        seq_print!(to, "my_rng-device:\t{}\n", device.address());
        seq_print!(to, "my_rng-generator:\t{}\n", identity.generator().name());
        seq_print!(to, "my_rng-bulk:\t{}\n", yes_or_no(identity.has_bulk()));
        seq_print!(to, "my_rng-hwrng:\t{}\n", yes_or_no(device.is_offered()));
        seq_print!(to, "my_rng-words:\t{}\n", device.counters().words());
        seq_print!(to, "my_rng-seeds:\t{}\n", device.counters().seeds());
    }
}

#[kunit_tests(my_rng_node)]
mod tests {
    use super::*;

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
