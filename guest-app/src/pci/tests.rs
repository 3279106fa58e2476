// SPDX-License-Identifier: GPL-2.0-or-later

//! A sysfs of regular files: its registers keep what is written to them, and nothing counts.

use super::*;
use std::os::unix::fs::{FileExt, symlink};

const FIRST: &str = "0000:00:04.0";
const SECOND: &str = "0000:00:05.0";
const LIBC: u32 = 0x524e_0300;
const NUMBER: u32 = 0x1122_3344;

struct Fake {
    root: tempfile::TempDir,
}

impl Fake {
    fn new(addresses: &[&str]) -> Self {
        let fake = Self {
            root: tempfile::tempdir().expect("a temporary folder"),
        };
        fs::create_dir_all(fake.root.path().join("bus/pci/drivers")).expect("a folder");
        for address in addresses {
            fs::create_dir_all(fake.path(address, "")).expect("a folder");
            fake.write(address, "vendor", "0x1234\n");
            fake.write(address, "device", "0xcafe\n");
            fake.write(address, "enable", "0\n");
            let resource = "0x00000000febf1000 0x00000000febf1fff 0x0000000000040200\n";
            fake.write(address, "resource", resource);
            fake.write(address, "driver_override", "(null)\n");
            fs::write(fake.path(address, "config"), [0x34, 0x12, 0xfe, 0xca, 2, 0])
                .expect("a file");
            fs::write(fake.path(address, "resource0"), [0; abi::BAR_SIZE]).expect("a file");
            fake.set(address, Register::Rng, NUMBER);
            fake.set(address, Register::Info, LIBC);
        }
        fake
    }

    fn path(&self, address: &str, attribute: &str) -> PathBuf {
        let devices = self.root.path().join("bus/pci/devices");
        devices.join(address).join(attribute)
    }

    fn write(&self, address: &str, attribute: &str, text: &str) {
        fs::write(self.path(address, attribute), text).expect("a file");
    }

    fn set(&self, address: &str, register: Register, value: u32) {
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(address, "resource0"))
            .expect("registers");
        file.write_all_at(&value.to_le_bytes(), register as u64)
            .expect("a register");
    }

    fn bind(&self, address: &str, driver: &str) {
        let folder = self.load(driver);
        symlink(folder, self.path(address, "driver")).expect("a link");
    }

    fn load(&self, driver: &str) -> PathBuf {
        let folder = self.root.path().join("bus/pci/drivers").join(driver);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// What a claim changes: `enable` and `driver_override`.
    fn state(&self, address: &str) -> [String; 2] {
        ["enable", "driver_override"].map(|attribute| {
            let text = fs::read_to_string(self.path(address, attribute)).expect("a file");
            text.trim_end().to_owned()
        })
    }

    fn try_open(&self, name: &str, access: Access) -> Result<Pci, Error> {
        Pci::open(Path::new(name), self.root.path(), access).expect("a device's name")
    }

    fn open(&self, name: &str) -> Pci {
        self.try_open(name, Access::ReadWrite).expect("a device")
    }

    fn error(&self, name: &str) -> Error {
        self.try_open(name, Access::ReadWrite).expect_err(name)
    }
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn registers_give_numbers_and_take_a_seed() {
    let fake = Fake::new(&[FIRST]);
    let pci = fake.open("pci");
    assert_eq!(pci.rand().expect("a number"), NUMBER);
    let mut bytes = [0; 1030];
    assert_eq!(pci.read(&mut bytes).expect("numbers"), 1030);
    let word = NUMBER.to_le_bytes();
    assert!(bytes.iter().eq(word.iter().cycle().take(1030)));

    pci.seed(0x4243_4445).expect("a seed");
    let registers = fs::read(fake.path(FIRST, "resource0")).expect("registers");
    assert_eq!(
        registers[abi::REG_SEED..][..4],
        0x4243_4445_u32.to_le_bytes()
    );

    let info = pci.info();
    assert_eq!(info.node, Path::new("pci:0000:00:04.0"));
    assert_eq!(info.device, FIRST);
    assert_eq!(info.generator, Generator::Libc);
    assert_eq!((info.driver, info.words, info.seeds), (None, None, None));
}

#[test]
fn device_is_enabled_and_kept_from_drivers_while_it_is_open() {
    let fake = Fake::new(&[FIRST]);
    let pci = fake.open("pci");
    assert_eq!(fake.state(FIRST), ["1", NO_DRIVER]);
    drop(pci);
    assert_eq!(fake.state(FIRST), ["0", ""]);
    assert!(!fake.root.path().join("bus/pci/drivers_probe").exists());
}

#[test]
fn override_of_before_is_restored() {
    let fake = Fake::new(&[FIRST]);
    fake.write(FIRST, "driver_override", "vfio-pci\n");
    drop(fake.open("pci"));
    assert_eq!(fake.state(FIRST), ["0", "vfio-pci"]);
}

/// Of a program that was killed.
#[test]
fn what_was_left_behind_is_cleaned_up() {
    let fake = Fake::new(&[FIRST]);
    fake.write(FIRST, "driver_override", &format!("{NO_DRIVER}\n"));
    for (left, open) in [("2", "2"), ("0", "1")] {
        fake.write(FIRST, "enable", left);
        fake.write(FIRST, "driver_override", NO_DRIVER);
        let pci = fake.open("pci");
        // It is not enabled a second time.
        assert_eq!(fake.state(FIRST), [open, NO_DRIVER]);
        drop(pci);
        assert_eq!(fake.state(FIRST), ["0", ""]);
    }
}

#[test]
fn driver_that_was_loaded_meanwhile_gets_the_device() {
    let fake = Fake::new(&[FIRST]);
    let probe = fake.root.path().join("bus/pci/drivers_probe");
    let pci = fake.open("pci");
    fake.load(DRIVER);
    drop(pci);
    assert_eq!(fs::read_to_string(&probe).expect("a file"), FIRST);

    // Somebody has unbound it, and wants it so.
    fs::remove_file(&probe).expect("a file");
    drop(fake.open("pci"));
    assert!(!probe.exists());
}

#[test]
fn only_one_program_can_open_it() {
    let fake = Fake::new(&[FIRST]);
    let pci = fake.open("pci");
    let error = fake.error("pci");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("fuser"), "{error}");
    assert_eq!(fake.state(FIRST), ["1", NO_DRIVER]);
    drop(pci);
    fake.open("pci");
}

