// SPDX-License-Identifier: GPL-2.0-or-later

//! The results: series of samples by name, and why a series was not measured.
//!
//! | name | unit | |
//! | --- | --- | --- |
//! | `mmio.WHAT`, `ioctl.WHAT.LANGUAGE` | ns | one access, one call: the mean of many |
//! | the same, and `.p50` or `.p99` | ns | calls timed one by one: the median, the 99th percentile |
//! | `inline.ioctl.WHAT.LANGUAGE` | ns | the same in a kernel that inlines its C helpers into Rust code |
//! | `clock.p50`, `clock.p99` | ns | the same of nothing: what the clock itself costs |
//! | `beside.GENERATOR.p50`, `.p99` | ns | the same of a register read, while another device is filled |
//! | `read.SOURCE.SIZE`, `fill.GENERATOR.SIZE` | MB/s | reads, and fills of the mapped buffer, of so many bytes |
//! | `beside.GENERATOR.fill` | MB/s | how fast the other device is filled meanwhile |
//! | `native.GENERATOR` | MB/s | the generator on the host |
//! | `readers.HOW.SIZE.KIND.COUNT.total` | MB/s | so many readers, all together |
//! | `readers.HOW.SIZE.KIND.COUNT.first` | MB/s | the first of them |
//! | `readers.HOW.SIZE.KIND.COUNT.even` | | the slowest of them / the fastest |
//! | `realize.DEVICE.COUNT` | µs | making so many devices |
//! | `time.WHAT` | s | |
//!
//! The KIND of readers is `own` if each has its own device, and else the generator of the one device. `.off` behind it,
//! or behind the generator, means devices with `parallel=off`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::stats::{Summary, ratios};

/// All results of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// The samples.
    pub series: BTreeMap<String, Vec<f64>>,
    /// Why a series was not measured.
    pub absent: BTreeMap<String, String>,
    /// Notes on a series.
    pub notes: BTreeMap<String, String>,
    /// The description of the machine.
    pub machine: BTreeMap<String, String>,
}

/// A line that the guest prints.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Sample {
        name: String,
        count: u64,
        bytes: u64,
        ns: u64,
    },
    /// Calls that were timed one by one.
    Singles {
        name: String,
        p50: u64,
        p99: u64,
    },
    /// The bytes and the time of each reader.
    Readers {
        name: String,
        each: Vec<(u64, u64)>,
    },
    Guest {
        kernel: String,
        machine: String,
        clock: String,
    },
    Idle,
}

/// What the host has to do after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the next line.
    Listen,
    /// Measure, and then answer: the guest waits.
    Measure,
}

impl Results {
    /// Adds a sample to a series.
    pub fn add(&mut self, name: &str, sample: f64) {
        self.series.entry(name.to_owned()).or_default().push(sample);
    }

    /// Adds what a line of the guest says.
    pub fn guest_says(&mut self, line: &str) -> Result<Next, Error> {
        let unknown = || format!("the guest printed a line of unknown format: {line}");
        match serde_json::from_str(line).map_err(|_| unknown())? {
            Line::Sample {
                name,
                count,
                bytes,
                ns,
            } => {
                let sample = match bytes {
                    0 => ns as f64 / count as f64,
                    _ => megabytes_per_second(bytes * count, ns),
                };
                self.add(&name, sample);
            }
            Line::Singles { name, p50, p99 } => {
                self.add(&format!("{name}.p50"), p50 as f64);
                self.add(&format!("{name}.p99"), p99 as f64);
            }
            Line::Readers { name, each } => {
                let rates: Vec<_> = each
                    .iter()
                    .map(|(bytes, ns)| megabytes_per_second(*bytes, *ns))
                    .collect();
                let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
                let most = rates.iter().copied().fold(0.0, f64::max);
                self.add(&format!("{name}.total"), rates.iter().sum());
                self.add(
                    &format!("{name}.first"),
                    *rates.first().ok_or_else(unknown)?,
                );
                self.add(&format!("{name}.even"), least / most);
            }
            Line::Guest {
                kernel,
                machine,
                clock,
            } => self.machine.extend(
                [
                    ("guest", format!("Linux {kernel}, {machine}")),
                    ("guest clock", clock),
                ]
                .map(|(key, value)| (key.to_owned(), value)),
            ),
            Line::Idle => return Ok(Next::Measure),
        }
        Ok(Next::Listen)
    }

    /// Adds the calls that were measured in a kernel that inlines its C helpers into Rust code.
    pub fn add_inline(&mut self, other: Self) {
        let calls = other.series.into_iter();
        let calls = calls.filter(|(name, _)| name.starts_with("ioctl."));
        self.series
            .extend(calls.map(|(name, samples)| (format!("inline.{name}"), samples)));
    }

