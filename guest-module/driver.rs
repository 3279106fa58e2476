// SPDX-License-Identifier: GPL-2.0-or-later

//! The PCI driver: the device table, probe and unbind.

use crate::{
    abi, debugfs,
    device::Device,
    gaps::{DmaMasks, Enabled, Linked, ModuleDir, Node, VENDOR},
    hwrng,
    identity::SEEDED_QUALITY,
    node::{NodeName, OpenFile, MAX_NODES},
};
use kernel::{debugfs::Scope, device::Core, pci, prelude::*, sync::Arc};

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
pub(crate) struct Binding<'bound> {
    // Fields drop in order; `name` must outlive its users.
    hwrng: hwrng::Registered,
    #[pin]
    node: Node<OpenFile>,
    #[pin]
    debugfs: Scope<Arc<Device>>,
    linked: Linked<'bound, Device>,
    enabled: Enabled,
    name: NodeName,
}

impl pci::Driver for MyRngDriver {
    type IdInfo = ();
    type Data<'bound> = Binding<'bound>;

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

            let enabled = Enabled::new(pdev)?;
            // SAFETY: This is the device's probe, and no memory was mapped or allocated for its DMA yet.
            let masks = unsafe { DmaMasks::set(pdev) };
            let (device, linked) = Device::new(pdev, masks)?;
            let generator = device.identity().generator().name();
            let quality = hwrng::quality(&device);
            let directory = ModuleDir::get()?;

            Ok(try_pin_init!(Binding {
                enabled,
                linked,
                debugfs <- debugfs::directory(&directory, name.as_cstr(), device.clone()),
                hwrng: hwrng::register(name.as_cstr(), &device, quality)
                    .inspect_err(|error| dev_warn!(pdev, "not offered to hw_random: {error:?}\n"))
                    .unwrap_or_default(),
                node <- Node::register(name.as_cstr(), pdev.as_ref(), device.clone()),
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

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        // The kernel drops `this` later, when it has already given up the device's IOMMU domain. No transfer may
        // run then, and open files start some.
        this.linked.end_uses();
    }
}
