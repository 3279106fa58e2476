// SPDX-License-Identifier: GPL-2.0-or-later

//! A [`PciModel`] as a QEMU PCI device.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt::Display;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::{self, NonNull};

use super::bindings;
use super::cell::BqlCell;
use super::dma::{self, Mapped};
use super::storage::{Plan, Storage};
use super::{counters, errors, properties, random, vmstate};
use crate::pci::{Counter, Host, PciModel, Properties, State};

/// What a callback of a state returns when it has failed.
const INVALID: c_int = -(bindings::EINVAL as c_int);

/// What QEMU allocates for each device: its own part first, as QOM demands, then ours, then the
/// storage of properties and state (see [`Layout`]).
#[repr(C)]
pub struct Instance<M> {
    parent: bindings::PCIDevice,
    mmio: bindings::MemoryRegion,
    /// None until the device is realized.
    model: BqlCell<Option<M>>,
}

/// What is in the storage behind an `Instance<M>`: the properties, then the state.
pub struct Layout {
    properties: Plan,
    state: Plan,
}

/// A device that QEMU made, by its address.
///
/// # Invariants
///
/// Points to an `Instance<M>`, with its storage, that lives as long as this does and whose `model` is
/// initialized. QEMU owns and changes the other fields at any time: only pointers to them are made,
/// never references. This thread holds QEMU's big lock, so that no other reaches the model.
pub struct Device<M> {
    instance: NonNull<Instance<M>>,
    model: PhantomData<M>,
}

/// What of a device can be traced.
pub enum Traced<'a, E> {
    /// The guest has read; bad reads give 0.
    Read {
        /// Where in the BAR, in bytes.
        offset: u64,
        /// How many bytes.
        size: u32,
        /// What the guest got.
        value: u64,
    },
    /// The guest has written.
    Write {
        /// Where in the BAR, in bytes.
        offset: u64,
        /// How many bytes.
        size: u32,
        /// What.
        value: u64,
    },
    /// The device was reset.
    Reset,
    /// The guest did something wrong; NUL-terminated.
    GuestError(&'a CStr),
    /// Something happened that only this model knows.
    Model(E),
}

/// A model of which `pci_device!` has made a device of QEMU's.
pub trait Declared: PciModel {
    /// Its layout, always the same.
    fn layout() -> &'static Layout;

    /// Whether somebody traces what the guest does wrong.
    fn guest_errors_are_traced() -> bool;

    /// Gives an event to QEMU's tracing.
    ///
    /// # Safety
    ///
    /// `path` leads to a NUL-terminated text.
    unsafe fn trace(path: *const c_char, event: Traced<'_, Self::Event>);
}

impl Layout {
    /// That of the devices with model `M`.
    pub fn of<M: PciModel>() -> Self {
        let mut properties = Plan::new(size_of::<Instance<M>>());
        M::Properties::default().visit(&mut properties);
        let mut state = Plan::new(properties.end());
        M::State::default().visit(&mut state);
        Self { properties, state }
    }
}

impl<M: Declared> Instance<M> {
    /// For `TypeInfo::instance_align`.
    pub const ALIGN: usize = {
        assert!(align_of::<Self>() >= 8, "the storage behind it wants 8");
        align_of::<Self>()
    };

    /// For `TypeInfo::instance_size`.
    pub fn size() -> usize {
        M::layout().state.end()
    }

    /// For `TypeInfo::instance_init`: makes a new device fit to be found by `Device::from_ptr`, and its
    /// memory region. The region belongs to the device as long as it lives: made in `realize`, it would be
    /// made twice where a device whose realize failed is tried again.
    ///
    /// # Safety
    ///
    /// `object` is a new object of a type registered with `Self::size()`, `Self::ALIGN` and a PCI device as
    /// parent; `ops` are for such devices.
    pub unsafe fn init(object: *mut bindings::Object, ops: &'static bindings::MemoryRegionOps) {
        const { assert!(M::BAR.is_possible(), "PCI allows no such BAR") };
        let instance = object.cast::<Self>();
        // SAFETY: the object is as large and aligned as `Self` by the caller's word, so the fields are
        // within it; what the model is written over is zeroes that need no drop. The region's owner and its
        // opaque pointer are the device that it is part of; `ops` and the name are static.
        unsafe {
            ptr::addr_of_mut!((*instance).model).write(BqlCell::new(None));
            bindings::memory_region_init_io(
                ptr::addr_of_mut!((*instance).mmio),
                object,
                ops,
                instance.cast(),
                M::NAME.as_ptr(),
                M::BAR.size as u64,
            );
        }
    }