    /// Adds what the shell script has measured: lines of `NAME SECONDS [NOTE]`, or `NAME - WHY`.
    pub fn times(&mut self, text: &str) -> Result<(), Error> {
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let name = format!("time.{}", words.next().unwrap_or_default());
            let seconds = words.next().unwrap_or_default();
            let note = words.next().map(str::to_owned);
            if seconds == "-" {
                self.absent.insert(name, note.unwrap_or_default());
                continue;
            }
            let seconds = seconds
                .parse()
                .map_err(|_| format!("not a line of NAME SECONDS: {line}"))?;
            self.add(&name, seconds);
            if let Some(note) = note {
                self.notes.insert(name, note);
            }
        }
        Ok(())
    }

    /// The summary of a series, if it was measured.
    pub fn summary(&self, name: &str) -> Option<Summary> {
        Summary::of(self.series.get(name)?)
    }

    /// The ratio of two series, round by round.
    pub fn ratio(&self, of: &str, to: &str) -> Option<Summary> {
        Summary::of(&ratios(self.series.get(of)?, self.series.get(to)?)?)
    }

    /// Why there is no such series.
    pub fn why_absent(&self, name: &str) -> &str {
        self.absent.get(name).map_or("not measured", String::as_str)
    }

    /// All results, for programs.
    pub fn json(&self) -> Value {
        let series: Map<_, _> = self
            .series
            .iter()
            .map(|(name, samples)| {
                let summary = Summary::of(samples);
                let value = json!({
                    "unit": unit(name),
                    "median": summary.map(|summary| summary.median),
                    "quartiles": summary.map(|summary| [summary.low, summary.high]),
                    "interval": summary.and_then(|summary| summary.interval),
                    "samples": samples,
                });
                (name.clone(), value)
            })
            .collect();
        json!({
            "machine": self.machine,
            "series": series,
            "notes": self.notes,
            "absent": self.absent,
        })
    }
}

fn megabytes_per_second(bytes: u64, ns: u64) -> f64 {
    bytes as f64 / ns as f64 * 1000.0
}

/// The unit of a series.
pub fn unit(name: &str) -> &'static str {
    match name.split('.').next() {
        _ if name.ends_with(".fill") => "MB/s",
        Some("mmio" | "ioctl" | "inline" | "clock" | "beside") => "ns",
        Some("realize") => "µs",
        Some("time") => "s",
        _ if name.ends_with(".even") => "",
        _ => "MB/s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_guest_are_read() {
        let mut results = Results::default();
        for line in [
            r#"{"kind":"sample","name":"mmio.rng","count":200,"bytes":0,"ns":30000}"#,
            r#"{"kind":"sample","name":"read.zero.64","count":100,"bytes":64,"ns":3200}"#,
            r#"{"kind":"singles","name":"mmio.rng","p50":240,"p99":900}"#,
            r#"{"kind":"readers","name":"readers.read.65536.own.2","each":[[300,100],[100,100]]}"#,
            r#"{"kind":"guest","kernel":"7.3.4","machine":"x86_64","clock":"tsc"}"#,
        ] {
            assert_eq!(results.guest_says(line).unwrap(), Next::Listen, "{line}");
        }
        assert_eq!(
            results.guest_says(r#"{"kind":"idle"}"#).unwrap(),
            Next::Measure
        );
        let median = |name: &str| results.summary(name).unwrap().median;
        assert_eq!(median("mmio.rng"), 150.0);
        assert_eq!(median("read.zero.64"), 2000.0);
        assert_eq!(median("mmio.rng.p50"), 240.0);
        assert_eq!(median("mmio.rng.p99"), 900.0);
        let readers = "readers.read.65536.own.2";
        assert_eq!(median(&format!("{readers}.total")), 4000.0);
        assert_eq!(median(&format!("{readers}.first")), 3000.0);
        assert_eq!(median(&format!("{readers}.even")), 1.0 / 3.0);
        assert_eq!(results.why_absent("fill.host.4096"), "not measured");
        assert_eq!(results.machine["guest"], "Linux 7.3.4, x86_64");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "Segmentation fault",
            "{}",
            r#"{"kind":"sample","name":"mmio.rng","count":200,"bytes":0}"#,
            r#"{"kind":"sample","name":"mmio.rng","count":200,"bytes":0,"ns":-1}"#,
            r#"{"kind":"readers","name":"readers.read.65536.own.2","each":[[300],[100,100]]}"#,
            r#"{"kind":"readers","name":"readers.read.65536.own.2","each":[]}"#,
        ] {
            let error = Results::default().guest_says(line).unwrap_err();
            assert!(error.to_string().ends_with(line), "{error}");
        }
    }

    #[test]
    fn times_of_the_script_are_read() {
        let mut results = Results::default();
        results
            .times("boot 1.5\nboot 2.5\nfresh 9 long ago\nedit - not measured (QUICK=1)\n")
            .unwrap();
        assert_eq!(results.summary("time.boot").unwrap().median, 2.0);
        assert_eq!(results.notes["time.fresh"], "long ago");
        assert_eq!(results.why_absent("time.edit"), "not measured (QUICK=1)");
        assert!(results.times("boot soon").is_err());
    }

    #[test]
    fn calls_in_the_other_kernel_have_series_of_their_own() {
        let mut other = Results::default();
        other.add("ioctl.rand.rust.p99", 900.0);
        other.add("native.chacha8", 1.0);
        let mut results = Results::default();
        results.add("ioctl.rand.rust.p99", 1000.0);
        results.add_inline(other);
        assert_eq!(results.series["inline.ioctl.rand.rust.p99"], [900.0]);
        assert_eq!(results.series["ioctl.rand.rust.p99"], [1000.0]);
        assert_eq!(results.series.len(), 2);
        assert_eq!(unit("inline.ioctl.rand.rust"), "ns");
    }

    #[test]
    fn the_json_has_all_samples() {
        let mut results = Results::default();
        results.add("mmio.rng", 100.0);
        let json = results.json();
        assert_eq!(json["series"]["mmio.rng"]["median"], 100.0);
        assert_eq!(json["series"]["mmio.rng"]["unit"], "ns");
        assert_eq!(json["series"]["mmio.rng"]["samples"][0], 100.0);
    }
}
