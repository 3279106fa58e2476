// SPDX-License-Identifier: GPL-2.0-or-later

//! A fake QEMU around the device (`fake-host/`), so that the glue and the shim run, all of them, in a
//! program that a sanitizer can watch. `tests/glue.rs` uses it; `scripts/test.sh glue` runs that, with
//! a sanitizer.
#![cfg(feature = "qemu")]
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_long, c_uint};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use my_rng_dev::qemu::bindings::{self, Error, Object, ObjectClass, PCIDevice};

#[path = "../../../abi/known_answers.rs"]
pub mod known_answers;

/// What the shim calls, so that every linker takes it from the device's library.
#[used]
static HOOKS: (
    [unsafe extern "C" fn() -> usize; 2],
    [unsafe extern "C" fn(*mut Object); 2],
    unsafe extern "C" fn(*mut ObjectClass),
    unsafe extern "C" fn(*mut PCIDevice, *mut *mut Error),
) = (
    [
        bindings::my_rng_instance_size,
        bindings::my_rng_instance_align,
    ],
    [
        bindings::my_rng_instance_init,
        bindings::my_rng_instance_finalize,
    ],
    bindings::my_rng_class_init,
    bindings::my_rng_realize,
);

// SAFETY: the prototypes of `fake-host/fake-host.h`; those that are safe have no precondition but that
// one thread at a time calls them, which `Host` sees to.
unsafe extern "C" {
    safe fn fake_start();
    safe fn fake_log() -> *const c_char;
    safe fn fake_error() -> *const c_char;
    safe fn fake_clear();
    safe fn fake_switch_log(guest_errors: bool, trace: bool);
    safe fn fake_bql(held: bool);
    safe fn fake_entropy(words: c_uint);
    fn fake_reenter(object: *mut Object);
    fn fake_identity(object: *mut Object, identity: *mut u64);
    safe fn fake_memory(size: usize) -> *mut u8;
    safe fn fake_iommu(what: Iommu);
    safe fn fake_beyond(what: Region);
    safe fn fake_fail_late();
    safe fn fake_mapped() -> usize;
    safe fn fake_written() -> usize;
    safe fn fake_new() -> *mut Object;
    fn fake_set(object: *mut Object, name: *const c_char, value: *const c_char) -> bool;
    fn fake_realize(object: *mut Object) -> bool;
    fn fake_unrealize(object: *mut Object);
    fn fake_free(object: *mut Object);
    fn fake_reset(object: *mut Object);
    fn fake_counter(object: *mut Object, name: *const c_char, value: *mut u64) -> bool;
    fn fake_read(object: *mut Object, offset: u64, size: c_uint) -> u64;
    fn fake_write(object: *mut Object, offset: u64, value: u64, size: c_uint);
    fn fake_save(object: *mut Object, bytes: *mut u8, size: usize) -> c_long;
    fn fake_load(object: *mut Object, bytes: *const u8, size: usize, version: c_int) -> c_int;
}

/// An IOMMU in front of memory: behind it, addresses are those of the memory and [`IOMMU_SHIFT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Iommu {
    /// There is none.
    None,
    /// The device may read and write.
    ReadWrite,
    /// It may only read.
    ReadOnly,
    /// It may only write.
    WriteOnly,
}

/// See [`Iommu`].
pub const IOMMU_SHIFT: u64 = 0x1_0000;

/// What is not memory that a device may write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Region {
    /// A device's registers.
    Registers,
    /// Read-only memory.
    Rom,
    /// Memory of a real device that was passed through.
    RamDevice,
}

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: by the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller's word.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The fake QEMU; there is one in a process.
pub struct Host(#[expect(dead_code, reason = "held, not looked at")] MutexGuard<'static, ()>);

/// A device in it.
pub struct Device<'host> {
    object: *mut Object,
    #[expect(dead_code, reason = "a device does not outlive its machine")]
    host: &'host Host,
}

/// A machine's memory, as its processors see it.
pub struct Memory<'host> {
    start: *mut u8,
    size: usize,
    #[expect(dead_code, reason = "memory does not outlive its machine")]
    host: &'host Host,
}

impl Memory<'_> {
    fn place(&self, at: usize, length: usize) -> *mut u8 {
        assert!(at + length <= self.size);
        self.start.wrapping_add(at)
    }

    /// Writes bytes.
    pub fn store(&self, at: usize, bytes: &[u8]) {
        let to = self.place(at, bytes.len());
        // SAFETY: within the memory, which nobody else uses now.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Reads bytes.
    #[must_use]
    pub fn load(&self, at: usize, length: usize) -> Vec<u8> {
        let from = self.place(at, length);
        // SAFETY: within the memory, which nobody else uses now.
        unsafe { core::slice::from_raw_parts(from, length) }.to_vec()
    }

    /// How many bytes are mapped by a device.
    #[must_use]
    pub fn mapped(&self) -> usize {
        fake_mapped()
    }

    /// How many bytes QEMU was told of that were written.
    #[must_use]
    pub fn written(&self) -> usize {
        fake_written()
    }
}

fn text(pointer: *const c_char) -> String {
    // SAFETY: both texts of the fake host's are NUL-terminated, and change only under our eyes.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_string_lossy().into_owned()
}

