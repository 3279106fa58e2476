// SPDX-License-Identifier: GPL-2.0-or-later

//! The C functions that a device's shim names, each a line to the generic code.
//!
//! No panic crosses into C: every profile of the workspace aborts on one.

/// Makes a QEMU device of a model: writes the C functions that its shim (`hw/misc/NAME.c`) names, with the
/// prototypes of its header, and connects its trace events (`hw/misc/trace-events`).
///
/// Every device has the four events `read`, `write`, `reset` and `guest_error`; the last one comes with a
/// function of the header that tells whether somebody traces it. The events of the model itself follow, each
/// as `PATTERN => EVENT(NAMES)`: the pattern is of the model's `Event`, and the names are bound by it. The
/// first argument of an event, the device's path, is left out. Events are functions `trace_*`, which copy what
/// they are given.
macro_rules! pci_device {
    (
        $model:ty {
            type_name: $type_name:ident,
            instance_size: $instance_size:ident,
            instance_align: $instance_align:ident,
            instance_init: $instance_init:ident,
            instance_finalize: $instance_finalize:ident,
            class_init: $class_init:ident,
            realize: $realize:ident,
            exit: $exit:ident,
            reset_enter: $reset_enter:ident,
            mmio_read: $mmio_read:ident,
            mmio_write: $mmio_write:ident,
        }
        trace {
            read: $trace_read:ident,
            write: $trace_write:ident,
            reset: $trace_reset:ident,
            guest_error: $trace_guest_error:ident if $guest_error_is_traced:ident,
            $($event:pat => $trace_event:ident($($argument:ident),*),)*
        }
    ) => {
        const _: () = {
            use core::ffi::{c_char, c_uint, c_void};

            use once_cell::sync::OnceCell;

            use $crate::qemu::bindings::{
                self, Error, MemoryRegionOps, Object, ObjectClass, PCIDevice, ResetType, hwaddr,
            };
            use $crate::pci::PciModel;
            use $crate::qemu::memory;
            use $crate::qemu::pci::{self, ClassHooks, Declared, Device, Instance, Layout, Traced};

            // The prototypes of the shim's header, from which the left-hand functions come.
            let _: [unsafe extern "C" fn() -> usize; 4] = [
                bindings::$instance_size,
                $instance_size,
                bindings::$instance_align,
                $instance_align,
            ];
            let _: [unsafe extern "C" fn(*mut Object); 4] = [
                bindings::$instance_init,
                $instance_init,
                bindings::$instance_finalize,
                $instance_finalize,
            ];
            let _: [unsafe extern "C" fn(*mut ObjectClass); 2] =
                [bindings::$class_init, $class_init];
            let _: [unsafe extern "C" fn(*mut PCIDevice, *mut *mut Error); 2] =
                [bindings::$realize, $realize];
            let _: [unsafe extern "C" fn(*mut PCIDevice); 2] = [bindings::$exit, $exit];
            let _: [unsafe extern "C" fn(*mut Object, ResetType); 2] =
                [bindings::$reset_enter, $reset_enter];
            let _: [memory::ReadHook; 2] = [bindings::$mmio_read, $mmio_read];
            let _: [memory::WriteHook; 2] = [bindings::$mmio_write, $mmio_write];

            // The shim registers the type under its header's name, and QEMU's log has the model's.
            const {
                let (ours, theirs) = (<$model as PciModel>::NAME, bindings::$type_name);
                assert!(
                    pci::is_same_text(ours.to_bytes_with_nul(), theirs),
                    "the name of the model is not that of the type in its header"
                );
            }

            // QEMU keeps the pointer, so the callbacks live in a static.
            static OPS: OnceCell<MemoryRegionOps> = OnceCell::new();

            /// `TypeInfo::instance_size`.
            #[unsafe(no_mangle)]
            pub extern "C" fn $instance_size() -> usize {
                Instance::<$model>::size()
            }

            /// `TypeInfo::instance_align`.
            #[unsafe(no_mangle)]
            pub extern "C" fn $instance_align() -> usize {
                Instance::<$model>::ALIGN
            }

            /// `TypeInfo::instance_init`.
            ///
            /// # Safety
            ///
            /// `object` is a new object of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $instance_init(object: *mut Object) {
                let ops = OPS.get_or_init(|| memory::every_access($mmio_read, $mmio_write));
                // SAFETY: the type is registered with this instance's size and alignment, as a PCI
                // device.
                unsafe { Instance::<$model>::init(object, ops) }
            }

            /// `TypeInfo::instance_finalize`.
            ///
            /// # Safety
            ///
            /// `object` is of this type, and nothing uses it any more.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $instance_finalize(object: *mut Object) {
                // SAFETY: QEMU calls it once for each object that it initialized.
                unsafe { Instance::<$model>::finalize(object) }
            }

            /// `TypeInfo::class_init`.
            ///
            /// # Safety
            ///
            /// `class` is the new class of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $class_init(class: *mut ObjectClass) {
                let hooks = ClassHooks {
                    realize: $realize,
                    exit: $exit,
                    reset_enter: $reset_enter,
                };
                // SAFETY: the type's parent is a PCI device, its instances have the size that
                // `instance_size` gives, and the hooks are this type's.
                unsafe { pci::class_init::<$model>(class, &hooks) }
            }

            /// `PCIDeviceClass::realize`.
            ///
            /// # Safety
            ///
            /// `pdev` is of this type, and `errp` as QEMU gives it.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $realize(pdev: *mut PCIDevice, errp: *mut *mut Error) {
                // SAFETY: the PCI device is an initialized one of this type, alive during the call,
                // which QEMU makes with its big lock held.
                if let Some(device) = unsafe { Device::<$model>::from_ptr(pdev) } {
                    // SAFETY: QEMU calls this to realize the device, and gave `errp` for it.
                    unsafe { device.realize(errp) };
                }
            }

            /// `PCIDeviceClass::exit`.
            ///
            /// # Safety
            ///
            /// `pdev` is of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $exit(pdev: *mut PCIDevice) {
                // SAFETY: the PCI device is an initialized one of this type, alive during the call,
                // which QEMU makes with its big lock held.
                if let Some(device) = unsafe { Device::<$model>::from_ptr(pdev) } {
                    device.exit();
                }
            }

            /// `ResettablePhases::enter`.
            ///
            /// # Safety
            ///
            /// `object` is of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $reset_enter(object: *mut Object, _type: ResetType) {
                // SAFETY: the object is an initialized one of this type, alive during the call, which
                // QEMU makes with its big lock held.
                if let Some(device) = unsafe { Device::<$model>::from_ptr(object) } {
                    device.reset();
                }
            }

            /// `MemoryRegionOps::read`.
            ///
            /// # Safety
            ///
            /// `opaque` is a device of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $mmio_read(
                opaque: *mut c_void,
                addr: hwaddr,
                size: c_uint,
            ) -> u64 {
                // SAFETY: the region's opaque pointer is its device, alive as long as the region is.
                // QEMU takes its big lock around every access to a region, unless the region's device
                // opts out.
                unsafe { Device::<$model>::from_ptr(opaque) }
                    .map_or(0, |device| device.read(addr, size))
            }

            /// `MemoryRegionOps::write`.
            ///
            /// # Safety
            ///
            /// `opaque` is a device of this type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $mmio_write(
                opaque: *mut c_void,
                addr: hwaddr,
                value: u64,
                size: c_uint,
            ) {
                // SAFETY: the region's opaque pointer is its device, alive as long as the region is.
                // QEMU takes its big lock around every access to a region, unless the region's device
                // opts out.
                if let Some(device) = unsafe { Device::<$model>::from_ptr(opaque) } {
                    device.write(addr, value, size);
                }
            }

            impl Declared for $model {
                fn layout() -> &'static Layout {
                    static LAYOUT: OnceCell<Layout> = OnceCell::new();
                    LAYOUT.get_or_init(Layout::of::<$model>)
                }

                fn guest_errors_are_traced() -> bool {
                    // SAFETY: looks at variables of QEMU's; no precondition.
                    unsafe { bindings::$guest_error_is_traced() }
                }

                unsafe fn trace(path: *const c_char, event: Traced<'_, Self::Event>) {
                    // SAFETY: `path` and the text of an error are NUL-terminated, by the caller's word
                    // and by type; the events copy them.
                    unsafe {
                        match event {
                            Traced::Read { offset, size, value } => {
                                bindings::$trace_read(path, offset, size, value);
                            }
                            Traced::Write { offset, size, value } => {
                                bindings::$trace_write(path, offset, size, value);
                            }
                            Traced::Reset => bindings::$trace_reset(path),
                            Traced::GuestError(what) => {
                                bindings::$trace_guest_error(path, what.as_ptr());
                            }
                            Traced::Model(event) => match event {
                                $($event => bindings::$trace_event(path, $($argument),*),)*
                            },
                        }
                    }
                }
            }
        };
    };
}

pub(super) use pci_device;
