// SPDX-License-Identifier: GPL-2.0-or-later

//! One device: what QEMU allocates for it, and the callbacks that QEMU calls on it.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::ptr::{self, NonNull, addr_of_mut};

use super::bindings::{self, MemoryRegion, Object, PCIDevice, QEMUTimer};
use super::cell::{self, BqlCell};
use super::hooks::Hooks;
use super::host::QemuHost;
use super::timer::{self, Timer};
use super::vmstate;
use super::{config, error, interrupt};
use crate::device::{self, Access, Bar, BarKind, Counter, MAX_TIMERS, NOT_RUNNING, PciDevice};
use crate::property::from_values;
use crate::register::GuestError;

/// What a callback of the saved state returns on failure.
pub const INVALID: c_int = -(bindings::EINVAL as c_int);

/// What QEMU allocates for each device: its own part first, as QOM demands, then ours, then the slots of the
/// properties.
#[repr(C)]
pub struct Instance<D: PciDevice> {
    parent: PCIDevice,
    regions: [Region; 6],
    timers: [TimerSlot; MAX_TIMERS],
    /// The saved deadlines of the timers. Used only while QEMU saves or loads.
    pub(super) deadlines: [u64; MAX_TIMERS],
    /// The saved state, likewise.
    pub(super) state: D::State,
    /// None until the device is realized.
    device: BqlCell<Option<D>>,
    guest_errors: BqlCell<u64>,
}

/// The region behind a BAR.
#[repr(C)]
pub struct Region {
    memory: MemoryRegion,
    device: *mut Object,
    bar: u8,
}

#[repr(C)]
struct TimerSlot {
    timer: QEMUTimer,
    device: *mut Object,
    index: usize,
}

/// A device that QEMU made, by its address.
///
/// # Invariants
///
/// Points to an `Instance<D>`, with its slots, that went through [`Instance::init`] and lives as long as this does.
/// QEMU changes its own fields at any time, so we make pointers to them and never references. This thread holds the
/// BQL, except when a migration loads a state.
pub struct DeviceRef<D: PciDevice> {
    instance: NonNull<Instance<D>>,
    device: PhantomData<D>,
}

impl<D: PciDevice> Clone for DeviceRef<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: PciDevice> Copy for DeviceRef<D> {}

impl<D: Hooks> Instance<D> {
    /// For `TypeInfo::instance_align`.
    pub const ALIGN: usize = {
        assert!(align_of::<Self>() >= 8, "the slots behind it want 8");
        align_of::<Self>()
    };

    /// For `TypeInfo::instance_size`.
    #[must_use]
    pub fn size() -> usize {
        D::describe().slots.end()
    }

    /// For `TypeInfo::instance_init`: prepares a new device for use as a [`DeviceRef`], and makes its regions. They are
    /// made here and not in `realize`, because `realize` may run again after it failed.
    ///
    /// # Safety
    ///
    /// `object` is a new object of a type registered with `Self::size()`, `Self::ALIGN` and a PCI device as
    /// parent.
    pub unsafe fn init(object: *mut Object) {
        const { device::check::<D>() };
        let instance = object.cast::<Self>();
        // SAFETY: the object is as large and aligned as `Self` as the caller guarantees, so the fields are within it.
        // What is written over is zeroes that need no drop.
        unsafe {
            addr_of_mut!((*instance).device).write(BqlCell::new(None));
            addr_of_mut!((*instance).guest_errors).write(BqlCell::new(0));
            addr_of_mut!((*instance).state).write(D::State::default());
            addr_of_mut!((*instance).deadlines).write([NOT_RUNNING; MAX_TIMERS]);
        }
        for index in 0..D::TIMERS {
            // SAFETY: there are no more timers than slots. A slot stays where it is as long as the device lives,
            // and its timer is stopped before that ends.
            unsafe {
                let slot = addr_of_mut!((*instance).timers)
                    .cast::<TimerSlot>()
                    .add(index);
                (*slot).device = object;
                (*slot).index = index;
                Timer::init(addr_of_mut!((*slot).timer), expired::<D>, slot.cast());
            }
        }
        for bar in D::BARS {
            // SAFETY: an index is below 6. The region's owner is the device that it is part of; its callbacks, their
            // opaque pointer and the name live as long.
            unsafe {
                let region = addr_of_mut!((*instance).regions)
                    .cast::<Region>()
                    .add(bar.index.into());
                (*region).device = object;
                (*region).bar = bar.index;
                bindings::memory_region_init_io(
                    addr_of_mut!((*region).memory),
                    object,
                    &D::describe().ops,
                    region.cast(),
                    D::NAME.as_ptr(),
                    bar.size,
                );
            }
        }
    }