    /// For `TypeInfo::instance_finalize`: drops the model.
    ///
    /// # Safety
    ///
    /// `object` went through [`Self::init`], and nothing uses it any more.
    pub unsafe fn finalize(object: *mut bindings::Object) {
        let instance = object.cast::<Self>();
        // SAFETY: `init` wrote the field; QEMU finalizes an object once, when none refers to it.
        unsafe { ptr::addr_of_mut!((*instance).model).drop_in_place() };
    }
}

impl<M: PciModel> Device<M> {
    /// Takes the address of a device as any of QEMU's callbacks gives it: as an `Object`, a
    /// `PCIDevice`, a memory region's opaque pointer or that of a state. `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// A pointer that is not null is to an `Instance<M>`, with its storage, that went through
    /// [`Instance::init`]. It is alive, and the caller holds QEMU's big lock, for as long as the
    /// result is used.
    pub unsafe fn from_ptr<T>(pointer: *mut T) -> Option<Self> {
        // INVARIANT: by the caller's word.
        NonNull::new(pointer.cast()).map(|instance| Self {
            instance,
            model: PhantomData,
        })
    }

    fn model(&self) -> &BqlCell<Option<M>> {
        // SAFETY: by the type's invariant the field is initialized and alive, and no other thread
        // reaches it; on this one it is only ever reached through shared references.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).model) }
    }

    /// A counter's value; 0 while the device is not realized.
    pub fn counter(&self, counter: &Counter<M>) -> u64 {
        let value = self.model().with(|model| model.as_ref().map(counter.get));
        value.flatten().unwrap_or_default()
    }
}

impl<M: Declared> Device<M> {
    fn storage(&self) -> Storage<'_> {
        // SAFETY: the instance and its storage are one allocation, as large as the layout says, alive and
        // initialized by the type's invariant (QEMU clears what it allocates); no reference to the storage
        // is ever made, and QEMU does not touch it while one of its callbacks to us runs.
        unsafe {
            Storage::new(
                self.instance.as_ptr().cast(),
                size_of::<Instance<M>>(),
                M::layout().state.end(),
            )
        }
    }

    /// For `PCIDeviceClass::realize`: makes the model and registers the BAR, or changes nothing.
    ///
    /// # Safety
    ///
    /// QEMU is realizing this device, for the first time since it was made or unrealized, and gave
    /// `errp` for it.
    pub unsafe fn realize(&self, errp: *mut *mut bindings::Error) {
        let properties = properties::read(&M::layout().properties, self.storage());
        let model = match M::new(&properties) {
            Ok(model) => model,
            Err(error) => {
                // SAFETY: `errp` is QEMU's by the caller's word, and nothing has set it yet.
                unsafe { errors::set(errp, M::NAME, &error) };
                return;
            }
        };
        if self.model().with(|place| *place = Some(model)).is_none() {
            // SAFETY: as above.
            unsafe { errors::set(errp, M::NAME, &"realized without QEMU's big lock") };
            return;
        }
        let instance = self.instance.as_ptr();
        // SAFETY: both fields are within the live instance.
        let (pdev, mmio) = unsafe {
            (
                ptr::addr_of_mut!((*instance).parent),
                ptr::addr_of_mut!((*instance).mmio),
            )
        };
        // SAFETY: the region was made with the device, which it is part of. By the caller's word BARs may be
        // registered now; `init` has seen to it that index and size are legal. This cannot fail.
        unsafe {
            bindings::pci_register_bar(
                pdev,
                M::BAR.index.into(),
                bindings::PCI_BASE_ADDRESS_SPACE_MEMORY as u8,
                mmio,
            );
        }
    }

    /// For `PCIDeviceClass::exit`: drops the model. QEMU calls it for a realized device that is unplugged, and
    /// where its own part of realizing fails after ours.
    pub fn exit(&self) {
        self.model().with(|place| *place = None);
    }

    /// For the enter phase of a reset.
    pub fn reset(&self) {
        self.on_model(|model, _| model.reset());
        self.trace(Traced::Reset);
    }