#[test]
fn device_with_a_driver_is_refused() {
    for (driver, node, advice) in [
        (
            DRIVER,
            Some("my_rng_driver1"),
            "use its node, /dev/my_rng_driver1",
        ),
        ("vfio-pci", None, ">/sys/bus/pci/drivers/vfio-pci/unbind"),
    ] {
        let fake = Fake::new(&[FIRST]);
        fake.bind(FIRST, driver);
        if let Some(node) = node {
            fs::create_dir_all(fake.path(FIRST, "misc").join(node)).expect("a folder");
        }
        for name in ["pci", "pci:0000:00:04.0"] {
            let error = fake.error(name);
            assert_eq!(error.kind(), ErrorKind::Busy);
            let message = error.to_string();
            assert!(
                message.contains(&format!("the driver {driver} uses")),
                "{message}"
            );
            assert!(message.contains(advice), "{message}");
        }
        assert_eq!(fake.state(FIRST), ["0", "(null)"]);
    }
}

#[test]
fn names() {
    let fake = Fake::new(&[SECOND, FIRST]);
    for (name, expected) in [
        ("pci", FIRST),
        ("pci:0000:00:05.0", SECOND),
        ("pci:00:05.0", SECOND),
    ] {
        assert_eq!(fake.open(name).info().device, expected, "{name}");
    }
    fake.bind(FIRST, DRIVER);
    assert_eq!(fake.open("pci").info().device, SECOND);
    for name in ["pci:", "pci:0000:00:06.0", "pci:../devices/0000:00:05.0"] {
        let error = fake.error(name);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
        assert_eq!(error.path(), Path::new(name));
    }
    for path in ["/dev/my_rng_driver", "./pci", "pci0", ""] {
        let none = Pci::open(Path::new(path), fake.root.path(), Access::ReadOnly);
        assert!(none.is_none(), "{path}");
    }
    let none = Fake::new(&[]).error("pci");
    assert_eq!(none.kind(), ErrorKind::NotFound);
    assert!(none.to_string().contains("start QEMU with"), "{none}");
}

#[test]
fn failure_to_open_changes_nothing() {
    // Its memory is off.
    let fake = Fake::new(&[FIRST]);
    fs::write(fake.path(FIRST, "config"), [0x34, 0x12, 0xfe, 0xca, 5, 0]).expect("a file");
    let error = fake.error("pci");
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert!(error.to_string().contains("/sys/bus/pci/rescan"), "{error}");
    assert_eq!(fake.state(FIRST), ["0", ""]);

    // It has no registers. (An access would end the process.)
    let fake = Fake::new(&[FIRST]);
    fake.write(FIRST, "resource0", "");
    assert_eq!(fake.error("pci").kind(), ErrorKind::Other);
    assert_eq!(fake.state(FIRST), ["0", ""]);

    // It cannot be enabled.
    let fake = Fake::new(&[FIRST]);
    fs::remove_file(fake.path(FIRST, "enable")).expect("a file");
    assert_eq!(fake.error("pci").kind(), ErrorKind::Gone);
    let text = fs::read_to_string(fake.path(FIRST, "driver_override"));
    assert_eq!(text.expect("a file"), "\n");
}

