// SPDX-License-Identifier: GPL-2.0-or-later

//! A misc device with private data, a parent and attributes in sysfs.

use core::marker::PhantomData;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    bindings, container_of,
    device::{self, Bound},
    error::to_result,
    fs::{File, Kiocb},
    iov::IovIterDest,
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::Arc,
    types::Opaque,
};

use super::{c, raw_device, Counter};

/// What a node's attributes show. See `docs/sysfs-class-misc-my_rng`.
pub(crate) struct Facts<'a> {
    pub(crate) generator: &'static CStr,
    pub(crate) has_bulk: bool,
    pub(crate) words: &'a Counter,
    pub(crate) seeds: &'a Counter,
}

/// An open file of a [`Node`].
pub(crate) trait NodeFile: Send + Sync + Sized + 'static {
    /// The private data of the node.
    type Target: Send + Sync + 'static;

    fn facts(target: &Self::Target) -> Facts<'_>;

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
/// `MiscDeviceRegistration` has no private data, parent or attributes, so this registers the misc device itself.
/// `open` and the attributes get the misc device, and find this struct, of which it is a field.
///
/// # Invariants
///
/// `misc` is registered. `facts` point to what is static, or what `target` owns.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(crate) struct Node<F: NodeFile> {
    // For C, so these are first.
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    facts: c::Facts,
    target: Arc<F::Target>,
}

// SAFETY: A misc device may be unregistered by any task, `facts` may be read by any task, and an
// `Arc<F::Target>` may be sent to another task.
unsafe impl<F: NodeFile> Send for Node<F> {}

impl<F: NodeFile> Node<F> {
    /// Registers the node `name` of the device `parent` for `target`.
    pub(crate) fn register<'a>(
        name: &'static CStr,
        parent: &'a device::Device<Bound>,
        target: Arc<F::Target>,
    ) -> impl PinInit<Self, Error> + 'a
    where
        F: 'a,
    {
        // INVARIANT: `misc` is initialized last. If that fails, the other fields are dropped.
        try_pin_init!(Self {
            facts: {
                let facts = F::facts(&target);
                c::Facts {
                    generator: facts.generator.as_char_ptr(),
                    words: facts.words.as_ptr(),
                    seeds: facts.seeds.as_ptr(),
                    has_bulk: facts.has_bulk,
                }
            },
            target,
            misc <- Opaque::try_ffi_init(|misc: *mut bindings::miscdevice| {
                let mut raw = MiscDeviceOptions { name }.into_raw::<OpenNode<F>>();
                raw.parent = raw_device(parent);
                raw.groups = (&raw mut c::my_rng_groups).cast();
                // SAFETY: `misc` is valid for writes.
                unsafe { misc.write(raw) };
                // SAFETY: `misc` is initialized, with a name and attributes that live as long as the module, and
                // `facts` and `target` are. It stays in place until `drop` has unregistered it. `parent` is valid now,
                // and the core takes a reference of its own.
                to_result(unsafe { bindings::misc_register(misc) })
            }),
        })
    }
}

#[pinned_drop]
impl<F: NodeFile> PinnedDrop for Node<F> {
    fn drop(self: Pin<&mut Self>) {
        // Waits for running `open`s and reads of attributes.
        // SAFETY: By the type's invariant it is registered.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// The file operations of a [`Node`].
///
/// # Invariants
///
/// A misc device with these file operations is always the field `misc` of a `Node<F>`, and is registered only
/// while the field `target` is initialized: this type is private to this file, and only [`Node::register`]
/// registers it.
struct OpenNode<F>(PhantomData<F>);

#[vtable]
impl<F: NodeFile> MiscDevice for OpenNode<F> {
    type Ptr = Pin<KBox<F>>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let misc = Opaque::cast_from(misc.as_raw()).cast_mut();
        // SAFETY: By the invariant of `OpenNode`, `misc` is the field `misc` of a `Node<F>`, so the result
        // is in the same allocation.
        let node = unsafe { container_of!(misc, Node<F>, misc) };
        // SAFETY: By the invariant of `OpenNode`, `target` is initialized. It is not dropped during this
        // call: `Node`'s drop comes first, and its `misc_deregister` waits for running `open`s.
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