    /// For `MemoryRegionOps::read`.
    pub fn read(&self, offset: u64, size: u32) -> u64 {
        let value = match self.on_model(|model, host| model.read(host, offset, size)) {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.guest_error(&error);
                0
            }
            None => 0,
        };
        self.trace(Traced::Read {
            offset,
            size,
            value,
        });
        value
    }

    /// For `MemoryRegionOps::write`.
    pub fn write(&self, offset: u64, value: u64, size: u32) {
        self.trace(Traced::Write {
            offset,
            size,
            value,
        });
        if let Some(Err(error)) =
            self.on_model(|model, host| model.write(host, offset, value, size))
        {
            self.guest_error(&error);
        }
    }

    /// For `VMStateDescription::pre_save`.
    fn pre_save(&self) -> c_int {
        let Some(state) = self.on_model(|model, _| model.save()) else {
            return INVALID;
        };
        vmstate::write(&M::layout().state, self.storage(), state);
        0
    }

    /// For `VMStateDescription::post_load`.
    fn post_load(&self) -> c_int {
        // The storage, too, is read under the lock only.
        let loaded = self
            .on_model(|model, _| model.load(&vmstate::read(&M::layout().state, self.storage())));
        match loaded {
            Some(Ok(())) => 0,
            Some(Err(error)) => {
                self.report(&format_args!("the state that arrived is refused: {error}"));
                INVALID
            }
            None => {
                self.report(&"a state arrived where none may come, and is refused");
                INVALID
            }
        }
    }

    /// Runs `f` on the model. A callback that comes in the middle of another on the same device, to one
    /// that is not realized, or without QEMU's big lock, is told and dropped rather than let loose on a
    /// borrowed model.
    fn on_model<R>(&self, f: impl FnOnce(&mut M, &mut QemuHost<'_, M>) -> R) -> Option<R> {
        // INVARIANT: the device is alive, and the lock held, as long as `self` is.
        let mut host = QemuHost {
            path: self.path_pointer(),
            device: self.instance.cast(),
            model: PhantomData,
        };
        let result = self
            .model()
            .with(|model| model.as_mut().map(|model| f(model, &mut host)))
            .flatten();
        if result.is_none() {
            self.guest_error(&"access dropped: device busy, not realized, or BQL not held");
        }
        result
    }

    /// Logs and traces what the guest did wrong, if that is asked for. If not, nothing is formatted or
    /// allocated: a guest could keep QEMU busy with it.
    fn guest_error(&self, what: &dyn Display) {
        let logged = errors::guest_errors_are_logged();
        let traced = M::guest_errors_are_traced();
        if !logged && !traced {
            return;
        }
        let what = errors::c_text(what);
        if logged {
            errors::log_guest_error(M::NAME, self.path(), &what);
        }
        if traced {
            self.trace(Traced::GuestError(&what));
        }
    }

    fn report(&self, what: &dyn Display) {
        errors::report(M::NAME, self.path(), what);
    }

    fn trace(&self, event: Traced<'_, M::Event>) {
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { M::trace(self.path_pointer(), event) };
    }

    /// The device's path in QEMU's object tree.
    fn path(&self) -> &CStr {
        // SAFETY: a NUL-terminated text that stays as it is for as long as we hold the big lock, which we do
        // by the type's invariant.
        unsafe { CStr::from_ptr(self.path_pointer()) }
    }

    /// The same, without looking for its end, which every traced access would pay for.
    fn path_pointer(&self) -> *const c_char {
        // SAFETY: the field is within the live instance. QEMU sets it at the end of realize; frees it when the
        // device is realized again, fails to realize, or is finalized, always with the big lock held; none of
        // that happens during a callback.
        let path = unsafe { (*self.instance.as_ptr()).parent.qdev.canonical_path };
        if path.is_null() {
            c"(not realized)".as_ptr()
        } else {
            path
        }
    }
}

/// QEMU as a model sees it.
///
/// # Invariants
///
/// `device` is that of the model and `path` leads to a NUL-terminated text; both live as long as `'a`, in which this thread
/// holds QEMU's big lock.
struct QemuHost<'a, M> {
    path: *const c_char,
    device: NonNull<bindings::PCIDevice>,
    model: PhantomData<(&'a (), M)>,
}

impl<'a, M: Declared> Host<M::Event> for QemuHost<'a, M> {
    type Memory = Mapped<'a>;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        // SAFETY: the device lives, and the lock is held, by the type's invariant. It is realized, for only
        // then it has a model.
        unsafe { dma::read(self.device, address, bytes) }
    }

    fn map(&mut self, address: u64, length: usize) -> Option<Mapped<'a>> {
        // SAFETY: as in `read`; the result lives no longer than the lock is held.
        unsafe { Mapped::new(self.device, address, length) }
    }

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        // SAFETY: by the type's invariant.
        random::fill(M::NAME, unsafe { CStr::from_ptr(self.path) }, bytes)
    }

    fn trace(&mut self, event: M::Event) {
        // SAFETY: the device that made this, and whose path it is, is alive.
        unsafe { M::trace(self.path, Traced::Model(event)) };
    }
}

/// `VMStateDescription::pre_save`.
///
/// # Safety
///
/// `opaque` is a device of this model.
unsafe extern "C" fn pre_save<M: Declared>(opaque: *mut c_void) -> c_int {
    // SAFETY: QEMU saves an initialized device, with its big lock held.
    unsafe { Device::<M>::from_ptr(opaque) }.map_or(INVALID, |device| device.pre_save())
}

