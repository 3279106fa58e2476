// SPDX-License-Identifier: GPL-2.0-or-later

//! The device without its driver: found, enabled and kept from drivers through sysfs.
//!
//! [`Claim`] has what is undone when the device is closed, [`Pci`] the rules for its registers. They are those of the
//! driver; `docs/my-rng.rst` has them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::open_file::Access;
use crate::registers::{self, Register, Registers};
use crate::{Error, ErrorKind, Generator, Info, Operation, abi};

/// The name of the driver in sysfs and of the module.
pub const DRIVER: &str = "my_rng";

/// The name of no driver. While it is a device's `driver_override`, no driver binds to the device.
const NO_DRIVER: &str = "my_rng_without_driver";

/// So many bytes are read between two checks, as in the driver.
const BLOCK: usize = 512;

/// A device in sysfs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    folder: PathBuf,
}

impl Function {
    /// Lists the `my_rng` devices in the sysfs mounted at `sysfs`, sorted by address.
    pub fn list(sysfs: &Path) -> io::Result<Vec<Self>> {
        let mut functions: Vec<_> = fs::read_dir(sysfs.join("bus/pci/devices"))?
            .flatten()
            .map(|entry| Self {
                folder: entry.path(),
            })
            .filter(Self::is_ours)
            .collect();
        functions.sort();
        Ok(functions)
    }

    /// The device with this PCI address.
    pub fn at(sysfs: &Path, address: &str) -> Self {
        Self {
            folder: sysfs.join("bus/pci/devices").join(address),
        }
    }

    /// The PCI address, such as `0000:00:04.0`.
    pub fn address(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The name by which [`Pci::open`] opens it.
    pub fn name(&self) -> PathBuf {
        format!("pci:{}", self.address()).into()
    }

    /// The driver that is bound to it.
    pub fn driver(&self) -> Option<String> {
        let target = fs::read_link(self.folder.join("driver")).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The node of our driver, if this is bound to it.
    fn node(&self) -> Option<PathBuf> {
        let mut nodes = fs::read_dir(self.folder.join("misc")).ok()?.flatten();
        Some(Path::new("/dev").join(nodes.next()?.file_name()))
    }

    /// Whether drivers are kept off it: by a program that uses it, or one that was killed.
    pub fn is_claimed(&self) -> bool {
        self.read("driver_override")
            .is_ok_and(|name| name == NO_DRIVER)
    }

    fn is_ours(&self) -> bool {
        self.id("vendor") == Some(abi::PCI_VENDOR_ID)
            && self.id("device") == Some(abi::PCI_DEVICE_ID)
    }

    /// Reads a PCI id, which sysfs prints as `0x1234` and a newline.
    fn id(&self, attribute: &str) -> Option<u16> {
        u16::from_str_radix(self.read(attribute).ok()?.strip_prefix("0x")?, 16).ok()
    }

    fn read(&self, attribute: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.folder.join(attribute))?
            .trim_end()
            .to_owned())
    }

    fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.folder.join(attribute))?;
        // In one call, and not empty: sysfs ignores an empty one.
        file.write_all(format!("{value}\n").as_bytes())
    }

    /// Whether its registers begin at a multiple of `page`. Otherwise their file begins with those of another device.
    fn begins_page(&self, page: u64) -> io::Result<bool> {
        let resources = self.read("resource")?;
        let bar = resources.lines().nth(abi::BAR.into());
        let start = bar
            .and_then(|line| line.split(' ').next()?.strip_prefix("0x"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(start % page == 0)
    }

    /// Whether it is there and decodes accesses to its memory, by its configuration space.
    fn answers(&self) -> bool {
        const MEMORY: u16 = 1 << 1;
        let mut config = [0; 6];
        let file = File::open(self.folder.join("config"));
        if file
            .and_then(|mut file| file.read_exact(&mut config))
            .is_err()
        {
            return false;
        }
        let word = |at: usize| {
            let bytes = config.get(at..at + 2)?;
            Some(u16::from_le_bytes(bytes.try_into().ok()?))
        };
        word(0) == Some(abi::PCI_VENDOR_ID)
            && word(2) == Some(abi::PCI_DEVICE_ID)
            && word(4).is_some_and(|command| command & MEMORY != 0)
    }
}

/// A device that this process alone uses: enabled, locked, and kept from drivers. Dropping it undoes all three.
///
/// If the process is killed, the lock is gone, but the device stays enabled and kept from drivers. The next claim takes
/// that over, so that its end cleans up.
#[derive(Debug)]
struct Claim {
    function: Function,
    sysfs: PathBuf,
    /// The `driver_override` of before; empty if there was none.
    before: String,
    is_enabled: bool,
    /// Whether our driver was loaded already.
    had_driver: bool,
    /// Locked. Closed last.
    file: File,
}

impl Claim {
    /// Fails with `EBUSY` if a driver has bound meanwhile.
    fn new(function: Function, sysfs: &Path, file: File) -> io::Result<Self> {
        let before = function.read("driver_override")?;
        let is_left_over = before == NO_DRIVER;
        // The kernel prints "(null)" if there is none.
        let is_none = is_left_over || before == "(null)";
        let mut claim = Self {
            before: if is_none { String::new() } else { before },
            is_enabled: is_left_over && function.read("enable")? != "0",
            // If the claim was left over, the driver may have come after it.
            had_driver: !is_left_over && is_driver_loaded(sysfs),
            function,
            sysfs: sysfs.to_owned(),
            file,
        };
        claim.function.write("driver_override", NO_DRIVER)?;
        if !claim.is_enabled {
            // `enable` is a counter, so others that have enabled the device are not affected.
            claim.function.write("enable", "1")?;
            claim.is_enabled = true;
        }
        Ok(claim)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Another device may have come to this address, or somebody else may have taken this one over.
        if !self.function.is_claimed() {
            return;
        }
        // These fail if the device is gone. Then there is nothing to undo.
        if self.is_enabled {
            let _ = self.function.write("enable", "0");
        }
        let _ = self.function.write("driver_override", &self.before);
        // A driver that was loaded meanwhile would otherwise never get the device.
        if !self.had_driver && is_driver_loaded(&self.sysfs) {
            let _ = fs::write(
                self.sysfs.join("bus/pci/drivers_probe"),
                self.function.address(),
            );
        }
    }
}

/// Whether our driver is loaded, or built in.
pub fn is_driver_loaded(sysfs: &Path) -> bool {
    sysfs.join("bus/pci/drivers").join(DRIVER).exists()
}

/// What a device reports in INFO; `None` for a classic device, which has no such register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(Option<u32>);

impl Identity {
    /// Takes two reads of INFO: a classic device may return anything there, even numbers of its stream.
    fn new(first: u32, second: u32) -> Self {
        let has_signature = first >> 16 == u32::from(abi::INFO_SIGNATURE);
        Self((has_signature && first == second).then_some(first))
    }

    fn generator(self) -> Generator {
        self.0
            .map_or(Generator::Unknown, |info| Generator::of_id(info as u8))
    }

    /// Whether a read of RNG can fail for lack of entropy, and the device counts such failures.
    fn can_fail(self) -> bool {
        matches!(self.generator(), Generator::Host | Generator::Unknown)
            && self.0.is_some_and(|info| info & abi::INFO_FAILURES != 0)
    }
}

/// An open device without a driver.
#[derive(Debug)]
pub struct Pci {
    // Unmapped before the claim ends.
    registers: Registers,
    identity: Identity,
    claim: Claim,
}

impl Pci {
    /// Opens the device with this name: `pci` for the first that no driver is bound to, or `pci:` and its address.
    /// Returns `None` if the name is a path.
    pub fn open(name: &Path, sysfs: &Path, access: Access) -> Option<Result<Self, Error>> {
        let address = match name.to_str()? {
            "pci" => None,
            text => Some(text.strip_prefix("pci:")?),
        };
        let result = find(address, sysfs)
            .and_then(|function| Self::claim(function, sysfs, access))
            .map_err(|refusal| refusal.into_error(name));
        Some(result)
    }

    fn claim(function: Function, sysfs: &Path, access: Access) -> Result<Self, Refusal> {
        let is_writable = access == Access::ReadWrite;
        let folder = function.folder.clone();
        let place = folder.display();
        let refused = |source: io::Error| match source.raw_os_error() {
            Some(libc::EACCES) => Refusal::new(
                ErrorKind::PermissionDenied,
                "permission denied; without the driver this needs root (`sudo`)",
                source,
            ),
            Some(libc::EPERM | libc::EROFS) => Refusal::new(
                ErrorKind::PermissionDenied,
                "root may not change the device here; run it outside of the container",
                source,
            ),
            Some(libc::EBUSY) => bound(&function, source),
            Some(libc::ENOENT | libc::ENODEV) => Refusal::new(
                ErrorKind::Gone,
                "the device is gone; bring it back and open it again",
                source,
            ),
            _ => Refusal::new(
                ErrorKind::Other,
                format!("{source}; the kernel's log (`dmesg`) may say more"),
                source,
            ),
        };
        if function.driver().is_some() {
            return Err(bound(&function, io::ErrorKind::ResourceBusy.into()));
        }
        let bar = folder.join(format!("resource{}", abi::BAR));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(is_writable).open(&bar);
        let file = file.map_err(refused)?;
        registers::lock(&file).map_err(|source| {
            Refusal::new(
                ErrorKind::Busy,
                format!(
                    "another program uses it; end that first (`sudo fuser -v {}`)",
                    bar.display()
                ),
                source,
            )
        })?;
        let claim = Claim::new(function.clone(), sysfs, file).map_err(refused)?;
        if !function.answers() {
            return Err(Refusal::new(
                ErrorKind::Gone,
                format!(
                    "it does not answer (all ones); remove it and scan again (`echo 1 >{place}/remove; echo 1 \
                     >/sys/bus/pci/rescan` as root)"
                ),
                io::ErrorKind::NotConnected,
            ));
        }
        if !function
            .begins_page(registers::page_size())
            .map_err(refused)?
        {
            return Err(Refusal::new(
                ErrorKind::Unsupported,
                "its registers do not begin a page of this kernel's; load the driver (`sudo modprobe my_rng`)",
                io::ErrorKind::Unsupported,
            ));
        }
        let registers = Registers::map(&claim.file, is_writable).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::EPERM) => Refusal::new(
                    ErrorKind::PermissionDenied,
                    "the kernel is locked down (Secure Boot) and lets only drivers use devices; load the driver \
                     (`sudo modprobe my_rng`)",
                    source,
                ),
                _ => refused(source),
            }
        })?;
        let info = || registers.read(Register::Info);
        let identity = Identity::new(info(), info());
        Ok(Self {
            registers,
            identity,
            claim,
        })
    }

    /// The name with the device's address.
    pub fn name(&self) -> PathBuf {
        self.claim.function.name()
    }

    pub fn file(&self) -> &File {
        &self.claim.file
    }

    pub fn info(&self) -> Info {
        Info {
            node: self.name(),
            device: self.claim.function.address(),
            driver: None,
            generator: self.identity.generator(),
            hwrng: false,
            // Only a driver can use the engine.
            bulk: Some(false),
            words: None,
            seeds: None,
        }
    }

    /// Reads numbers, as the driver's `read()` does: short if the device fails after a part.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        for block in buffer.chunks_mut(BLOCK) {
            match self.read_block(block) {
                Ok(()) => length += block.len(),
                Err(error) if length == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(length)
    }

    /// Takes the next number.
    pub fn rand(&self) -> io::Result<u32> {
        let mut word = [0; abi::REG_SIZE];
        self.read_block(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Restarts the stream. Does nothing if the generator takes no seed.
    pub fn seed(&self, seed: u32) -> io::Result<()> {
        // The host's entropy takes no seed: the device would log a guest error.
        if self.identity.generator() != Generator::Host {
            self.registers.write(Register::Seed, seed)?;
        }
        // Writes to a missing device are lost silently.
        self.check()
    }

    /// Fills a block with numbers. Fails with `EIO` if the host had no entropy for one of them.
    fn read_block(&self, block: &mut [u8]) -> io::Result<()> {
        // A failed read returns 0, which can also be a number. Only a changed count shows a failure.
        let failures = || {
            let can_fail = self.identity.can_fail();
            can_fail.then(|| self.registers.read(Register::Failures))
        };
        let before = failures();
        let mut is_suspicious = false;
        for chunk in block.chunks_mut(abi::REG_SIZE) {
            let number = self.registers.read(Register::Rng);
            // An empty bus returns these, but a generator can, too.
            is_suspicious |= number == 0 || number == u32::MAX;
            for (to, from) in chunk.iter_mut().zip(number.to_le_bytes()) {
                *to = from;
            }
        }
        let has_failed = failures() != before;
        if is_suspicious || has_failed {
            self.check()?;
        }
        if has_failed {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }

    /// Fails with `ENODEV` if the device is gone.
    fn check(&self) -> io::Result<()> {
        let is_present = match self.identity.0 {
            Some(info) => self.registers.read(Register::Info) == info,
            None => self.claim.function.answers(),
        };
        if !is_present {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        Ok(())
    }
}

/// Why a device cannot be opened.
struct Refusal {
    kind: ErrorKind,
    advice: String,
    source: io::Error,
}

impl Refusal {
    fn new(kind: ErrorKind, advice: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self {
            kind,
            advice: advice.into(),
            source: source.into(),
        }
    }

    fn into_error(self, name: &Path) -> Error {
        Error::with_advice(Operation::Open, name, self.kind, self.advice, self.source)
    }
}

/// A driver is bound to the device.
fn bound(function: &Function, source: io::Error) -> Refusal {
    let driver = function.driver().unwrap_or_else(|| "?".to_owned());
    let address = function.address();
    let remedy = match function.node() {
        Some(node) => format!("use its node, {}", node.display()),
        None => {
            format!("unbind it as root (`echo {address} >/sys/bus/pci/drivers/{driver}/unbind`)")
        }
    };
    let advice = format!("the driver {driver} uses the device; {remedy}");
    Refusal::new(ErrorKind::Busy, advice, source)
}

/// Finds the device with this address, or the first that no driver is bound to.
fn find(address: Option<&str>, sysfs: &Path) -> Result<Function, Refusal> {
    let functions = Function::list(sysfs).unwrap_or_default();
    let not_found = |advice| Refusal::new(ErrorKind::NotFound, advice, io::ErrorKind::NotFound);
    let Some(first) = functions.first() else {
        let advice = "this machine has no my_rng device; start QEMU with `-device my_rng`";
        return Err(not_found(advice.to_owned()));
    };
    let Some(address) = address else {
        let free = functions
            .iter()
            .find(|function| function.driver().is_none());
        // If they all have a driver, this one will be refused.
        return Ok(free.unwrap_or(first).clone());
    };
    // As lspci prints it, without the domain.
    let short = format!("0000:{address}");
    let has_address = |function: &&Function| [address, &short].contains(&&*function.address());
    let found = functions.iter().find(has_address).cloned();
    found.ok_or_else(|| {
        let name = first.name();
        not_found(format!(
            "no my_rng device has this address; the first is {}",
            name.display()
        ))
    })
}

#[cfg(test)]
mod tests;