    /// For `TypeInfo::instance_finalize`.
    ///
    /// # Safety
    ///
    /// `object` went through [`Self::init`], and nothing uses it any more.
    pub unsafe fn finalize(object: *mut Object) {
        let instance = object.cast::<Self>();
        // SAFETY: `init` wrote the fields; QEMU finalizes an object once, when none refers to it.
        unsafe {
            addr_of_mut!((*instance).device).drop_in_place();
            addr_of_mut!((*instance).state).drop_in_place();
        }
    }
}

/// `QEMUTimer`'s callback.
///
/// # Safety
///
/// `opaque` is a slot of a device `D`, and the caller holds the BQL.
unsafe extern "C" fn expired<D: Hooks>(opaque: *mut c_void) {
    let slot = opaque.cast::<TimerSlot>();
    // SAFETY: as the caller guarantees; `init` wrote the fields.
    let (place, index) = unsafe { (DeviceRef::<D>::new((*slot).device), (*slot).index) };
    place.expired(index);
}

impl Region {
    /// For `MemoryRegionOps::read`.
    ///
    /// # Safety
    ///
    /// `opaque` is a region of a device `D`, and the caller holds the BQL.
    pub unsafe fn read<D: Hooks>(opaque: *mut c_void, offset: u64, size: c_uint) -> u64 {
        let region = opaque.cast::<Self>();
        // SAFETY: as the caller guarantees; `init` wrote the fields.
        let (place, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        let mut value = 0;
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            value |= place.read(access) << shift;
        }
        value
    }

    /// For `MemoryRegionOps::write`.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    pub unsafe fn write<D: Hooks>(opaque: *mut c_void, offset: u64, value: u64, size: c_uint) {
        let region = opaque.cast::<Self>();
        // SAFETY: as above.
        let (place, bar) = unsafe { (DeviceRef::<D>::new((*region).device), (*region).bar) };
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            place.write(access, device::cut(value >> shift, access.size));
        }
    }
}

impl<D: PciDevice> DeviceRef<D> {
    /// Takes the address of a device as QEMU's callbacks give it: as an `Object`, a `PCIDevice`, or a state's
    /// opaque pointer.
    ///
    /// # Safety
    ///
    /// As the type's invariants say.
    pub unsafe fn new<T>(pointer: *mut T) -> Self {
        // SAFETY: QEMU gives no null pointer.
        let instance = unsafe { NonNull::new_unchecked(pointer.cast()) };
        // INVARIANT: as the caller guarantees.
        Self {
            instance,
            device: PhantomData,
        }
    }

    /// QEMU's part of it.
    pub fn pci_device(self) -> NonNull<PCIDevice> {
        self.instance.cast()
    }

    fn device(&self) -> &BqlCell<Option<D>> {
        // SAFETY: by the type's invariant the field is initialized and alive. It is only ever reached through
        // shared references, and checks the BQL itself.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).device) }
    }

    fn guest_error_count(&self) -> &BqlCell<u64> {
        // SAFETY: as above.
        unsafe { &*ptr::addr_of!((*self.instance.as_ptr()).guest_errors) }
    }

    /// A counter's value; 0 while the device is not realized.
    pub fn counter(self, counter: &Counter<D>) -> u64 {
        let value = self
            .device()
            .with(|device| device.as_ref().map(counter.get));
        value.flatten().unwrap_or_default()
    }

    /// How many guest errors there were.
    pub fn guest_errors(self) -> u64 {
        self.guest_error_count()
            .with(|count| *count)
            .unwrap_or_default()
    }

    fn timer(self, index: usize) -> Option<Timer> {
        // SAFETY: the index is checked first. `init` has initialized so many timers.
        (index < D::TIMERS && index < MAX_TIMERS).then(|| unsafe {
            let slots = addr_of_mut!((*self.instance.as_ptr()).timers).cast::<TimerSlot>();
            let timer = addr_of_mut!((*slots.add(index)).timer);
            Timer::from_ptr(NonNull::new_unchecked(timer))
        })
    }

