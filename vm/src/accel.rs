// SPDX-License-Identifier: GPL-2.0-or-later

//! Which accelerator runs the guest.
//!
//! On some hosts `/dev/kvm` can be opened but no guest runs on it. So a guest has to prove that KVM
//! works: the built kernel, told to start an init that does not exist, panics and reboots within a
//! second or two, which ends QEMU. Without a kernel, only the firmware has to start and reboot. That
//! proves less: firmware never enters 64-bit mode. Where no firmware reboots by itself, nothing is proven.
//!
//! KVM runs only guests of the host's architecture.
//!
//! The verdict of a probe with a kernel is kept until the host reboots. It holds for any kernel, but
//! only for this QEMU.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::arch::Arch;
use crate::kernel::shows_panic;
use crate::qemu::{BASICS, Foreground, Process, option_value};
use crate::signals::Interrupt;

/// How long the guest of the probe may take. On a working KVM it takes about a second.
const PROBE_LIMIT: Duration = Duration::from_secs(6);

/// The accelerator that the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM if a guest runs on it, else TCG.
    #[default]
    Auto,
    /// KVM, without a probe.
    Kvm,
    /// QEMU's own translation.
    Tcg,
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            _ => Err(format!("'{text}' is not one of auto, kvm and tcg")),
        }
    }
}

impl Accel {
    /// The wish in the environment variable `ACCEL`.
    pub fn from_env() -> Result<Self, Error> {
        env::var_os("ACCEL")
            .filter(|value| !value.is_empty())
            .map_or(Ok(Self::Auto), |value| value.to_string_lossy().parse())
            .map_err(|error| Error::Host(format!("ACCEL is wrong: {error}")))
    }
}

/// The accelerator that QEMU uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The host's virtualization.
    Kvm,
    /// QEMU's own translation, which works everywhere.
    Tcg,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

impl Chosen {
    /// QEMU's arguments for it.
    pub fn args(self, arch: Arch) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg", "-cpu", arch.needs().cpu],
        }
    }
}

/// The choice between KVM and TCG for a QEMU.
#[derive(Debug)]
pub(crate) struct Prober<'a> {
    arch: Arch,
    qemu: &'a Path,
    kernel: Option<&'a Path>,
    /// The device that KVM is used through.
    kvm: PathBuf,
    /// The file that verdicts are kept in.
    verdicts: Option<PathBuf>,
    limit: Duration,
}

/// What a probe with a kernel has found.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    /// The boot of the host.
    boot: String,
    qemu: PathBuf,
    kvm: bool,
}

