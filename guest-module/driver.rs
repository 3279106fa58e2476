// SPDX-License-Identifier: GPL-2.0-or-later

//! The PCI driver: which devices are ours, and what happens when one comes or goes.

use crate::{
    abi, debugfs,
    device::Device,
    gaps::{Node, VENDOR},
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

/// What the driver holds of a device that it is bound to.
#[pin_data]
pub(crate) struct Binding {
    // Dropped in this order: the name, which all of them go by, must not be free before they are gone.
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

            // Has no counterpart in 7.3: the device stays enabled after us, which does no harm.
            pdev.enable_device_mem()?;
            let device = Arc::new(Device::new(pdev)?, GFP_KERNEL)?;
            let generator = device.identity().generator().name();
            let quality = hwrng::quality(&device);

            Ok(try_pin_init!(Binding {
                debugfs <- debugfs::folder(name.as_cstr(), device.clone()),
                hwrng: hwrng::register(name.as_cstr(), &device)?,
                node <- Node::register(name.as_cstr(), device.clone()),
                device,
                _: { dev_info!(pdev, "node /dev/{}, generator {generator}\n", name.as_cstr()) },
                _: {
                    if quality == Some(SEEDED_QUALITY) {
                        dev_warn!(
                            pdev,
                            "hw_random credits some of a stream that its seed foretells (seeded_hwrng=1): \
                             keep no secrets here\n"
                        );
                    }
                },
                name,
            }))
        })
    }

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.device.stop();
    }
}
