// SPDX-License-Identifier: GPL-2.0-or-later

//! All that was measured: series of samples by name, and what could not be measured, and why.
//!
//! | name | unit | |
//! | --- | --- | --- |
//! | `mmio.WHAT`, `ioctl.WHAT.LANGUAGE` | ns | one access, one call |
//! | `read.SOURCE.SIZE`, `fill.GENERATOR.SIZE` | MB/s | reads, and fills of the mapped buffer, of so many bytes |
//! | `native.GENERATOR` | MB/s | the generator on the host |
//! | `readers.HOW.WHERE.COUNT.total` | MB/s | so many readers, all together |
//! | `readers.HOW.WHERE.COUNT.first` | MB/s | the first of them |
//! | `readers.HOW.WHERE.COUNT.least` | | the least reader's part, 1 being an equal one |
//! | `realize.DEVICE.COUNT` | µs | until so many devices are there |
//! | `time.WHAT` | s | |

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::stats::{Summary, ratios};

/// Everything that a run gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// The samples.
    pub series: BTreeMap<String, Vec<f64>>,
    /// What was not measured, by the start of its name, and why.
    pub absent: BTreeMap<String, String>,
    /// What there is to say of a series beside its samples.
    pub notes: BTreeMap<String, String>,
    /// The machine's description.
    pub machine: BTreeMap<String, String>,
}

/// What the guest says in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something that has been taken note of.
    Noted,
    /// It waits, so that the host can measure itself.
    Idle,
}

impl Results {
    /// Adds a sample to a series.
    pub fn add(&mut self, name: &str, sample: f64) {
        self.series.entry(name.to_owned()).or_default().push(sample);
    }

    /// Takes note of a line of the guest's.
    pub fn guest_says(&mut self, line: &str) -> Result<Said, Error> {
        self.note(line)
            .ok_or_else(|| format!("the guest said what nobody understands: {line}").into())
    }

    fn note(&mut self, line: &str) -> Option<Said> {
        let line: Value = serde_json::from_str(line).ok()?;
        if let Some(name) = line.get("sample") {
            let [count, bytes, ns] = ["count", "bytes", "ns"].map(|key| number(line.get(key)));
            let (count, bytes, ns) = (count?, bytes?, ns?);
            // Bytes in a nanosecond are GB/s.
            let sample = if bytes == 0.0 {
                ns / count
            } else {
                bytes * count / ns * 1000.0
            };
            self.add(name.as_str()?, sample);
        } else if let Some(name) = line.get("readers") {
            let name = name.as_str()?;
            let (bytes, ns) = (numbers(line.get("bytes"))?, numbers(line.get("ns"))?);
            let rates: Vec<_> = ratios(&bytes, &ns)?
                .iter()
                .map(|rate| rate * 1000.0)
                .collect();
            let total: f64 = rates.iter().sum();
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            self.add(&format!("{name}.total"), total);
            self.add(&format!("{name}.first"), *rates.first()?);
            self.add(
                &format!("{name}.least"),
                least / (total / rates.len() as f64),
            );
        } else if let Some(name) = line.get("absent") {
            let why = line.get("why")?.as_str()?;
            self.absent
                .insert(name.as_str()?.to_owned(), why.to_owned());
        } else if let Some(guest) = line.get("guest") {
            let text = |key| Some(guest.get(key)?.as_str()?.to_owned());
            self.machine
                .insert("guest".to_owned(), format!("Linux {}", text("kernel")?));
            self.machine
                .insert("accelerator".to_owned(), text("accelerator")?);
            self.machine
                .insert("guest clock".to_owned(), text("clock")?);
        } else if line.get("idle").is_some() {
            return Some(Said::Idle);
        } else {
            line.get("done")?;
        }
        Some(Said::Noted)
    }

    /// Takes what the shell script has measured: lines of `NAME SECONDS [NOTE]`, or `NAME - WHY`.
    pub fn times(&mut self, text: &str) -> Result<(), Error> {
        for line in text.lines() {
            self.time(line)
                .ok_or_else(|| format!("no line of NAME SECONDS: {line}"))?;
        }
        Ok(())
    }

    fn time(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(3, ' ');
        let name = format!("time.{}", words.next()?);
        let seconds = words.next()?;
        let note = words.next().map(str::to_owned);
        if seconds == "-" {
            self.absent.insert(name, note?);
            return Some(());
        }
        self.add(&name, seconds.parse().ok()?);
        if let Some(note) = note {
            self.notes.insert(name, note);
        }
        Some(())
    }