impl<'a> Prober<'a> {
    pub fn new(arch: Arch, qemu: &'a Path, kernel: Option<&'a Path>) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
            .filter(|path| path.is_absolute());
        Self {
            arch,
            qemu,
            kernel,
            // The variable is for tests.
            kvm: set("MY_RNG_KVM").map_or("/dev/kvm".into(), PathBuf::from),
            verdicts: cache.map(|cache| cache.join("my_rng/accel")),
            limit: PROBE_LIMIT,
        }
    }

    /// Chooses. An interrupt stops the probe.
    pub fn choose(&self, accel: Accel, interrupt: &Interrupt) -> Result<Chosen, Error> {
        let is_the_hosts = self.arch.is_the_hosts();
        let works = match accel {
            Accel::Kvm if !is_the_hosts => {
                return Err(Error::Host(format!(
                    "KVM runs no {} guest on this host: choose tcg or auto",
                    self.arch
                )));
            }
            Accel::Auto if !is_the_hosts => false,
            Accel::Kvm => true,
            Accel::Tcg => false,
            Accel::Auto => self.kvm_works(interrupt)?,
        };
        Ok(if works { Chosen::Kvm } else { Chosen::Tcg })
    }

    fn kvm_works(&self, interrupt: &Interrupt) -> Result<bool, Error> {
        let opened = File::options().read(true).write(true).open(&self.kvm);
        if opened.is_err() {
            return Ok(false);
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let qemu = fs::canonicalize(self.qemu).unwrap_or_default();
        let mut verdicts = self.remembered();
        verdicts.retain(|verdict| verdict.boot == boot);
        if let Some(verdict) = verdicts.iter().find(|verdict| verdict.qemu == qemu) {
            return Ok(verdict.kvm);
        }
        let kvm = self.guest_runs(interrupt)?;
        if self.kernel.is_some() && !boot.is_empty() {
            verdicts.insert(0, Verdict { boot, qemu, kvm });
            verdicts.truncate(16);
            // If this fails, the next run probes again.
            let _ = self.remember(&verdicts);
        }
        Ok(kvm)
    }

    /// Whether a guest runs on KVM.
    fn guest_runs(&self, interrupt: &Interrupt) -> Result<bool, Error> {
        let host = |error: io::Error| Error::Host(format!("cannot probe for KVM: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("my-rng-probe-")
            .tempdir()
            .map_err(host)?;
        let console = folder.path().join("console");
        let log = File::create_new(folder.path().join("messages")).map_err(host)?;

        let mut args: Vec<OsString> = BASICS.map(OsString::from).into();
        let needs = self.arch.needs();
        args.extend(["-machine", self.arch.machine()].map(OsString::from));
        args.extend(Chosen::Kvm.args(self.arch).map(OsString::from));
        match (self.kernel, needs.firmware_reboots) {
            (Some(kernel), _) => {
                args.extend(["-m", "128M", "-append"].map(OsString::from));
                args.push(format!("{} quiet rdinit=/nonexistent", needs.kernel).into());
                args.extend(["-kernel".into(), kernel.into()]);
                let mut file = OsString::from("file,id=console,path=");
                file.push(option_value(console.as_os_str()));
                args.extend(["-chardev".into(), file]);
                args.extend(["-serial", "chardev:console"].map(OsString::from));
            }
            (None, Some(option)) => args.extend(option.map(OsString::from)),
            (None, None) => return Ok(false),
        }

        let mut process = Process::start(self.qemu, &args, &log, Foreground::Launcher)?;
        let (interrupted, events) = channel();
        let ended = interrupted.clone();
        interrupt.subscribe(move |signal| interrupted.send(Some(signal)).is_ok());
        process.when_ended(move || {
            let _ = ended.send(None);
        });
        match events.recv_timeout(self.limit) {
            Ok(None) => {}
            Ok(Some(signal)) => return Err(Error::Interrupted(signal)),
            Err(_) => return Ok(false),
        }
        let status = process.wait(self.limit);
        // A kernel that crashes early also ends QEMU, so the panic must be the wanted one.
        let got_far = self.kernel.is_none() || shows_panic(&fs::read(&console).unwrap_or_default());
        Ok(got_far && status.is_some_and(|status| status.success()))
    }

    fn remembered(&self) -> Vec<Verdict> {
        let bytes = self.verdicts.as_ref().and_then(|path| fs::read(path).ok());
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn remember(&self, verdicts: &[Verdict]) -> io::Result<()> {
        let Some(path) = &self.verdicts else {
            return Ok(());
        };
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&file, verdicts)?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::other_arch;

    /// A stand-in for QEMU, which does what the script says, and one for `/dev/kvm`.
    struct Place(tempfile::TempDir);

    const PANICS: &str =
        r#"echo "[0.1] Kernel panic - not syncing: No working init found." > "$console""#;

    impl Place {
        fn new(script: &str) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            let script = format!("echo >> {}\n{script}\n", place.path("runs").display());
            fs::write(place.path("kernel"), script).unwrap();
            fs::write(place.path("kvm"), "").unwrap();
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn choose(&self, accel: Accel) -> Chosen {
            self.choose_with(accel, &Interrupt::default(), |_| {})
                .unwrap()
        }

        /// Changes the prober before it chooses.
        fn choose_with(
            &self,
            accel: Accel,
            interrupt: &Interrupt,
            change: fn(&mut Prober<'_>),
        ) -> Result<Chosen, Error> {
            let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
            let mut prober = Prober {
                arch: Arch::host().unwrap(),
                qemu: &qemu,
                kernel: Some(&self.path("kernel")),
                kvm: self.path("kvm"),
                verdicts: Some(self.path("cache/my_rng/accel")),
                limit: Duration::from_secs(60),
            };
            change(&mut prober);
            prober.choose(accel, interrupt)
        }

        fn runs(&self) -> usize {
            fs::read_to_string(self.path("runs")).map_or(0, |text| text.lines().count())
        }
    }

    #[test]
    fn guest_that_boots_means_kvm_and_is_remembered() {
        let place = Place::new(PANICS);
        assert_eq!(place.choose(Accel::Auto), Chosen::Kvm);
        assert_eq!(place.choose(Accel::Auto), Chosen::Kvm);
        assert_eq!(place.runs(), 1);
        // It holds for another kernel, but not for another QEMU.
        fs::write(place.path("kernel"), "exit 1").unwrap();
        assert_eq!(place.choose(Accel::Auto), Chosen::Kvm);
        let chosen = place.choose_with(Accel::Auto, &Interrupt::default(), |prober| {
            prober.qemu = Path::new("/bin/true");
        });
        assert_eq!(chosen.unwrap(), Chosen::Tcg);
        let kept = fs::read_to_string(place.path("cache/my_rng/accel")).unwrap();
        assert_eq!(kept.matches("boot").count(), 2);
        // A damaged file, or a verdict of another boot, is no verdict.
        let other_boot = kept.replace("\"boot\":\"", "\"boot\":\"x");
        for content in ["[", &other_boot] {
            fs::write(place.path("cache/my_rng/accel"), content).unwrap();
            assert_eq!(place.choose(Accel::Auto), Chosen::Tcg);
        }
    }

    #[test]
    fn guest_that_hangs_means_tcg_and_is_remembered() {
        let place = Place::new("sleep 1000 & wait");
        for _ in 0..2 {
            let chosen = place.choose_with(Accel::Auto, &Interrupt::default(), |prober| {
                // Long enough for the stand-in to be started on a busy machine.
                prober.limit = Duration::from_secs(5);
            });
            assert_eq!(chosen.unwrap(), Chosen::Tcg);
        }
        assert_eq!(place.runs(), 1);
    }

    #[test]
    fn qemu_that_refuses_or_guest_that_crashes_means_tcg() {
        for script in ["exit 1", "exit 0", &format!("{PANICS}\nexit 1")] {
            assert_eq!(Place::new(script).choose(Accel::Auto), Chosen::Tcg);
        }
    }

    #[test]
    fn without_a_kernel_the_firmware_is_tried_and_not_remembered() {
        let firmware_proves = match Arch::host().unwrap().needs().firmware_reboots {
            Some(_) => Chosen::Kvm,
            None => Chosen::Tcg,
        };
        let place = Place::new("");
        let firmware = |change| {
            let chosen = place.choose_with(Accel::Auto, &Interrupt::default(), change);
            chosen.unwrap()
        };
        let works = firmware(|prober| {
            (prober.qemu, prober.kernel) = (Path::new("/bin/true"), None);
        });
        let fails = firmware(|prober| {
            (prober.qemu, prober.kernel) = (Path::new("/bin/false"), None);
        });
        assert_eq!((works, fails), (firmware_proves, Chosen::Tcg));
        assert!(!place.path("cache").exists());
    }

    #[test]
    fn kvm_runs_no_guest_of_another_architecture() {
        let place = Place::new(PANICS);
        let choose = |accel| {
            place.choose_with(accel, &Interrupt::default(), |prober| {
                prober.arch = other_arch();
            })
        };
        assert_eq!(choose(Accel::Auto).unwrap(), Chosen::Tcg);
        assert_eq!(choose(Accel::Tcg).unwrap(), Chosen::Tcg);
        let refused = choose(Accel::Kvm).unwrap_err().to_string();
        assert!(refused.ends_with("choose tcg or auto"), "{refused}");
        assert_eq!(place.runs(), 0);
    }

    #[test]
    fn nothing_is_tried_without_the_device_or_for_a_wish() {
        let place = Place::new(PANICS);
        assert_eq!(place.choose(Accel::Kvm), Chosen::Kvm);
        assert_eq!(place.choose(Accel::Tcg), Chosen::Tcg);
        fs::remove_file(place.path("kvm")).unwrap();
        assert_eq!(place.choose(Accel::Auto), Chosen::Tcg);
        assert_eq!(place.runs(), 0);
    }

    #[test]
    fn interrupt_stops_the_probe_and_leaves_no_verdict() {
        let place = Place::new("sleep 1000 & wait");
        let interrupt = Interrupt::default();
        let (run, heard) = channel();
        interrupt.subscribe(move |signal| run.send(signal).is_ok());
        interrupt.raise(2);
        let result = place.choose_with(Accel::Auto, &interrupt, |_| {});
        assert!(matches!(result, Err(Error::Interrupted(2))));
        assert!(!place.path("cache/my_rng/accel").exists());
        // Others hear of the interrupt, too.
        assert_eq!(heard.try_recv(), Ok(2));
    }
}
