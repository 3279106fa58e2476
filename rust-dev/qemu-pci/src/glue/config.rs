// SPDX-License-Identifier: GPL-2.0-or-later

//! PCI configuration space, except for the ids, which are in the class.

use core::ptr;

use super::bindings::{self, Error, PCIDevice};
use crate::device::Identity;

/// Adds the identity's capabilities. Fails if there is no room for them.
///
/// # Safety
///
/// QEMU is realizing the device.
pub unsafe fn init(pdev: *mut PCIDevice, identity: &Identity) -> Result<(), &'static str> {
    // SAFETY: the device has its configuration space by now, as the caller guarantees; here and below.
    let (config, is_express) = unsafe {
        let express = bindings::QEMU_PCI_CAP_EXPRESS;
        ((*pdev).config, (*pdev).cap_present & express != 0)
    };
    // SAFETY: as above.
    unsafe { *config.add(bindings::PCI_CLASS_PROG as usize) = identity.prog_if };
    // SAFETY: as above; the offset 0 leaves the place to QEMU.
    if is_express && unsafe { bindings::pcie_endpoint_cap_init(pdev, 0) } < 0 {
        return Err("there is no room for its PCIe capability");
    }
    if let Some(serial) = identity.serial {
        if !is_express {
            return Err("it has a serial number, which only a PCIe device can have");
        }
        let offset = bindings::PCI_CONFIG_SPACE_SIZE as u16;
        // SAFETY: as above; this is where the extended capabilities of a PCIe device begin.
        unsafe { bindings::pcie_dev_ser_num_init(pdev, offset, serial) };
    }
    let bytes = identity.vendor_capability;
    if !bytes.is_empty() {
        let (id, size) = (bindings::PCI_CAP_ID_VNDR as u8, bytes.len() as u8 + 3);
        // SAFETY: as above.
        let at = unsafe {
            bindings::pci_add_capability(pdev, id, 0, size, ptr::null_mut::<*mut Error>())
        };
        let at = usize::try_from(at).map_err(|_| "there is no room for its vendor capability")?;
        // SAFETY: the capability has this size, which `check` has bounded: two bytes of header, the size, the rest.
        unsafe {
            *config.add(at + 2) = size;
            ptr::copy_nonoverlapping(bytes.as_ptr(), config.add(at + 3), bytes.len());
        }
    }
    Ok(())
}