#[test]
fn read_only_device_cannot_be_seeded() {
    let fake = Fake::new(&[FIRST]);
    let pci = fake.try_open("pci", Access::ReadOnly).expect("a device");
    assert_eq!(pci.rand().expect("a number"), NUMBER);
    assert_eq!(errno(pci.seed(1)), Some(libc::EBADF));
}

#[test]
fn missing_device_is_noticed() {
    let fake = Fake::new(&[FIRST]);
    let pci = fake.open("pci");
    for number in [0, u32::MAX] {
        // A device can give these, too.
        fake.set(FIRST, Register::Info, LIBC);
        fake.set(FIRST, Register::Rng, number);
        assert_eq!(pci.rand().expect("a number"), number);
        pci.seed(1).expect("a seed");
        fake.set(FIRST, Register::Info, number);
        assert_eq!(errno(pci.rand()), Some(libc::ENODEV));
        assert_eq!(errno(pci.read(&mut [0; 8])), Some(libc::ENODEV));
        assert_eq!(errno(pci.seed(1)), Some(libc::ENODEV));
    }
}

#[test]
fn classic_device_is_noticed_by_its_configuration_space() {
    let fake = Fake::new(&[FIRST]);
    fake.set(FIRST, Register::Info, u32::MAX);
    fake.set(FIRST, Register::Rng, 0);
    let pci = fake.open("pci");
    assert_eq!(pci.info().generator, Generator::Unknown);
    assert_eq!(pci.rand().expect("a number"), 0);
    fs::write(fake.path(FIRST, "config"), [0xff; 64]).expect("a file");
    assert_eq!(errno(pci.rand()), Some(libc::ENODEV));
    assert_eq!(errno(pci.seed(1)), Some(libc::ENODEV));
}

#[test]
fn host_takes_no_seed() {
    let fake = Fake::new(&[FIRST]);
    fake.set(FIRST, Register::Info, 0x524e_0302);
    let pci = fake.open("pci");
    pci.seed(7).expect("ignored");
    let registers = fs::read(fake.path(FIRST, "resource0")).expect("registers");
    assert_eq!(registers[abi::REG_SEED..][..4], [0; 4]);
}

#[test]
fn identities() {
    for (first, second, generator, can_fail) in [
        (0x524e_0300, 0x524e_0300, Generator::Libc, false),
        (0x524e_ff01, 0x524e_ff01, Generator::ChaCha20, false),
        (0x524e_0202, 0x524e_0202, Generator::Host, true),
        (0x524e_0102, 0x524e_0102, Generator::Host, false),
        (0x524e_0303, 0x524e_0303, Generator::ChaCha8, false),
        (
            0x524e_0304,
            0x524e_0304,
            Generator::Xoshiro256PlusPlus,
            false,
        ),
        (0x524e_02ff, 0x524e_02ff, Generator::Unknown, true),
        // Classic devices.
        (0x524e_0202, 0x524e_0203, Generator::Unknown, false),
        (0x524f_0202, 0x524f_0202, Generator::Unknown, false),
        (u32::MAX, u32::MAX, Generator::Unknown, false),
    ] {
        let identity = Identity::new(first, second);
        let is_classic = second != first || first >> 16 != 0x524e;
        assert_eq!(identity.0.is_none(), is_classic, "{first:#x}");
        assert_eq!(identity.generator(), generator, "{first:#x}");
        assert_eq!(identity.can_fail(), can_fail, "{first:#x}");
    }
}

/// With large pages, several devices can have their registers in one.
#[test]
fn registers_within_a_page_are_told_apart() {
    let fake = Fake::new(&[FIRST]);
    let function = Function::at(fake.root.path(), FIRST);
    assert!(function.begins_page(4096).expect("an address"));
    assert!(!function.begins_page(65536).expect("an address"));
    for text in ["", "febf1000 febf1fff\n", "0x\n"] {
        fake.write(FIRST, "resource", text);
        assert!(function.begins_page(4096).is_err(), "{text:?}");
    }
}
