// SPDX-License-Identifier: GPL-2.0-or-later

//! With the feature `qemu`: reads QEMU's own headers with bindgen, and compiles wrappers of the inline functions
//! that Rust cannot call.

fn main() {
    #[cfg(feature = "qemu")]
    qemu_pci_build::report(qemu::generate());
}

#[cfg(feature = "qemu")]
mod qemu {
    use bindgen::Formatter;
    use qemu_pci_build::{Qemu, Result, out_dir};

    /// QEMU's headers, by way of the file that knows how they differ from version to version.
    const HEADER: &str = "hw/misc/qemu-pci/qemu-pci.h";

    pub fn generate() -> Result<()> {
        let qemu = Qemu::find()?;
        let inlines = out_dir()?.join("inlines.c");
        bindgen::builder()
            .header(qemu.source.join(HEADER).display().to_string())
            .clang_args(qemu.clang_flags()?)
            .allowlist_item("seam_.*")
            .allowlist_type("DeviceCategory|MemoryRegionOps|PCIDevice|Property|QEMUTimer|VMState(Description|Field|Flags|Info)")
            .allowlist_function("DEVICE_CLASS|PCI_DEVICE_CLASS|RESETTABLE_CLASS|set_bit")
            .allowlist_function("error_(free|propagate|report|setg_internal)")
            .allowlist_function("memory_region_init_io|pci_(add_capability|register_bar|set_irq)")
            .allowlist_function("msi_(enabled|init|notify|nr_vectors_allocated|uninit)|msix_(enabled|init_exclusive_bar|notify)")
            .allowlist_function("msix_(uninit_exclusive_bar|vector_use)|pcie_(dev_ser_num|endpoint_cap)_init")
            .allowlist_function("object_class_property_(add|find|set_description)")
            .allowlist_function("object_property_set_default_str|visit_type_uint64")
            .allowlist_function("qemu_(get|put)_be32|qemu_guest_getrandom|qemu_log|qemu_loglevel_mask")
            .allowlist_function("qemu_clock_get_ns|timer_(del|expire_time_ns|init_ns|mod|pending)")
            .allowlist_var("EINVAL|ENOTSUP|MEMTX_OK|LOG_GUEST_ERROR|PCI_(CAP_ID_VNDR|CLASS_PROG|INTERRUPT_PIN)")
            .allowlist_var("PCI_BASE_ADDRESS_(SPACE_(IO|MEMORY)|MEM_(PREFETCH|TYPE_64))|PCI_CONFIG_SPACE_SIZE|QEMU_PCI_CAP_EXPRESS")
            .allowlist_var("qdev_prop_(bool|u?int(8|16|32|64)|size|string)|vmstate_(msix|pci_device)")
            .allowlist_var("vmstate_info_(bool|u?int(8|16|32|64))")
            .derive_default(true)
            .generate_comments(false)
            .layout_tests(true)
            .formatter(Formatter::None)
            .wrap_static_fns(true)
            .wrap_static_fns_suffix("__qemu_pci")
            .wrap_static_fns_path(&inlines)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .generate()
            .map_err(|error| format!("QEMU's headers could not be read: {error}"))?
            .write_to_file(out_dir()?.join("bindings.rs"))
            .map_err(|error| format!("the bindings could not be written: {error}"))?;
        qemu.compile("qemu_inlines", &[inlines])
    }
}
