// SPDX-License-Identifier: GPL-2.0-or-later

//! A misc device with private data.

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

/// An open file of a [`Node`].
pub(crate) trait NodeFile: Send + Sync + Sized + 'static {
    /// The private data of the node.
    type Target: Send + Sync + 'static;

    fn open(target: Arc<Self::Target>) -> impl PinInit<Self, Error>;

    /// Handles an ioctl whose argument is a pointer.
    fn ioctl(&self, file: &File, command: u32, argument: UserPtr) -> Result<isize>;

    /// Handles a read at any position. Returns how many bytes were stored.
    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize>;

    fn mmap(&self, vma: &VmaNew) -> Result;

    /// Adds lines to the file's `/proc/PID/fdinfo`.
    fn show_fdinfo(&self, to: &SeqFile);
}

/// A node under `/dev` with private data, from `register` to drop.
///
/// `MiscDevice::open` gets only the registration, which has no private data. So the registration is a field
/// of the struct that has the data, and `open` finds the struct with `container_of!`.
#[pin_data]
pub(crate) struct Node<F: NodeFile> {
    // `open` uses `target` while `misc` is registered. So `misc` must be dropped before `target` (fields
    // drop in this order) and initialized after it (the order in `register`).
    #[pin]
    misc: MiscDeviceRegistration<OpenNode<F>>,
    target: Arc<F::Target>,
}

impl<F: NodeFile> Node<F> {
    /// Registers the node `name` for `target`.
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

/// The file operations of a [`Node`].
///
/// # Invariants
///
/// A `MiscDeviceRegistration<OpenNode<F>>` is always the field `misc` of a `Node<F>`, and is registered
/// only while the field `target` is initialized: this type is private to this file, and only
/// [`Node::register`] registers it.
struct OpenNode<F>(PhantomData<F>);

#[vtable]
impl<F: NodeFile> MiscDevice for OpenNode<F> {
    type Ptr = Pin<KBox<F>>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let misc = core::ptr::from_ref(misc).cast_mut();
        // SAFETY: By the invariant of `OpenNode`, `misc` is the field `misc` of a `Node<F>`, so the result
        // is in the same allocation.
        let node = unsafe { container_of!(misc, Node<F>, misc) };
        // SAFETY: By the invariant of `OpenNode`, `target` is initialized. It is not dropped during this
        // call: `misc` is dropped first, and its `misc_deregister` waits for running `open`s.
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
