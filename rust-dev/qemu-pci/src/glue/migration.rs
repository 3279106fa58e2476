// SPDX-License-Identifier: GPL-2.0-or-later

//! Saving and loading a device's state.

use core::ffi::{c_int, c_void};
use core::ptr::{self, addr_of_mut};

use super::calls::Caller;
use super::device_ref::DeviceRef;
use super::hooked::Hooks;
use super::vmstate::{Callbacks, INVALID};
use super::{cell, error, timer};
use crate::device::{self, MAX_TIMERS, NOT_RUNNING};

impl<D: Hooks> DeviceRef<D> {
    /// For `VMStateDescription::pre_save`.
    fn pre_save(self) -> c_int {
        let Some(state) = self.call(Caller::Whole, |device, _| device.save()) else {
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
                &"a state that arrives without QEMU's big lock, as in a postcopy migration, is refused",
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
        let (state, deadlines) = unsafe {
            (
                (*addr_of_mut!((*instance).state)).clone(),
                (*instance).deadlines,
            )
        };
        let given = deadlines.get(..D::TIMERS).unwrap_or_default();
        let loaded = device::check_deadlines::<D>(&state, timer::now(), given).and_then(|()| {
            self.call(Caller::Whole, |device, _| device.load(&state))
                .unwrap_or_else(|| Err("the device is not realized".to_owned()))
        });
        if let Err(text) = loaded {
            error::report(
                D::NAME,
                self.path(),
                &format_args!("the state that arrived is refused: {text}"),
            );
            return INVALID;
        }
        for (index, deadline) in deadlines.into_iter().enumerate() {
            self.set_timer(index, deadline);
        }
        0
    }
}

/// The callbacks that save and load the state of the devices `D`.
pub fn callbacks<D: Hooks>() -> Callbacks {
    Callbacks {
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
    let offset = D::qemu_type().state.present.get(subsection)?;
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
