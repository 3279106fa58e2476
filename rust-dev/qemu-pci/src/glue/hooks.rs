// SPDX-License-Identifier: GPL-2.0-or-later

//! The C functions of a device. Each calls the generic code.
//!
//! No panic crosses into C: a device crate has `panic = "abort"` in its profiles.

/// Makes the C functions that the shim and QEMU's class use. Their names begin with the device's, so a shim with
/// another name does not link.
#[doc(hidden)]
#[macro_export]
macro_rules! hooks {
    ($name:ident, $device:ty) => {
        const _: () = {
            use ::core::ffi::{c_char, c_uint, c_void};
            use $crate::glue::bindings::{
                Error, MEMTX_OK, MemTxAttrs, MemTxResult, Object, ObjectClass, PCI_DEVICE_CLASS,
                PCIDevice, RESETTABLE_CLASS, ResetType, hwaddr,
            };
            use $crate::glue::{DeviceRef, Hooks, Instance, OnceCell, Trace, Type};

            // SAFETY: the prototypes of the C that qemu-pci-build writes.
            unsafe extern "C" {
                #[link_name = concat!(stringify!($name), "_trace_read")]
                fn trace_read(
                    path: *const c_char,
                    bar: c_uint,
                    offset: u64,
                    size: c_uint,
                    value: u64,
                );
                #[link_name = concat!(stringify!($name), "_trace_write")]
                fn trace_write(
                    path: *const c_char,
                    bar: c_uint,
                    offset: u64,
                    size: c_uint,
                    value: u64,
                );
                #[link_name = concat!(stringify!($name), "_trace_reset")]
                fn trace_reset(path: *const c_char);
                #[link_name = concat!(stringify!($name), "_trace_guest_error")]
                fn trace_guest_error(path: *const c_char, what: *const c_char);
                #[link_name = concat!(stringify!($name), "_guest_error_is_traced")]
                fn guest_error_is_traced() -> bool;
                #[link_name = concat!(stringify!($name), "_trace_event")]
                fn trace_event(path: *const c_char, event: usize, arguments: *const u64);
            }

            /// `TypeInfo::instance_size`.
            #[unsafe(export_name = concat!(stringify!($name), "_instance_size"))]
            extern "C" fn instance_size() -> usize {
                Instance::<$device>::size()
            }

            /// `TypeInfo::instance_align`.
            #[unsafe(export_name = concat!(stringify!($name), "_instance_align"))]
            extern "C" fn instance_align() -> usize {
                Instance::<$device>::ALIGN
            }

            /// `TypeInfo::instance_init`.
            #[unsafe(export_name = concat!(stringify!($name), "_instance_init"))]
            unsafe extern "C" fn instance_init(object: *mut Object) {
                // SAFETY: QEMU calls it for a new object of this type, which the shim has registered as a PCI
                // device with this size and alignment.
                unsafe { Instance::<$device>::init(object) }
            }

            /// `TypeInfo::instance_finalize`.
            #[unsafe(export_name = concat!(stringify!($name), "_instance_finalize"))]
            unsafe extern "C" fn instance_finalize(object: *mut Object) {
                // SAFETY: QEMU calls it once for each object that it initialized, when nothing uses it any more.
                unsafe { Instance::<$device>::finalize(object) }
            }

            /// `TypeInfo::class_init`.
            #[unsafe(export_name = concat!(stringify!($name), "_class_init"))]
            unsafe extern "C" fn class_init(class: *mut ObjectClass) {
                // SAFETY: QEMU calls it for the new class of this type, which nobody else uses yet.
                unsafe {
                    $crate::glue::class_init::<$device>(class);
                    let pci = PCI_DEVICE_CLASS(class.cast());
                    (*pci).realize = Some(realize);
                    (*pci).exit = Some(exit);
                    (*RESETTABLE_CLASS(class.cast())).phases.enter = Some(reset_enter);
                }
            }

            /// `PCIDeviceClass::realize`.
            #[unsafe(export_name = concat!(stringify!($name), "_realize"))]
            unsafe extern "C" fn realize(pdev: *mut PCIDevice, errp: *mut *mut Error) {
                // SAFETY: QEMU calls it with the BQL held to realize a device of this type, and gives `errp` for it.
                unsafe { DeviceRef::<$device>::new(pdev).realize(errp) }
            }

            /// `PCIDeviceClass::exit`.
            #[unsafe(export_name = concat!(stringify!($name), "_exit"))]
            unsafe extern "C" fn exit(pdev: *mut PCIDevice) {
                // SAFETY: QEMU calls it with the BQL held to unrealize a device of this type.
                unsafe { DeviceRef::<$device>::new(pdev).exit() }
            }

            /// `ResettablePhases::enter`.
            #[unsafe(export_name = concat!(stringify!($name), "_reset_enter"))]
            unsafe extern "C" fn reset_enter(object: *mut Object, _type: ResetType) {
                // SAFETY: QEMU calls it with the BQL held for a device of this type.
                unsafe { DeviceRef::<$device>::new(object) }.reset_enter();
            }

            /// `ResettablePhases::exit`, by way of the shim, which knows its arguments.
            #[unsafe(export_name = concat!(stringify!($name), "_reset_exit"))]
            unsafe extern "C" fn reset_exit(object: *mut Object) {
                // SAFETY: as above.
                unsafe { DeviceRef::<$device>::new(object) }.reset_exit();
            }

            /// `MemoryRegionOps::read_with_attrs`.
            #[unsafe(export_name = concat!(stringify!($name), "_mmio_read"))]
            unsafe extern "C" fn mmio_read(
                opaque: *mut c_void,
                offset: hwaddr,
                value: *mut u64,
                size: c_uint,
                attrs: MemTxAttrs,
            ) -> MemTxResult {
                // SAFETY: a region's opaque pointer is its `Region` in a device of this type, which lives as long as
                // the region. QEMU takes the BQL around every access, because the region does not opt out, and gives
                // a pointer for the value.
                unsafe {
                    *value = $crate::glue::Region::read::<$device>(opaque, offset, size, attrs)
                };
                MEMTX_OK
            }

            /// `MemoryRegionOps::write_with_attrs`.
            #[unsafe(export_name = concat!(stringify!($name), "_mmio_write"))]
            unsafe extern "C" fn mmio_write(
                opaque: *mut c_void,
                offset: hwaddr,
                value: u64,
                size: c_uint,
                attrs: MemTxAttrs,
            ) -> MemTxResult {
                // SAFETY: as above.
                unsafe {
                    $crate::glue::Region::write::<$device>(opaque, offset, value, size, attrs)
                };
                MEMTX_OK
            }

            impl Hooks for $device {
                const TRACE: Trace = Trace {
                    read: trace_read,
                    write: trace_write,
                    reset: trace_reset,
                    guest_error: trace_guest_error,
                    guest_error_is_traced,
                    event: trace_event,
                };

                fn qemu_type() -> &'static Type {
                    static TYPE: OnceCell<Type> = OnceCell::new();
                    TYPE.get_or_init(|| {
                        $crate::glue::describe::<$device>(Some(mmio_read), Some(mmio_write))
                    })
                }
            }
        };
    };
}