    /// Starts, moves or stops a timer.
    pub fn set_timer(self, index: usize, deadline: u64) {
        if let Some(timer) = self.timer(index) {
            timer.set(deadline);
        }
    }

    fn stop_timers(self) {
        for index in 0..D::TIMERS {
            self.set_timer(index, NOT_RUNNING);
        }
    }

    /// The device's path in QEMU's object tree.
    pub fn path(&self) -> &CStr {
        // SAFETY: a NUL-terminated text that stays as it is for as long as we hold the BQL, which we do by the
        // type's invariant.
        unsafe { CStr::from_ptr(self.path_pointer()) }
    }

    /// The same as a pointer, without the cost of finding the text's end.
    pub fn path_pointer(&self) -> *const c_char {
        // SAFETY: the field is within the live instance. QEMU sets it at the end of realize; frees it when the
        // device is realized again, fails to realize, or is finalized, always with the BQL held; none of that
        // happens during a callback.
        let path = unsafe { (*self.instance.as_ptr()).parent.qdev.canonical_path };
        if path.is_null() {
            c"(not realized)".as_ptr()
        } else {
            path
        }
    }
}

impl<D: Hooks> DeviceRef<D> {
    /// For `PCIDeviceClass::realize`: makes the device and registers its BARs, or changes nothing.
    ///
    /// # Safety
    ///
    /// QEMU is realizing this device, for the first time since it was made or unrealized, and gave `errp` for it.
    pub unsafe fn realize(self, errp: *mut *mut bindings::Error) {
        let pdev = self.pci_device().as_ptr();
        let fail = |text: &dyn Display| {
            // SAFETY: `errp` is QEMU's as the caller guarantees, and is set once.
            unsafe { error::set(errp, D::NAME, text) };
        };
        // SAFETY: the device has these slots, and QEMU was told of them in `class_init`.
        let values = unsafe { D::describe().slots.values(pdev.cast()) };
        let device = match from_values(values).and_then(D::new) {
            Ok(device) => device,
            Err(text) => return fail(&text),
        };
        let interrupts = device.interrupts();
        if !interrupts.is_within(&D::INTERRUPTS) {
            return fail(&"its interrupts are not among those of its type");
        }
        // SAFETY: as the caller guarantees.
        if let Err(text) = unsafe { config::init(pdev, &D::IDENTITY) } {
            return fail(&text);
        }
        // SAFETY: as the caller guarantees.
        if !unsafe { interrupt::init(pdev, interrupts, errp) } {
            return;
        }
        if self.device().with(|place| *place = Some(device)).is_none() {
            return fail(&"realized without QEMU's big lock");
        }
        for bar in D::BARS {
            // SAFETY: the region was made with the device. BARs may be registered now; `init` has seen to it, when
            // compiling, that index and size are legal. This cannot fail.
            unsafe {
                let regions = addr_of_mut!((*self.instance.as_ptr()).regions).cast::<Region>();
                let memory = addr_of_mut!((*regions.add(bar.index.into())).memory);
                bindings::pci_register_bar(pdev, bar.index.into(), bar_type(bar), memory);
            }
        }
    }

    /// For `PCIDeviceClass::exit`: drops the device. QEMU calls it when a realized device is unplugged, and when
    /// QEMU's own part of realize fails after ours.
    ///
    /// # Safety
    ///
    /// QEMU is unrealizing this device.
    pub unsafe fn exit(self) {
        self.stop_timers();
        self.device().with(|place| *place = None);
        // SAFETY: as the caller guarantees.
        unsafe { interrupt::exit(self.pci_device().as_ptr()) };
    }

