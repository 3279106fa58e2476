// SPDX-License-Identifier: GPL-2.0-or-later

//! Finds out from sysfs what is wrong with a node, so that the error can say how to fix it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::pci::{self, DRIVER, Function};
use crate::{abi, nodes};

/// Why the node does not exist.
#[derive(Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// sysfs is not mounted, or the kernel has no PCI.
    Unknown,
    /// No my_rng device is on the PCI bus.
    NoDevice,
    /// There is a device, but the driver is not loaded.
    NoDriver,
    /// Drivers are kept off the device with this PCI address, by a program that uses it without one.
    Claimed(String),
    /// The driver is loaded, but not bound to any device. Holds the PCI address of the first one.
    Unbound(String),
    /// The driver is bound to a device, so the path is wrong.
    Driven,
}

impl Diagnosis {
    /// Reads the sysfs mounted at `sysfs`.
    pub fn read(sysfs: &Path) -> Self {
        let Ok(devices) = Function::list(sysfs) else {
            return Self::Unknown;
        };
        let Some(first) = devices.first() else {
            return Self::NoDevice;
        };
        if devices.iter().any(|device| device.driver().is_some()) {
            Self::Driven
        } else if let Some(claimed) = devices.iter().find(|device| device.is_claimed()) {
            Self::Claimed(claimed.address())
        } else if pci::is_driver_loaded(sysfs) {
            Self::Unbound(first.address())
        } else {
            Self::NoDriver
        }
    }

    /// Returns what is wrong and how to fix it, as the second half of an error message.
    pub fn advice(&self) -> String {
        match self {
            Self::Unknown => {
                format!("there is no such node; load the driver (`sudo modprobe {DRIVER}`)")
            }
            Self::NoDevice => {
                "this machine has no my_rng device; start QEMU with `-device my_rng`".to_owned()
            }
            Self::NoDriver => format!(
                "the driver is not loaded; load it (`sudo modprobe {DRIVER}`), or open `pci` instead as root, which \
                 needs none"
            ),
            Self::Claimed(address) => format!(
                "a program uses the device without a driver, or one was killed while it did; open `pci:{address}` instead as root"
            ),
            Self::Unbound(address) => format!(
                "the driver is not bound to the device; bind it as root \
                 (`echo {address} >/sys/bus/pci/drivers/{DRIVER}/bind`), or open `pci` instead, which needs none"
            ),
            Self::Driven => format!(
                "there is no such node; check the path (the first is /dev/{node}, the second /dev/{node}1)",
                node = abi::NODE_NAME
            ),
        }
    }
}

/// Returns how to fix a node that was made with `mknod` and does not belong to the driver; `None` for any other
/// path.
pub fn of_stale_node(path: &Path, sysfs: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let number = metadata.rdev();
    let number = format!("{}:{}", libc::major(number), libc::minor(number));
    let is_node = metadata.file_type().is_char_device();
    is_node.then(|| stale(&path, &number, sysfs)).flatten()
}