/// `VMStateDescription::post_load`.
///
/// # Safety
///
/// `opaque` is a device of this model.
unsafe extern "C" fn post_load<M: Declared>(opaque: *mut c_void, _version: c_int) -> c_int {
    // SAFETY: QEMU loads into an initialized device, with its big lock held.
    unsafe { Device::<M>::from_ptr(opaque) }.map_or(INVALID, |device| device.post_load())
}

/// Gives the value of a counter; a [`counters::Getter`].
///
/// # Safety
///
/// As QEMU calls it for the properties that [`counters::describe`] added for this model.
unsafe extern "C" fn counter<M: PciModel>(
    object: *mut bindings::Object,
    visitor: *mut bindings::Visitor,
    name: *const c_char,
    counter: *mut c_void,
    errp: *mut *mut bindings::Error,
) {
    // SAFETY: `describe` gave QEMU this pointer, to a constant.
    let counter = unsafe { &*counter.cast::<Counter<M>>() };
    // SAFETY: the object is an initialized device of this model, alive during the call, which QEMU
    // makes with its big lock held.
    let device = unsafe { Device::<M>::from_ptr(object) };
    let mut value = device.map_or(0, |device| device.counter(counter));
    // SAFETY: the three come from QEMU for this use; the value lives through the call.
    unsafe { bindings::visit_type_uint64(visitor, name, &mut value, errp) };
}

/// Whether two texts are the same, for comparing constants.
pub const fn is_same_text(mut one: &[u8], mut other: &[u8]) -> bool {
    loop {
        match (one.split_first(), other.split_first()) {
            (None, None) => return true,
            (Some((a, one_rest)), Some((b, other_rest))) if *a == *b => {
                (one, other) = (one_rest, other_rest);
            }
            _ => return false,
        }
    }
}

const _: () = {
    assert!(is_same_text(b"", b"") && is_same_text(b"ab", b"ab"));
    assert!(!is_same_text(b"ab", b"a") && !is_same_text(b"a", b"ab") && !is_same_text(b"a", b"b"));
};

/// What the class of a device is filled with, beyond what its model says.
pub struct ClassHooks {
    /// Called to realize a device.
    pub realize: unsafe extern "C" fn(*mut bindings::PCIDevice, *mut *mut bindings::Error),
    /// Called to unrealize a device.
    pub exit: unsafe extern "C" fn(*mut bindings::PCIDevice),
    /// Called in the enter phase of a reset.
    pub reset_enter: unsafe extern "C" fn(*mut bindings::Object, bindings::ResetType),
}

/// For `TypeInfo::class_init`: fills in the class of the devices with model `M`.
///
/// # Safety
///
/// `class` is the new class of a type whose parent is a PCI device and whose instances are of
/// `Instance::<M>::size()` bytes; `hooks` are of that type.
pub unsafe fn class_init<M: Declared>(class: *mut bindings::ObjectClass, hooks: &ClassHooks) {
    // SAFETY: the class is one of a PCI device by the caller's word, which is all these casts ask for
    // (and check, in a QEMU built with such checks).
    let (device, pci, resettable) = unsafe {
        (
            bindings::DEVICE_CLASS(class.cast()),
            bindings::PCI_DEVICE_CLASS(class.cast()),
            bindings::RESETTABLE_CLASS(class.cast()),
        )
    };
    let layout = M::layout();
    let vmsd = vmstate::description::<M::State>(
        M::NAME,
        &layout.state,
        &vmstate::Hooks {
            pre_save: pre_save::<M>,
            post_load: post_load::<M>,
        },
    );
    // SAFETY: nobody else uses a class while it is being initialized. They may lie over each other, so
    // they are written through the pointers, without references. The category is a bit of its
    // bitmap.
    unsafe {
        (*pci).realize = Some(hooks.realize);
        (*pci).exit = Some(hooks.exit);
        (*pci).vendor_id = M::IDENTITY.vendor_id;
        (*pci).device_id = M::IDENTITY.device_id;
        (*pci).revision = M::IDENTITY.revision;
        (*pci).class_id = M::IDENTITY.class;
        // The model's reset touches only the model, which is what the enter phase is for.
        (*resettable).phases.enter = Some(hooks.reset_enter);
        (*device).desc = M::DESCRIPTION.as_ptr();
        (*device).vmsd = vmsd;
        bindings::set_bit(
            bindings::DeviceCategory_DEVICE_CATEGORY_MISC.into(),
            ptr::addr_of_mut!((*device).categories).cast(),
        );
    }
    // SAFETY: the class is that of these devices, is being initialized, and its instances have the
    // storage that the layout says.
    unsafe {
        properties::describe::<M::Properties>(device, &layout.properties);
        counters::describe::<M>(class, counter::<M>);
    }
}
