// SPDX-License-Identifier: GPL-2.0-or-later

//! A registration with the kernel's `hw_random`. `struct hwrng` is not in the kernel's bindings, so C has it.

use core::{ptr::NonNull, slice};
use kernel::{
    error::{from_err_ptr, from_result},
    prelude::*,
    sync::Arc,
};

use super::c;

/// A source of random bytes for `hw_random`.
pub(crate) trait Source: Send + Sync + 'static {
    /// Fills `buffer`. It may sleep, and must not drop a [`HwRandom`], which waits for this to return.
    fn read(&self, buffer: &mut [u8]) -> Result;
}

/// A source that is registered with `hw_random` until dropped. Dropping it waits for running reads.
///
/// # Invariants
///
/// `rng` is a result of `my_rng_hwrng_register` with the callback `read::<S>` and `source`, and nothing else
/// unregisters it.
pub(crate) struct HwRandom<S: Source> {
    rng: NonNull<c::HwRng>,
    _source: Arc<S>,
}

// SAFETY: Any task may unregister it, and an `Arc<S>` may be sent to another task.
unsafe impl<S: Source> Send for HwRandom<S> {}

impl<S: Source> HwRandom<S> {
    /// Registers `source`, from which `hw_random` may read at once. `quality` must not be 0, which means the
    /// maximum. Returns `None` if the kernel was built without `hw_random`.
    pub(crate) fn register(
        name: &'static CStr,
        quality: u16,
        source: Arc<S>,
    ) -> Result<Option<Self>> {
        let pointer = Arc::as_ptr(&source).cast_mut().cast();
        // SAFETY: The name is valid forever. The result owns a reference to `source` until it has unregistered
        // the callback, whose type of source is `S`.
        let rng = from_err_ptr(unsafe {
            c::my_rng_hwrng_register(name.as_char_ptr(), quality, read::<S>, pointer)
        })?;
        // INVARIANT: It was just registered.
        Ok(NonNull::new(rng).map(|rng| Self {
            rng,
            _source: source,
        }))
    }
}

impl<S: Source> Drop for HwRandom<S> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant it is registered, and it is not used after this.
        unsafe { c::my_rng_hwrng_unregister(self.rng.as_ptr()) };
    }
}

/// # Safety
///
/// `rng` must be registered by `HwRandom::<S>::register`, and `buffer` valid for writes of `size` bytes, which
/// nothing else accesses until this returns.
unsafe extern "C" fn read<S: Source>(
    rng: *mut c::HwRng,
    buffer: *mut c_void,
    size: usize,
    _wait: bool,
) -> c_int {
    // SAFETY: By this function's requirement `rng` is valid, and its source is an `S`, which the registration
    // keeps.
    let source = unsafe { &*c::my_rng_hwrng_source(rng).cast::<S>() };
    let buffer = buffer.cast::<u8>();
    // `hw_random` does not initialize its buffers.
    // SAFETY: By this function's requirement the bytes are valid for writes, and nothing else accesses them.
    let buffer = unsafe {
        buffer.write_bytes(0, size);
        slice::from_raw_parts_mut(buffer, size)
    };
    // CAST: `hw_random` reads a cache line, or 32 bytes, at once.
    from_result(|| source.read(buffer).map(|()| size as c_int))
}

#[kunit_tests(my_rng_hw_random)]
mod tests {
    use super::*;

    struct Ones;

    impl Source for Ones {
        fn read(&self, buffer: &mut [u8]) -> Result {
            buffer.fill(1);
            Ok(())
        }
    }

    struct Broken;

    impl Source for Broken {
        fn read(&self, _buffer: &mut [u8]) -> Result {
            Err(EIO)
        }
    }

    fn register<S: Source>(source: S) -> Result<Option<HwRandom<S>>> {
        HwRandom::register(c"my_rng_test", 1, Arc::new(source, GFP_KERNEL)?)
    }

    /// What `hw_random` gets, and the first bytes of its buffer.
    fn read_from<S: Source>(registered: &HwRandom<S>) -> (c_int, [u8; 4]) {
        let mut buffer = [0xa5; 4];
        // SAFETY: It is registered, and `buffer` has 4 bytes.
        let got =
            unsafe { read::<S>(registered.rng.as_ptr(), buffer.as_mut_ptr().cast(), 4, true) };
        (got, buffer)
    }

    #[test]
    fn reads_are_passed_on() -> Result {
        // There is none if the kernel has no `hw_random`.
        if let Some(ones) = register(Ones)? {
            assert_eq!(read_from(&ones), (4, [1; 4]));
        }
        if let Some(broken) = register(Broken)? {
            assert_eq!(read_from(&broken), (EIO.to_errno(), [0; 4]));
        }
        Ok(())
    }

    #[test]
    fn name_is_free_again_after_drop() -> Result {
        for _ in 0..2 {
            if let Some(_first) = register(Ones)? {
                assert_eq!(register(Ones).err(), Some(EEXIST));
            }
        }
        Ok(())
    }
}
