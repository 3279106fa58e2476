// SPDX-License-Identifier: GPL-2.0-or-later

//! What Linux 7.3's Rust abstractions leave out, behind safe interfaces.
//!
//! The only `unsafe` code of the module. Whatever a later kernel offers goes from here.

use crate::abi;
use core::{marker::PhantomData, mem::transmute};
use kernel::{
    container_of,
    fs::{File, Kiocb},
    iov::IovIterDest,
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    pci,
    prelude::*,
    seq_file::SeqFile,
    sync::{Arc, ArcBorrow},
};

/// The device's PCI vendor.
///
/// `pci::Vendor` has names for the vendors of `pci_ids.h`, which ours is not among, and nothing
/// else that makes one.
pub(crate) const VENDOR: pci::Vendor =
    // SAFETY: `pci::Vendor` is a transparent wrapper of the `u16` that PCI knows the vendor by.
    unsafe { transmute::<u16, pci::Vendor>(abi::PCI_VENDOR_ID) };

/// What a [`Node`] does for the files that are open on it.
pub(crate) trait NodeOperations: Send + Sync + 'static {
    /// Answers an ioctl whose argument is a pointer.
    fn ioctl(&self, command: u32, argument: UserPtr) -> Result<isize>;

    /// Answers a read, wherever in the file; returns how many bytes were handed over.
    fn read(&self, to: &mut IovIterDest<'_>) -> Result<usize>;

    /// Adds lines to what `/proc/PID/fdinfo` says of the file.
    fn show_fdinfo(&self, to: &SeqFile);
}

/// A node under `/dev`, from its registration to its drop, that knows what it is the node of.
///
/// A misc device has no private data, so that `open` is told which one it is called for and nothing
/// more. Here the registration is embedded in what has the data, and `open` finds the one from the
/// other.
#[pin_data]
pub(crate) struct Node<T: NodeOperations> {
    // `open` uses `target`, from the registration of `misc` to its end. So `misc` is dropped before
    // `target` (the order here) and made after it (the order in `register`).
    #[pin]
    misc: MiscDeviceRegistration<OpenNode<T>>,
    target: Arc<T>,
}

impl<T: NodeOperations> Node<T> {
    /// Makes a node of this name for `target`.
    pub(crate) fn register(name: &'static CStr, target: Arc<T>) -> impl PinInit<Self, Error> {
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
/// A `MiscDeviceRegistration<OpenNode<T>>` is always the field `misc` of a `Node<T>`, and registered
/// only while the field `target` is initialized: this type is private to this file, in which only
/// [`Node::register`] makes a registration of it.
struct OpenNode<T>(PhantomData<T>);

#[vtable]
impl<T: NodeOperations> MiscDevice for OpenNode<T> {
    type Ptr = Arc<T>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let misc = core::ptr::from_ref(misc).cast_mut();
        // SAFETY: By the invariant of `OpenNode`, `misc` is the field of that name of a `Node<T>`,
        // and so lies in the same allocation.
        let node = unsafe { container_of!(misc, Node<T>, misc) };
        // SAFETY: By the invariant of `OpenNode`, `target` has been initialized. Nor is it dropped
        // yet: `misc` goes first, and its `misc_deregister` waits until no `open` is running.
        let target = unsafe { &(*node).target };
        Ok(target.clone())
    }

    fn ioctl(
        target: ArcBorrow<'_, T>,
        _file: &File,
        command: u32,
        argument: usize,
    ) -> Result<isize> {
        target.ioctl(command, UserPtr::from_addr(argument))
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        kiocb.file().read(to)
    }

    fn show_fdinfo(target: ArcBorrow<'_, T>, to: &SeqFile, _file: &File) {
        target.show_fdinfo(to);
    }
}