    /// The summary of a series, if it was measured.
    pub fn summary(&self, name: &str) -> Option<Summary> {
        Summary::of(self.series.get(name)?)
    }

    /// The ratio of two series, round by round.
    pub fn ratio(&self, of: &str, to: &str) -> Option<Summary> {
        Summary::of(&ratios(self.series.get(of)?, self.series.get(to)?)?)
    }

    /// Why a series is not there.
    pub fn why_absent(&self, name: &str) -> &str {
        self.absent
            .iter()
            .find(|(start, _)| name.starts_with(start.as_str()))
            .map_or("not measured", |(_, why)| why)
    }

    /// All of it, for programs.
    pub fn json(&self) -> Value {
        let mut series = Map::new();
        for (name, samples) in &self.series {
            let summary = Summary::of(samples);
            series.insert(
                name.clone(),
                json!({
                    "unit": unit(name),
                    "median": summary.map(|summary| summary.median),
                    "quartiles": summary.map(|summary| [summary.low, summary.high]),
                    "samples": samples,
                }),
            );
        }
        json!({
            "machine": self.machine,
            "series": series,
            "notes": self.notes,
            "absent": self.absent,
        })
    }
}

/// The unit of a series.
pub fn unit(name: &str) -> &'static str {
    match name.split('.').next() {
        Some("mmio" | "ioctl") => "ns",
        Some("realize") => "µs",
        Some("time") => "s",
        _ if name.ends_with(".least") => "",
        _ => "MB/s",
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    value?.as_f64().filter(|number| *number >= 0.0)
}

fn numbers(value: Option<&Value>) -> Option<Vec<f64>> {
    value?
        .as_array()?
        .iter()
        .map(|value| number(Some(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_lines_are_understood() {
        let mut results = Results::default();
        for line in [
            r#"{"sample":"mmio.rng","round":0,"count":200,"bytes":0,"ns":30000}"#,
            r#"{"sample":"read.zero.64","round":0,"count":100,"bytes":64,"ns":3200}"#,
            r#"{"readers":"readers.read.own.2","round":0,"bytes":[300,100],"ns":[100,100]}"#,
            r#"{"absent":"fill.libc.","why":"not there"}"#,
            r#"{"guest":{"kernel":"7.3.4","clock":"tsc","accelerator":"TCG","processors":4}}"#,
            r#"{"done":1}"#,
        ] {
            assert_eq!(results.guest_says(line).unwrap(), Said::Noted, "{line}");
        }
        assert_eq!(results.guest_says(r#"{"idle":0}"#).unwrap(), Said::Idle);
        let median = |name: &str| results.summary(name).unwrap().median;
        assert_eq!(median("mmio.rng"), 150.0);
        assert_eq!(median("read.zero.64"), 2000.0);
        assert_eq!(median("readers.read.own.2.total"), 4000.0);
        assert_eq!(median("readers.read.own.2.first"), 3000.0);
        assert_eq!(median("readers.read.own.2.least"), 0.5);
        assert_eq!(results.why_absent("fill.libc.4096"), "not there");
        assert_eq!(results.why_absent("fill.host.4096"), "not measured");
        assert_eq!(results.machine["guest"], "Linux 7.3.4");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "Segmentation fault",
            "{}",
            r#"{"sample":"mmio.rng","count":200,"bytes":0}"#,
            r#"{"sample":"mmio.rng","count":200,"bytes":0,"ns":-1}"#,
            r#"{"readers":"readers.read.own.2","bytes":[300],"ns":[100,100]}"#,
        ] {
            let error = Results::default().guest_says(line).unwrap_err();
            assert!(error.to_string().ends_with(line), "{error}");
        }
    }

    #[test]
    fn the_scripts_times_are_understood() {
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
    fn the_json_has_it_all() {
        let mut results = Results::default();
        results.add("mmio.rng", 100.0);
        let json = results.json();
        assert_eq!(json["series"]["mmio.rng"]["median"], 100.0);
        assert_eq!(json["series"]["mmio.rng"]["unit"], "ns");
        assert_eq!(json["series"]["mmio.rng"]["samples"][0], 100.0);
    }
}
