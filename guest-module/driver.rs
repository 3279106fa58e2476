// SPDX-License-Identifier: GPL-2.0-or-later

//! The PCI driver: the device table, probe and unbind.

use crate::{
    abi, debugfs,
    device::Device,
    gaps::{DmaMasks, Enabled, Node, VENDOR},
    hwrng,
    identity::SEEDED_QUALITY,
    node::{NodeName, OpenFile, MAX_NODES},
};
use kernel::{debugfs::Scope, device::Core, devres, pci, prelude::*, sync::Arc};

pub(crate) struct MyRngDriver;

kernel::pci_device_table!(
    PCI_TABLE,
    <MyRngDriver as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(VENDOR, abi::PCI_DEVICE_ID as u32),
        ()
    )]
);

/// The driver's data for a bound device.
#[pin_data]
pub(crate) struct Binding {
    // Fields drop in order; `name` must outlive its users.
    hwrng: hwrng::Registered,
    #[pin]
    node: Node<OpenFile>,
    #[pin]
    debugfs: Scope<Arc<Device>>,
    device: Arc<Device>,
    name: NodeName,
}

impl pci::Driver for MyRngDriver {
    type IdInfo = ();
    type Data<'bound> = Binding;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let Some(name) = NodeName::take() else {
                dev_err!(
                    pdev,
                    "all {MAX_NODES} nodes are taken: unbind or unplug a device, then bind this one\n"
                );
                return Err(ENOSPC);
            };

            // devres drops it after the registers, which are registered later.
            devres::register(pdev.as_ref(), Enabled::new(pdev)?, GFP_KERNEL)?;
            // SAFETY: This is the device's probe, and no memory was mapped or allocated for its DMA yet.
            let masks = unsafe { DmaMasks::set(pdev) };
            let device = Arc::new(Device::new(pdev, masks)?, GFP_KERNEL)?;
            let generator = device.identity().generator().name();
            let quality = hwrng::quality(&device);

            Ok(try_pin_init!(Binding {
                debugfs <- debugfs::directory(name.as_cstr(), device.clone()),
                hwrng: hwrng::register(name.as_cstr(), &device, quality)
                    .inspect(|_| {
                        if quality.is_some() {
                            device.set_offered();
                        }
                    })
                    .inspect_err(|error| dev_warn!(pdev, "not offered to hw_random: {error:?}\n"))
                    .unwrap_or_default(),
                // The last step that can fail: once the node exists, open files rely on `unbind` being
                // called.
                node <- Node::register(name.as_cstr(), device.clone()),
                device,
                _: { dev_info!(pdev, "node /dev/{}, generator {generator}\n", name.as_cstr()) },
                _: {
                    if quality == Some(SEEDED_QUALITY) && device.is_offered() {
                        dev_warn!(
                            pdev,
                            "hw_random credits entropy for a predictable stream (seeded_hwrng=1): \
                             keep no secrets here\n"
                        );
                    }
                },
                name,
            }))
        })
    }

    fn unbind<'bound>(pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.device.stop(pdev);
    }
}
