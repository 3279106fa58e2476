// SPDX-License-Identifier: GPL-2.0-or-later

//! Which accelerator runs the guest.
//!
//! That `/dev/kvm` can be opened says little: there are machines on which no guest gets anywhere
//! on it. So KVM is believed in only after a guest has run on it: the built kernel, told to start
//! an init that does not exist, panics within a second or two and reboots, which ends QEMU. The
//! verdict is kept until the host reboots or another QEMU is used: it is about the host, so what is
//! built anew at the same place need not prove it again.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::Error;
use crate::kernel::shows_panic;
use crate::qemu::{BASICS, Foreground, Process, option_value};
use crate::signals::Interrupt;

/// How long a guest may take to prove that KVM works; one on a working KVM takes about a second.
pub const PROBE_LIMIT: Duration = Duration::from_secs(6);

/// Which accelerator is wished for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM if a guest gets through on it, else TCG.
    #[default]
    Auto,
    /// KVM, come what may.
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
            _ => Err(format!("'{text}' is none of auto, kvm and tcg")),
        }
    }
}

impl Accel {
    /// The wish that the environment variable `ACCEL` states.
    pub fn from_env() -> Result<Self, Error> {
        match env::var("ACCEL") {
            Ok(value) if !value.is_empty() => value
                .parse()
                .map_err(|error| Error::Host(format!("ACCEL is wrong: {error}"))),
            Err(env::VarError::NotUnicode(_)) => {
                Err(Error::Host("ACCEL is none of auto, kvm and tcg".into()))
            }
            _ => Ok(Self::Auto),
        }
    }
}

/// The accelerators that QEMU is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The host's virtualization.
    Kvm,
    /// QEMU's own translation, which works everywhere.
    Tcg,
}

impl Chosen {
    /// The options that ask QEMU for it.
    pub fn args(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // The flags tell the guest that "rep movsb" and its like are fast. Under TCG, which does
            // them byte by byte, the kernel's own loops copy several times faster.
            Self::Tcg => ["-accel", "tcg", "-cpu", "max,erms=off,fsrm=off,fsrs=off"],
        }
    }
}

/// What a probe needs to know.
#[derive(Debug)]
pub(crate) struct Prober<'a> {
    pub qemu: &'a Path,
    pub kernel: &'a Path,
    /// The device that KVM is used through.
    pub kvm: &'a Path,
    /// The file that verdicts are kept in, if anywhere.
    pub verdicts: Option<PathBuf>,
    pub limit: Duration,
}

/// The file that verdicts are kept in.
pub(crate) fn verdicts_file() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .filter(|path| path.is_absolute())
        .map(|path| path.join("my_rng").join("accel"))
}

