// SPDX-License-Identifier: GPL-2.0-or-later

//! The module's directory in debugfs. Probe cannot reach the data of the module, so a global has it.

use kernel::{debugfs::Dir, prelude::*};

kernel::sync::global_lock! {
    // SAFETY: By its requirement, `ModuleDir::new` initializes it before it is used.
    unsafe(uninit) static DIR: Mutex<Option<Dir>> = None;
}

/// The module's directory in debugfs. It is removed when this and all directories in it are dropped.
pub(crate) struct ModuleDir(());

impl ModuleDir {
    /// Creates it.
    ///
    /// # Safety
    ///
    /// The module's init must call it, once, before anything can call [`ModuleDir::get`].
    pub(crate) unsafe fn new(name: &CStr) -> Self {
        // SAFETY: By this function's requirement it is called once.
        unsafe { DIR.init() };
        *DIR.lock() = Some(Dir::new(name));
        Self(())
    }

    /// The directory. Fails with `ENODEV` after drop.
    pub(crate) fn get() -> Result<Dir> {
        DIR.lock().clone().ok_or(ENODEV)
    }
}

impl Drop for ModuleDir {
    fn drop(&mut self) {
        *DIR.lock() = None;
    }
}