/// Like [`of_stale_node`], for a node with the device number `number` (`major:minor`).
fn stale(path: &Path, number: &str, sysfs: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    nodes::number(name)?;
    let misc = sysfs.join("class/misc");
    let (problem, then) = match fs::read_to_string(misc.join(name).join("dev")) {
        Ok(current) if current.trim() == number => return None,
        // devtmpfs does not replace an existing file, so the driver's own node is missing.
        Ok(current) => (
            format!(
                "with the device number {number}, but the driver's is {}",
                current.trim()
            ),
            format!("reload the driver (`sudo rmmod {DRIVER}`, then `sudo modprobe {DRIVER}`)"),
        ),
        // devtmpfs removes the driver's own node when the driver is unloaded.
        Err(_) if misc.is_dir() => (
            "and no driver uses it".to_owned(),
            Diagnosis::read(sysfs).advice(),
        ),
        Err(_) => return None,
    };
    Some(format!(
        "this node was made by hand (`mknod`), {problem}; remove it (`sudo rm {}`), then: {then}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Creates a sysfs with PCI devices: address, vendor id, device id.
    fn sysfs(devices: &[(&str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        let bus = root.path().join("bus/pci");
        fs::create_dir_all(bus.join("devices")).expect("devices");
        fs::create_dir_all(bus.join("drivers")).expect("drivers");
        for (address, vendor, device) in devices {
            let folder = bus.join("devices").join(address);
            fs::create_dir(&folder).expect("device");
            fs::write(folder.join("vendor"), format!("{vendor}\n")).expect("vendor");
            fs::write(folder.join("device"), format!("{device}\n")).expect("device id");
        }
        root
    }

    const OTHER: (&str, &str, &str) = ("0000:00:00.0", "0x8086", "0x1237");
    const OURS: (&str, &str, &str) = ("0000:00:04.0", "0x1234", "0xcafe");
    const SECOND: (&str, &str, &str) = ("0000:00:05.0", "0x1234", "0xcafe");

    #[test]
    fn without_sysfs_the_cause_is_unknown() {
        let root = tempfile::tempdir().expect("temporary folder");
        assert_eq!(Diagnosis::read(root.path()), Diagnosis::Unknown);
    }

    #[test]
    fn other_devices_are_ignored() {
        let nearly = ("0000:00:02.0", "0x1234", "0x1111");
        let root = sysfs(&[OTHER, nearly]);
        assert_eq!(Diagnosis::read(root.path()), Diagnosis::NoDevice);
    }

    #[test]
    fn device_without_a_driver() {
        let root = sysfs(&[OTHER, OURS]);
        assert_eq!(Diagnosis::read(root.path()), Diagnosis::NoDriver);
    }

    #[test]
    fn error_shows_the_first_unbound_device() {
        let root = sysfs(&[SECOND, OURS]);
        fs::create_dir(root.path().join("bus/pci/drivers").join(DRIVER)).expect("driver");
        let unbound = Diagnosis::read(root.path());
        assert_eq!(unbound, Diagnosis::Unbound("0000:00:04.0".to_owned()));
        assert!(
            unbound
                .advice()
                .contains("echo 0000:00:04.0 >/sys/bus/pci/drivers/my_rng/bind")
        );
    }

    #[test]
    fn device_that_a_program_uses() {
        let root = sysfs(&[OURS]);
        let device = root.path().join("bus/pci/devices").join(OURS.0);
        fs::write(device.join("driver_override"), "my_rng_without_driver\n").expect("a file");
        let claimed = Diagnosis::read(root.path());
        assert_eq!(claimed, Diagnosis::Claimed("0000:00:04.0".to_owned()));
        assert!(claimed.advice().contains("open `pci:0000:00:04.0`"));
    }

    #[test]
    fn one_bound_device_is_enough() {
        let root = sysfs(&[OURS, SECOND]);
        let driver = root.path().join("bus/pci/drivers").join(DRIVER);
        fs::create_dir(&driver).expect("driver");
        symlink(
            &driver,
            root.path().join("bus/pci/devices/0000:00:05.0/driver"),
        )
        .expect("binding");
        assert_eq!(Diagnosis::read(root.path()), Diagnosis::Driven);
    }

    #[test]
    fn node_with_another_number_than_the_driver_is_stale() {
        let root = tempfile::tempdir().expect("temporary folder");
        let node = Path::new("/dev/my_rng_driver1");
        assert_eq!(stale(node, "250:0", root.path()), None, "without sysfs");

        let misc = root.path().join("class/misc");
        fs::create_dir_all(&misc).expect("a folder");
        let advice = stale(node, "250:0", root.path()).expect("no driver");
        assert!(advice.contains("no driver uses it; "), "{advice}");
        assert!(
            advice.contains("`sudo rm /dev/my_rng_driver1`), then: there is no such node; load"),
            "{advice}"
        );

        fs::create_dir(misc.join("my_rng_driver1")).expect("a folder");
        fs::write(misc.join("my_rng_driver1/dev"), "10:125\n").expect("a file");
        assert_eq!(stale(node, "10:125", root.path()), None);
        let advice = stale(node, "250:0", root.path()).expect("another number");
        assert!(
            advice.contains("device number 250:0, but the driver's is 10:125; "),
            "{advice}"
        );
        assert!(
            advice.contains("`sudo rm /dev/my_rng_driver1`), then: reload"),
            "{advice}"
        );

        // Not a name that the driver uses.
        assert_eq!(stale(Path::new("/dev/null"), "1:3", root.path()), None);
    }

    #[test]
    fn stale_node_error_says_what_else_is_missing() {
        let stale = |root: &tempfile::TempDir| {
            fs::create_dir_all(root.path().join("class/misc")).expect("a folder");
            let node = Path::new("/dev/my_rng_driver");
            stale(node, "250:0", root.path()).expect("no driver uses it")
        };
        let advice = stale(&sysfs(&[OTHER]));
        assert!(advice.contains("start QEMU with"), "{advice}");
        assert!(!advice.contains("modprobe"), "{advice}");

        let root = sysfs(&[OURS]);
        let advice = stale(&root);
        assert!(advice.contains("`sudo modprobe my_rng`"), "{advice}");

        fs::create_dir(root.path().join("bus/pci/drivers").join(DRIVER)).expect("driver");
        let advice = stale(&root);
        assert!(
            advice.contains("echo 0000:00:04.0 >/sys/bus/pci/drivers/my_rng/bind"),
            "{advice}"
        );
        assert!(!advice.contains("modprobe"), "{advice}");
    }

    #[test]
    fn only_nodes_are_stale() {
        let root = tempfile::tempdir().expect("temporary folder");
        fs::create_dir_all(root.path().join("class/misc")).expect("a folder");
        let file = root.path().join("my_rng_driver");
        assert_eq!(of_stale_node(&file, root.path()), None, "no file");
        fs::write(&file, "").expect("a file");
        assert_eq!(of_stale_node(&file, root.path()), None, "a file");
        assert_eq!(of_stale_node(Path::new("/dev/null"), root.path()), None);
    }

    #[test]
    fn malformed_ids_are_ignored() {
        let root = sysfs(&[("0000:00:04.0", "1234", "0xcafe"), ("0000:00:05.0", "", "")]);
        assert_eq!(Diagnosis::read(root.path()), Diagnosis::NoDevice);
    }
}