impl Host {
    /// Starts it anew: the log is empty, guest errors are logged, and there is no entropy.
    #[must_use]
    pub fn start() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        // A test that failed says so itself.
        let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        fake_start();
        Self(guard)
    }

    /// What was logged, reported and traced since this was last asked.
    pub fn log(&self) -> String {
        let log = text(fake_log());
        fake_clear();
        log
    }

    /// Says what is logged.
    pub fn switch_log(&self, guest_errors: bool, trace: bool) {
        fake_switch_log(guest_errors, trace);
    }

    /// Runs `f` as a thread that does not hold the big lock.
    pub fn unlocked<R>(&self, f: impl FnOnce() -> R) -> R {
        fake_bql(false);
        let result = f();
        fake_bql(true);
        result
    }

    /// Gives so many words of entropy: 1, 2 ...
    pub fn entropy(&self, words: u32) {
        fake_entropy(words);
    }

    /// Gives the machine so much memory, of zeros, from address 0 on.
    pub fn memory(&self, size: usize) -> Memory<'_> {
        Memory {
            start: fake_memory(size),
            size,
            host: self,
        }
    }

    /// Puts an IOMMU in front of it, or takes it away.
    pub fn iommu(&self, what: Iommu) {
        fake_iommu(what);
    }

    /// Says what is behind the end of memory.
    pub fn beyond(&self, what: Region) {
        fake_beyond(what);
    }

    /// Lets QEMU's own part of realizing a device fail the next time, after the device's.
    pub fn fail_late(&self) {
        fake_fail_late();
    }

    /// How often `f` allocated memory.
    pub fn allocations(&self, f: impl FnOnce()) -> usize {
        let before = ALLOCATIONS.get();
        f();
        ALLOCATIONS.get() - before
    }

    /// A new device, not realized yet.
    pub fn device(&self) -> Device<'_> {
        Device {
            object: fake_new(),
            host: self,
        }
    }

    /// A realized one with these properties.
    pub fn realized(&self, properties: &[(&str, &str)]) -> Device<'_> {
        let device = self.device();
        for (name, value) in properties {
            assert!(device.set(name, value.as_bytes()), "{name}={value}");
        }
        device.realize().expect("the properties are good");
        device
    }
}

// SAFETY, for all below: the object is a device of the fake host, alive until it is dropped, and the
// borrow of the host keeps other threads away.
impl Device<'_> {
    /// Sets a property, as `-device` does; whether QEMU took it.
    pub fn set(&self, name: &str, value: &[u8]) -> bool {
        let name = CString::new(name).expect("a name has no NUL");
        let value = CString::new(value).expect("a value has no NUL");
        // SAFETY: see above; both texts live through the call.
        unsafe { fake_set(self.object, name.as_ptr(), value.as_ptr()) }
    }

    /// Realizes it.
    ///
    /// # Errors
    ///
    /// As the device says.
    pub fn realize(&self) -> Result<(), String> {
        // SAFETY: see above.
        let realized = unsafe { fake_realize(self.object) };
        realized.then_some(()).ok_or_else(|| text(fake_error()))
    }

    /// Unrealizes it.
    pub fn unrealize(&self) {
        // SAFETY: see above.
        unsafe { fake_unrealize(self.object) }
    }

    /// Vendor, device, revision, class, BAR, its type, its size.
    #[must_use]
    pub fn identity(&self) -> [u64; 7] {
        let mut identity = [0; 7];
        // SAFETY: see above; there is room for all.
        unsafe { fake_identity(self.object, identity.as_mut_ptr()) };
        identity
    }

    /// Resets it.
    pub fn reset(&self) {
        // SAFETY: see above.
        unsafe { fake_reset(self.object) }
    }

    /// The guest reads 1, 2, 4 or 8 bytes.
    #[must_use]
    pub fn read(&self, offset: u64, size: u32) -> u64 {
        // SAFETY: see above.
        unsafe { fake_read(self.object, offset, size) }
    }

    /// The guest writes 1, 2, 4 or 8 bytes.
    pub fn write(&self, offset: u64, value: u64, size: u32) {
        // SAFETY: see above.
        unsafe { fake_write(self.object, offset, value, size) }
    }

    /// A counter, as `qom-get` reads it.
    #[must_use]
    pub fn counter(&self, name: &CStr) -> Option<u64> {
        let mut value = 0;
        // SAFETY: see above; the name is a text.
        unsafe { fake_counter(self.object, name.as_ptr(), &mut value) }.then_some(value)
    }

    /// What a migration sends, unless there is nothing to send.
    #[must_use]
    pub fn save(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        // SAFETY: see above; the length is that of the bytes.
        let length = unsafe { fake_save(self.object, bytes.as_mut_ptr(), bytes.len()) };
        bytes.truncate(usize::try_from(length).ok()?);
        Some(bytes)
    }

    /// What a migration brings; whether it was taken.
    pub fn load(&self, bytes: &[u8], version: i32) -> bool {
        // SAFETY: see above; the length is that of the bytes.
        unsafe { fake_load(self.object, bytes.as_ptr(), bytes.len(), version) == 0 }
    }

    /// Makes the host's next request for entropy read, write, count and reset this device.
    pub fn reenter(&self) {
        // SAFETY: see above.
        unsafe { fake_reenter(self.object) }
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        // SAFETY: see above; nobody has the object after this.
        unsafe { fake_free(self.object) }
    }
}