    /// For the enter phase of a reset.
    pub fn reset_enter(self) {
        self.stop_timers();
        self.call(|device, _| device.reset());
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.reset)(self.path_pointer()) };
    }

    /// For the hold phase of a reset.
    pub fn reset_hold(self) {
        self.call(|device, host| device.reset_hold(host));
    }

    fn expired(self, index: usize) {
        if let Some(Err(error)) = self.call(|device, host| device.timer(host, index)) {
            self.guest_error(&format_args!("timer {index}: {error}"));
        }
    }

    fn read(self, access: Access) -> u64 {
        let result = self.call(|device, host| device::read(device, host, access));
        let value = match result {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.guest_error(&Bad {
                    access,
                    direction: "read",
                    error,
                });
                device::refused::<D>(access)
            }
            None => device::refused::<D>(access),
        };
        let Access { bar, offset, size } = access;
        // SAFETY: the path is a text that lives as long as the device does.
        unsafe { (D::TRACE.read)(self.path_pointer(), bar.into(), offset, size, value) };
        value
    }

    fn write(self, access: Access, value: u64) {
        let Access { bar, offset, size } = access;
        // SAFETY: as above.
        unsafe { (D::TRACE.write)(self.path_pointer(), bar.into(), offset, size, value) };
        let result = self.call(|device, host| device::write(device, host, access, value));
        if let Some(Err(error)) = result {
            self.guest_error(&Bad {
                access,
                direction: "write",
                error,
            });
        }
    }

    /// Calls the device, and then sends the interrupts that it asked for. Drops the call, and reports that as a guest
    /// error, if another call on this device is running, the device is not realized, or the BQL is not held.
    fn call<R>(self, f: impl FnOnce(&mut D, &mut QemuHost<'_, D>) -> R) -> Option<R> {
        let called = self.device().with(|device| {
            let device = device.as_mut()?;
            // SAFETY: the device is there, so it is realized; `with` has checked the BQL.
            let mut host = unsafe { QemuHost::new(self) };
            let result = f(device, &mut host);
            Some((result, host.pending))
        });
        let Some((result, pending)) = called.flatten() else {
            self.guest_error(&"access dropped: device busy, not realized, or BQL not held");
            return None;
        };
        // SAFETY: the device is realized, is not borrowed any more, and the BQL is held, or there would be no result.
        unsafe { interrupt::deliver(self.pci_device().as_ptr(), pending) };
        Some(result)
    }

    /// Counts a guest error, and logs and traces it if the user asked for that. If not, nothing is formatted or
    /// allocated, so that a guest cannot keep QEMU busy with it.
    fn guest_error(self, what: &dyn Display) {
        self.guest_error_count().with(|count| *count += 1);
        let logged = error::guest_errors_are_logged();
        // SAFETY: looks at variables of QEMU's; no precondition.
        let traced = unsafe { (D::TRACE.guest_error_is_traced)() };
        if !logged && !traced {
            return;
        }
        let what = error::c_text(what);
        if logged {
            error::log_guest_error(D::NAME, self.path(), &what);
        }
        if traced {
            // SAFETY: both are NUL-terminated texts.
            unsafe { (D::TRACE.guest_error)(self.path_pointer(), what.as_ptr()) };
        }
    }

    /// For `VMStateDescription::pre_save`.
    fn pre_save(self) -> c_int {
        let Some(state) = self.call(|device, _| device.save()) else {
            return INVALID;
        };
        let mut deadlines = [NOT_RUNNING; MAX_TIMERS];
        for (index, deadline) in deadlines.iter_mut().enumerate() {
            if let Some(timer) = self.timer(index) {
                *deadline = timer.deadline();
            }
        }
        self.set_storage(state, deadlines);
        0
    }

    /// For `VMStateDescription::pre_load`: a field that an older state lacks has its default.
    fn pre_load(self) -> c_int {
        if !cell::is_locked() {
            error::report(
                D::NAME,
                self.path(),
                &"a state arrived where none may come, and is refused",
            );
            return INVALID;
        }
        self.set_storage(D::State::default(), [NOT_RUNNING; MAX_TIMERS]);
        0
    }

    fn set_storage(self, state: D::State, deadlines: [u64; MAX_TIMERS]) {
        let instance = self.instance.as_ptr();
        // SAFETY: both fields are initialized. The caller has checked the BQL, and only QEMU's loading and saving
        // touch them besides, under that lock and not during a callback.
        unsafe {
            *addr_of_mut!((*instance).state) = state;
            *addr_of_mut!((*instance).deadlines) = deadlines;
        }
    }

    /// For `VMStateDescription::post_load`: checks all of the state before any of it has an effect.
    fn post_load(self) -> c_int {
        let instance = self.instance.as_ptr();
        // SAFETY: as in `set_storage`; QEMU has called `pre_load`, which has checked the BQL.
        let (state, mut deadlines) = unsafe {
            (
                (*addr_of_mut!((*instance).state)).clone(),
                (*instance).deadlines,
            )
        };
        let given = deadlines.get(..D::TIMERS).unwrap_or_default();
        let loaded = device::check_deadlines::<D>(&state, timer::now(), given).and_then(|()| {
            self.call(|device, _| device.load(&state))
                .unwrap_or_else(|| Err("the device is not realized".to_owned()))
        });
        if let Err(text) = loaded {
            let text = format_args!("the state that arrived is refused: {text}");
            error::report(D::NAME, self.path(), &text);
            return INVALID;
        }
        for (index, deadline) in deadlines.iter_mut().enumerate() {
            self.set_timer(index, *deadline);
        }
        0
    }
}

