// SPDX-License-Identifier: GPL-2.0-or-later

//! A misc device that knows what it is the node of.

use core::marker::PhantomData;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    container_of,
    fs::{File, Kiocb},
    iov::IovIterDest,
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::Arc,
};

/// A file that is open on a [`Node`].
pub(crate) trait NodeFile: Send + Sync + Sized + 'static {
    /// What the node is the node of.
    type Target: Send + Sync + 'static;

    /// Opens one.
    fn open(target: Arc<Self::Target>) -> impl PinInit<Self, Error>;

    /// Answers an ioctl on `file`, whose argument is a pointer.
    fn ioctl(&self, file: &File, command: u32, argument: UserPtr) -> Result<isize>;

    /// Answers a read, wherever in the file; returns how many bytes were handed over.
    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize>;

    /// Maps the file into a program's memory.
    fn mmap(&self, vma: &VmaNew) -> Result;

    /// Adds lines to what `/proc/PID/fdinfo` says of the file.
    fn show_fdinfo(&self, to: &SeqFile);
}

/// A node under `/dev`, from its registration to its drop, that knows what it is the node of.
///
/// A misc device has no private data, so that `open` is told which one it is called for and nothing
/// more. Here the registration is embedded in what has the data, and `open` finds the one from the
/// other.
#[pin_data]
pub(crate) struct Node<F: NodeFile> {
    // `open` uses `target`, from the registration of `misc` to its end. So `misc` is dropped before
    // `target` (the order here) and made after it (the order in `register`).
    #[pin]
    misc: MiscDeviceRegistration<OpenNode<F>>,
    target: Arc<F::Target>,
}

impl<F: NodeFile> Node<F> {
    /// Makes a node of this name for `target`.
    pub(crate) fn register(
        name: &'static CStr,
        target: Arc<F::Target>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            target,
            misc <- MiscDeviceRegistration::register(MiscDeviceOptions { name }),
        })
    }
}

/// The type of the files that are open on a [`Node`].
///
/// # Invariants
///
/// A `MiscDeviceRegistration<OpenNode<F>>` is always the field `misc` of a `Node<F>`, and registered
/// only while the field `target` is initialized: this type is private to this file, in which only
/// [`Node::register`] makes a registration of it.
struct OpenNode<F>(PhantomData<F>);

#[vtable]
impl<F: NodeFile> MiscDevice for OpenNode<F> {
    type Ptr = Pin<KBox<F>>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let misc = core::ptr::from_ref(misc).cast_mut();
        // SAFETY: By the invariant of `OpenNode`, `misc` is the field of that name of a `Node<F>`,
        // and so lies in the same allocation.
        let node = unsafe { container_of!(misc, Node<F>, misc) };
        // SAFETY: By the invariant of `OpenNode`, `target` has been initialized. Nor is it dropped
        // yet: `misc` goes first, and its `misc_deregister` waits until no `open` is running.
        let target = unsafe { &(*node).target };
        KBox::pin_init(F::open(target.clone()), GFP_KERNEL_ACCOUNT)
    }

    fn ioctl(open: Pin<&F>, file: &File, command: u32, argument: usize) -> Result<isize> {
        open.ioctl(file, command, UserPtr::from_addr(argument))
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        kiocb.file().read(to)
    }

    fn mmap(open: Pin<&F>, _file: &File, vma: &VmaNew) -> Result {
        open.mmap(vma)
    }

    fn show_fdinfo(open: Pin<&F>, to: &SeqFile, _file: &File) {
        open.show_fdinfo(to);
    }
}