impl Prober<'_> {
    /// Settles which accelerator to use. An interrupt stops it.
    pub fn choose(&self, accel: Accel, interrupt: &Interrupt) -> Result<Chosen, Error> {
        match accel {
            Accel::Kvm => return Ok(Chosen::Kvm),
            Accel::Tcg => return Ok(Chosen::Tcg),
            Accel::Auto => {}
        }
        let openable = File::options().read(true).write(true).open(self.kvm);
        if openable.is_err() {
            return Ok(Chosen::Tcg);
        }
        let key = self.key();
        if let Some(verdict) = key.as_deref().and_then(|key| self.remembered(key)) {
            return Ok(verdict);
        }
        let verdict = if self.guest_runs(interrupt)? {
            Chosen::Kvm
        } else {
            Chosen::Tcg
        };
        if let Some(key) = key {
            // Not being able to keep it costs only time.
            let _ = self.remember(&key, verdict);
        }
        Ok(verdict)
    }

    /// Whether a guest gets through on KVM.
    fn guest_runs(&self, interrupt: &Interrupt) -> Result<bool, Error> {
        let host = |error: io::Error| Error::Host(format!("cannot probe for KVM: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("my-rng-probe-")
            .tempdir()
            .map_err(host)?;
        let console = folder.path().join("console");
        let log = File::create_new(folder.path().join("messages")).map_err(host)?;

        let mut args: Vec<OsString> = BASICS.map(OsString::from).into();
        args.extend(Chosen::Kvm.args().map(OsString::from));
        args.extend(["-m", "128M", "-append"].map(OsString::from));
        args.push("console=ttyS0 panic=-1 quiet rdinit=/nonexistent".into());
        args.extend(["-kernel".into(), self.kernel.into()]);
        let mut file = OsString::from("file,id=console,path=");
        file.push(option_value(console.as_os_str()));
        args.extend(["-chardev".into(), file]);
        args.extend(["-serial", "chardev:console"].map(OsString::from));

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
        // A guest that crashes at once also ends QEMU, so ask for the panic that was meant.
        let ended_well = process
            .wait(self.limit)
            .is_some_and(|status| status.success());
        Ok(ended_well && shows_panic(&fs::read(&console).unwrap_or_default()))
    }

    /// What a verdict holds for: this boot of the host, and the QEMU at this path.
    fn key(&self) -> Option<String> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let qemu = fs::canonicalize(self.qemu).ok()?;
        // One with a line break cannot be kept in a line.
        let qemu = qemu.to_str().filter(|path| !path.contains('\n'))?;
        Some(format!("{}\t{qemu}", boot.trim()))
    }

    fn remembered(&self, key: &str) -> Option<Chosen> {
        let text = fs::read_to_string(self.verdicts.as_ref()?).ok()?;
        text.lines().find_map(|line| match line.split_once('\t')? {
            ("kvm", rest) if rest == key => Some(Chosen::Kvm),
            ("tcg", rest) if rest == key => Some(Chosen::Tcg),
            _ => None,
        })
    }

    /// Adds a verdict to those of the same boot, of which the latest few are kept.
    fn remember(&self, key: &str, verdict: Chosen) -> io::Result<()> {
        const KEPT: usize = 16;
        let Some(verdicts) = &self.verdicts else {
            return Ok(());
        };
        let Some(folder) = verdicts.parent() else {
            return Ok(());
        };
        fs::create_dir_all(folder)?;
        let old = fs::read_to_string(verdicts).unwrap_or_default();
        let boot = key.split('\t').next().unwrap_or_default();
        let word = match verdict {
            Chosen::Kvm => "kvm",
            Chosen::Tcg => "tcg",
        };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{word}\t{key}")?;
        let same_boot = old
            .lines()
            .filter(|line| line.split('\t').nth(1) == Some(boot));
        for line in same_boot.take(KEPT - 1) {
            writeln!(file, "{line}")?;
        }
        file.persist(verdicts)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        /// A place with a stand-in for QEMU that does what the script says.
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let kernel = format!("echo >> {}/runs\n{script}\n", folder.path().display());
            fs::write(folder.path().join("kernel"), kernel).unwrap();
            fs::write(folder.path().join("kvm"), "").unwrap();
            Self { folder }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn choose(&self, accel: Accel, limit: Duration) -> Result<Chosen, Error> {
            let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
            self.choose_with(&qemu, accel, limit, &Interrupt::default())
        }

        fn choose_with(
            &self,
            qemu: &Path,
            accel: Accel,
            limit: Duration,
            interrupt: &Interrupt,
        ) -> Result<Chosen, Error> {
            Prober {
                qemu,
                kernel: &self.path("kernel"),
                kvm: &self.path("kvm"),
                verdicts: Some(self.path("cache/my_rng/accel")),
                limit,
            }
            .choose(accel, interrupt)
        }

        fn runs(&self) -> usize {
            fs::read_to_string(self.path("runs")).map_or(0, |text| text.lines().count())
        }
    }

    const LONG: Duration = Duration::from_secs(60);
    const PANICS: &str =
        r#"echo "[0.1] Kernel panic - not syncing: No working init found." > "$console""#;

    #[test]
    fn a_guest_that_runs_through_means_kvm_and_is_remembered() {
        let place = Place::new(PANICS);
        assert_eq!(place.choose(Accel::Auto, LONG).unwrap(), Chosen::Kvm);
        assert_eq!(place.choose(Accel::Auto, LONG).unwrap(), Chosen::Kvm);
        assert_eq!(place.runs(), 1);
        // A kernel built anew need not prove it again, another QEMU has to.
        let kernel = fs::read_to_string(place.path("kernel")).unwrap();
        fs::write(place.path("kernel"), kernel + "# another\n").unwrap();
        assert_eq!(place.choose(Accel::Auto, LONG).unwrap(), Chosen::Kvm);
        assert_eq!(place.runs(), 1);
        let other = Path::new("/bin/true");
        let interrupt = Interrupt::default();
        assert_eq!(
            place
                .choose_with(other, Accel::Auto, LONG, &interrupt)
                .unwrap(),
            Chosen::Tcg
        );
        let kept = fs::read_to_string(place.path("cache/my_rng/accel")).unwrap();
        assert_eq!(kept.lines().count(), 2);
    }

    #[test]
    fn a_guest_that_hangs_means_tcg_and_is_remembered() {
        let place = Place::new("sleep 1000 & wait");
        // Long enough for the stand-in to be started on a busy machine.
        let short = Duration::from_secs(5);
        assert_eq!(place.choose(Accel::Auto, short).unwrap(), Chosen::Tcg);
        assert_eq!(place.choose(Accel::Auto, short).unwrap(), Chosen::Tcg);
        assert_eq!(place.runs(), 1);
    }

    #[test]
    fn a_qemu_that_refuses_or_a_guest_that_crashes_means_tcg() {
        for script in ["exit 1", "exit 0", &format!("{PANICS}\nexit 1")] {
            let place = Place::new(script);
            assert_eq!(place.choose(Accel::Auto, LONG).unwrap(), Chosen::Tcg);
        }
    }

    #[test]
    fn without_the_device_nothing_is_tried() {
        let place = Place::new(PANICS);
        fs::remove_file(place.path("kvm")).unwrap();
        assert_eq!(place.choose(Accel::Auto, LONG).unwrap(), Chosen::Tcg);
        assert_eq!(place.runs(), 0);
    }

    #[test]
    fn a_wish_is_not_probed() {
        let place = Place::new(PANICS);
        assert_eq!(place.choose(Accel::Kvm, LONG).unwrap(), Chosen::Kvm);
        assert_eq!(place.choose(Accel::Tcg, LONG).unwrap(), Chosen::Tcg);
        assert_eq!(place.runs(), 0);
    }

    #[test]
    fn an_interrupt_stops_the_probe_and_leaves_no_verdict() {
        let place = Place::new("sleep 1000 & wait");
        let qemu = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/qemu");
        let interrupt = Interrupt::default();
        let (run, events) = channel();
        interrupt.subscribe(move |signal| run.send(signal).is_ok());
        interrupt.raise(2);
        let result = place.choose_with(&qemu, Accel::Auto, LONG, &interrupt);
        assert!(matches!(result, Err(Error::Interrupted(2))));
        assert!(!place.path("cache/my_rng/accel").exists());
        // The run hears of the interrupt too, and of nothing else.
        assert_eq!(events.try_recv(), Ok(2));
        assert!(events.try_recv().is_err());
    }
}