/// A refused access, for the log.
struct Bad<E> {
    access: Access,
    direction: &'static str,
    error: GuestError<E>,
}

impl<E: Display> Display for Bad<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Access { bar, offset, size }, direction) = (self.access, self.direction);
        write!(
            f,
            "{size}-byte {direction} at offset {offset:#x} of BAR {bar}: {}",
            self.error
        )
    }
}

/// The type of a BAR for `pci_register_bar`.
fn bar_type(bar: &Bar) -> u8 {
    let kind = match bar.kind {
        BarKind::Memory32 => bindings::PCI_BASE_ADDRESS_SPACE_MEMORY,
        BarKind::Memory64 => bindings::PCI_BASE_ADDRESS_MEM_TYPE_64,
        BarKind::Io => bindings::PCI_BASE_ADDRESS_SPACE_IO,
    };
    let prefetch = if bar.prefetchable {
        bindings::PCI_BASE_ADDRESS_MEM_PREFETCH
    } else {
        0
    };
    (kind | prefetch) as u8
}

/// The callbacks that save and load the state of the devices `D`.
pub fn vmstate_callbacks<D: Hooks>() -> vmstate::Callbacks {
    vmstate::Callbacks {
        pre_save: pre_save::<D>,
        pre_load: pre_load::<D>,
        post_load: post_load::<D>,
        needed: [
            needed::<D, 0>,
            needed::<D, 1>,
            needed::<D, 2>,
            needed::<D, 3>,
        ],
        arrived: [
            arrived::<D, 0>,
            arrived::<D, 1>,
            arrived::<D, 2>,
            arrived::<D, 3>,
        ],
    }
}

/// `VMStateDescription::pre_save`.
///
/// # Safety
///
/// `opaque` is a device `D`; likewise below.
unsafe extern "C" fn pre_save<D: Hooks>(opaque: *mut c_void) -> c_int {
    // SAFETY: as the caller guarantees.
    unsafe { DeviceRef::<D>::new(opaque) }.pre_save()
}

unsafe extern "C" fn pre_load<D: Hooks>(opaque: *mut c_void) -> c_int {
    // SAFETY: as the caller guarantees.
    unsafe { DeviceRef::<D>::new(opaque) }.pre_load()
}

unsafe extern "C" fn post_load<D: Hooks>(opaque: *mut c_void, _version: c_int) -> c_int {
    // SAFETY: as the caller guarantees.
    unsafe { DeviceRef::<D>::new(opaque) }.post_load()
}

/// Where the storage says whether a subsection is present.
fn present<D: Hooks>(opaque: *mut c_void, subsection: usize) -> Option<*mut bool> {
    let offset = D::describe().state.present.get(subsection)?;
    Some(opaque.cast::<u8>().wrapping_add(*offset).cast())
}

unsafe extern "C" fn needed<D: Hooks, const SUBSECTION: usize>(opaque: *mut c_void) -> bool {
    // SAFETY: a bool of the state of a device `D`, which is in its storage.
    present::<D>(opaque, SUBSECTION).is_some_and(|present| unsafe { ptr::read(present) })
}

unsafe extern "C" fn arrived<D: Hooks, const SUBSECTION: usize>(
    opaque: *mut c_void,
    _version: c_int,
) -> c_int {
    if let Some(present) = present::<D>(opaque, SUBSECTION) {
        // SAFETY: as above.
        unsafe { ptr::write(present, true) };
    }
    0
}
