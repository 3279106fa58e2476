// SPDX-License-Identifier: GPL-2.0-or-later

//! The tables, in Markdown: the targets first, then all figures.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::results::{Results, unit};
use crate::stats::Summary;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
    /// Only told.
    None,
}

/// A figure that is made of one or two series.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Its value, or why there is none.
    pub value: Result<Summary, String>,
    /// Its unit; a ratio has none.
    pub unit: &'static str,
    /// What it must be.
    pub target: Target,
}

impl Figure {
    /// Whether the target is reached; `None` where there is none, or no value.
    pub fn reached(&self) -> Option<bool> {
        let median = self.value.as_ref().ok()?.median;
        match self.target {
            Target::AtMost(bound) => Some(median <= bound),
            Target::AtLeast(bound) => Some(median >= bound),
            Target::None => None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let value = self.value.as_ref().ok();
        json!({
            "what": self.what,
            "unit": self.unit,
            "median": value.map(|value| value.median),
            "quartiles": value.map(|value| [value.low, value.high]),
            "absent": self.value.as_ref().err(),
            "at_most": match self.target { Target::AtMost(bound) => Some(bound), _ => None },
            "at_least": match self.target { Target::AtLeast(bound) => Some(bound), _ => None },
            "reached": self.reached(),
        })
    }

    fn row(&self) -> String {
        let what = &self.what;
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", self.unit)
        };
        let target = match self.target {
            Target::AtMost(bound) => format!("≤ {bound}{unit}"),
            Target::AtLeast(bound) => format!("≥ {bound}{unit}"),
            Target::None => String::new(),
        };
        match &self.value {
            Err(why) => format!("| {what} | {why} | | {target} | |\n"),
            Ok(value) => format!(
                "| {what} | **{}**{unit} | {} | {target} | {} |\n",
                digits(value.median),
                spread(value),
                match self.reached() {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => "",
                },
            ),
        }
    }
}

const MIB: &str = "1048576";

/// The generators that are made to be fast, and how many MB/s each must give without a copy.
const FAST: [(&str, f64); 2] = [("chacha8", 2000.0), ("xoshiro256pp", 4000.0)];

/// The figures that there are targets for, and their like.
pub fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    let ratio = |what: &str, of: &str, to: &str, target| Figure {
        what: what.to_owned(),
        value: results.ratio(of, to).ok_or_else(|| why(results, &[of, to])),
        unit: "",
        target,
    };
    let single = |what: &str, name: &str, target| Figure {
        what: what.to_owned(),
        value: results.summary(name).ok_or_else(|| why(results, &[name])),
        unit: unit(name),
        target,
    };

    let twin = Target::AtMost(1.03);
    figures.push(ratio(
        "MMIO read of RNG: the device / its twin in C",
        "mmio.rng",
        "mmio.twin",
        twin,
    ));
    figures.push(ratio(
        "check of the measurement: MMIO read of RNG, one my_rng / another",
        "mmio.rng",
        "mmio.other",
        Target::None,
    ));
    figures.push(ratio(
        "MMIO read of a register that only tells: the device's INFO / `edu`'s identification",
        "mmio.info",
        "mmio.edu",
        Target::None,
    ));
    for (call, name) in [("rand", "RAND"), ("seed", "SEED")] {
        figures.push(ratio(
            &format!("ioctl {name}: the driver / its twin in C"),
            &format!("ioctl.{call}.rust"),
            &format!("ioctl.{call}.c"),
            twin,
        ));
    }
    for (generator, _) in FAST {
        let read = format!("read.{generator}.{MIB}");
        for (what, source, bound) in [
            ("a tmpfs file", "tmpfs", 0.9),
            ("/dev/urandom", "urandom", 5.0),
            ("virtio-rng", "virtio", 400.0),
        ] {
            figures.push(ratio(
                &format!("read() of 1 MiB: {generator} / {what}"),
                &read,
                &format!("read.{source}.{MIB}"),
                Target::AtLeast(bound),
            ));
        }
    }
    for (generator, bound) in FAST {
        let fill = format!("fill.{generator}.262144");
        figures.push(ratio(
            &format!("zero-copy: {generator} / the generator natively on the host"),
            &fill,
            &format!("native.{generator}"),
            Target::AtLeast(0.8),
        ));
        figures.push(single(
            &format!("zero-copy: {generator}"),
            &fill,
            Target::AtLeast(bound),
        ));
    }
    for how in ["read", "fill"] {
        let alone = format!("readers.{how}.own.1.first");
        for (kind, beside, counts) in [
            ("same", "reader(s) of the same device", &[2, 4][..]),
            ("own", "device(s) being read", &[2, 4, 8, 30][..]),
        ] {
            for count in counts {
                let mut figure = ratio(
                    &format!(
                        "{}: the first reader beside {} more {beside} / its fair share (what it has \
                         alone / {count})",
                        how_name(how),
                        count - 1,
                    ),
                    &format!("readers.{how}.{kind}.{count}.first"),
                    &alone,
                    Target::AtLeast(0.97),
                );
                if let Ok(value) = &mut figure.value {
                    let count = f64::from(*count);
                    value.low *= count;
                    value.median *= count;
                    value.high *= count;
                }
                figures.push(figure);
            }
        }
    }
    figures.push(single(
        "realize of a device",
        "realize.my_rng.1",
        Target::AtMost(1000.0),
    ));
    let mut each = ratio(
        "realize of 30 devices / 30 times that of one",
        "realize.my_rng.30",
        "realize.my_rng.1",
        Target::AtMost(1.1),
    );
    if let Ok(value) = &mut each.value {
        value.low /= 30.0;
        value.median /= 30.0;
        value.high /= 30.0;
    }
    figures.push(each);
    figures.push(ratio(
        "realize of a device / of its twin in C",
        "realize.my_rng.1",
        "realize.my-rng-twin.1",
        Target::None,
    ));
    figures
}

fn how_name(how: &str) -> &'static str {
    if how == "fill" { "zero-copy" } else { "read()" }
}

fn why(results: &Results, names: &[&str]) -> String {
    names
        .iter()
        .find(|name| !results.series.contains_key(**name))
        .map_or("not measured", |name| results.why_absent(name))
        .to_owned()
}

/// Three digits, and no more than are known.
pub fn digits(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

/// A median with its quartiles; a single sample has none.
fn cell(results: &Results, name: &str) -> String {
    results.summary(name).map_or_else(
        || why(results, &[name]),
        |summary| {
            let median = digits(summary.median);
            if summary.count == 1 {
                return median;
            }
            format!("{median} ({})", spread(&summary))
        },
    )
}

fn spread(summary: &Summary) -> String {
    format!("{} – {}", digits(summary.low), digits(summary.high))
}

/// Cells side by side. Where all say the same, and that is why there is nothing, it is said once.
fn cells(results: &Results, names: &[String]) -> String {
    let texts: Vec<_> = names.iter().map(|name| cell(results, name)).collect();
    let nothing = names
        .iter()
        .all(|name| !results.series.contains_key(name.as_str()));
    match texts.split_first() {
        Some((first, others)) if nothing && others.iter().all(|text| text == first) => {
            format!("{first}{}", " |".repeat(others.len()))
        }
        _ => texts.join(" | "),
    }
}

/// What the series are called for people.
const SOURCES: [(&str, &str); 9] = [
    ("xoshiro256pp", "my_rng, xoshiro256pp"),
    ("chacha8", "my_rng, chacha8"),
    ("chacha20", "my_rng, chacha20"),
    ("libc", "my_rng, libc"),
    ("host", "my_rng, host"),
    ("tmpfs", "a file in tmpfs"),
    ("zero", "/dev/zero"),
    ("urandom", "/dev/urandom"),
    ("virtio", "virtio-rng (/dev/hwrng)"),
];

/// All tables.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = write_tables(results, &mut text);
    text
}

fn write_tables(results: &Results, text: &mut String) -> std::fmt::Result {
    let figures = figures(results);
    let reached = figures
        .iter()
        .filter(|figure| figure.reached() == Some(true));
    let judged = figures.iter().filter(|figure| figure.reached().is_some());
    let aimed = figures
        .iter()
        .filter(|figure| figure.target != Target::None);
    writeln!(
        text,
        "Reached: {} of the {} targets that were measured, of {} in all.\n",
        reached.count(),
        judged.count(),
        aimed.count()
    )?;
    writeln!(text, "| figure | median | quartiles | target | reached |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | --- |")?;
    for figure in &figures {
        text.push_str(&figure.row());
    }

    writeln!(text, "\n### Latency, in ns\n")?;
    writeln!(text, "| | median (quartiles) |\n| --- | ---: |")?;
    for (name, what) in LATENCIES {
        writeln!(text, "| {what} | {} |", cell(results, name))?;
    }

    writeln!(text, "\n### read(), in MB/s\n")?;
    writeln!(
        text,
        "| of | 64 B | 4 KiB | 1 MiB |\n| --- | ---: | ---: | ---: |"
    )?;
    for (source, what) in SOURCES {
        let names = ["64", "4096", MIB].map(|size| format!("read.{source}.{size}"));
        writeln!(text, "| {what} | {} |", cells(results, &names))?;
    }

    writeln!(text, "\n### Zero-copy (mmap and FILL), in MB/s\n")?;
    writeln!(
        text,
        "| generator | 4 KiB | 64 KiB | 256 KiB | natively on the host |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: |")?;
    for (source, _) in SOURCES.iter().take(5) {
        let names = ["4096", "65536", "262144"].map(|size| format!("fill.{source}.{size}"));
        let native = if results.series.contains_key(&format!("native.{source}")) {
            cell(results, &format!("native.{source}"))
        } else {
            String::new()
        };
        writeln!(text, "| {source} | {} | {native} |", cells(results, &names))?;
    }

    writeln!(text, "\n### Readers at once, 64 KiB at a time\n")?;
    writeln!(
        text,
        "| readers | all together, MB/s | the first, MB/s | the least one's part (1: an equal one) |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: |")?;
    for (name, what) in readers() {
        let names = ["total", "first", "least"].map(|part| format!("{name}.{part}"));
        writeln!(text, "| {what} | {} |", cells(results, &names))?;
    }

    writeln!(text, "\n### Realize, in µs\n")?;
    writeln!(
        text,
        "| | 1 device | 8 devices | 30 devices |\n| --- | ---: | ---: | ---: |"
    )?;
    for device in crate::realize::DEVICES {
        let names = crate::realize::COUNTS.map(|count| format!("realize.{device}.{count}"));
        writeln!(text, "| {device} | {} |", cells(results, &names))?;
    }

    writeln!(text, "\n### From start to end, in s\n")?;
    writeln!(text, "| | median (quartiles) |\n| --- | ---: |")?;
    for (name, what) in TIMES {
        let note = results
            .notes
            .get(name)
            .map(|note| format!(", {note}"))
            .unwrap_or_default();
        writeln!(text, "| {what}{note} | {} |", cell(results, name))?;
    }

    writeln!(text, "\n### The machine\n\n| | |\n| --- | --- |")?;
    for (key, value) in &results.machine {
        writeln!(text, "| {key} | {value} |")?;
    }
    Ok(())
}

/// The latencies, and what they are.
pub const LATENCIES: [(&str, &str); 9] = [
    ("mmio.rng", "MMIO, my_rng: RNG"),
    ("mmio.other", "MMIO, another my_rng: RNG"),
    ("mmio.twin", "MMIO, the twin in C: RNG"),
    ("mmio.info", "MMIO, my_rng: INFO"),
    ("mmio.edu", "MMIO, edu: identification"),
    ("ioctl.rand.rust", "ioctl RAND, the driver"),
    ("ioctl.rand.c", "ioctl RAND, its twin in C"),
    ("ioctl.seed.rust", "ioctl SEED, the driver"),
    ("ioctl.seed.c", "ioctl SEED, its twin in C"),
];

const TIMES: [(&str, &str); 3] = [
    ("time.fresh", "from nothing to the demo's verdict"),
    ("time.edit", "from an edit of rust-dev to the verdict"),
    ("time.boot", "QEMU's start to END MY-RNG TEST, TCG"),
];

/// The series of readers, and what they are.
pub fn readers() -> Vec<(String, String)> {
    let mut readers = Vec::new();
    for how in ["read", "fill"] {
        for (kind, of, counts) in [
            ("own", "each its own device", &[1, 2, 4, 8, 30][..]),
            ("same", "all the same device", &[2, 4][..]),
        ] {
            for count in counts {
                readers.push((
                    format!("readers.{how}.{kind}.{count}"),
                    match count {
                        1 => format!("{}, 1", how_name(how)),
                        _ => format!("{}, {count}, {of}", how_name(how)),
                    },
                ));
            }
        }
    }
    readers
}

/// The bars of the chart of throughput: series, and what they are.
pub fn throughputs() -> Vec<(String, String)> {
    let mut bars = Vec::new();
    for (generator, _) in FAST {
        bars.push((
            format!("native.{generator}"),
            format!("{generator}, native on the host"),
        ));
        bars.push((
            format!("fill.{generator}.262144"),
            format!("my_rng, {generator}, zero-copy 256 KiB"),
        ));
    }
    for (source, what) in SOURCES {
        bars.push((
            format!("read.{source}.{MIB}"),
            format!("{what}, read() 1 MiB"),
        ));
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::default();
        for (name, samples) in [
            ("mmio.rng", [101.0, 103.0, 105.0]),
            ("mmio.twin", [100.0, 100.0, 100.0]),
            ("ioctl.rand.rust", [130.0, 130.0, 130.0]),
            ("ioctl.rand.c", [100.0, 100.0, 100.0]),
            ("readers.read.own.1.first", [100.0, 100.0, 100.0]),
            ("readers.read.own.2.first", [60.0, 55.0, 50.0]),
            ("realize.my_rng.1", [300.0, 200.0, 100.0]),
        ] {
            for sample in samples {
                results.add(name, sample);
            }
        }
        results
            .absent
            .insert("time.edit".to_owned(), "not measured (QUICK=1)".to_owned());
        results
    }

    #[test]
    fn figures_are_held_against_their_targets() {
        let figures = figures(&results());
        let find = |start: &str| {
            figures
                .iter()
                .find(|figure| figure.what.starts_with(start))
                .unwrap()
        };
        assert_eq!(
            find("MMIO read of RNG").row(),
            "| MMIO read of RNG: the device / its twin in C | **1.03** | 1.02 – 1.04 | ≤ 1.03 | yes |\n"
        );
        assert_eq!(find("ioctl RAND").reached(), Some(false));
        assert!(find("ioctl RAND").row().ends_with("| ≤ 1.03 | **no** |\n"));
        assert_eq!(find("ioctl SEED").reached(), None);
        assert!(find("ioctl SEED").row().contains("| not measured | |"));
        assert_eq!(find("ioctl RAND").json()["median"], 1.3);
        assert_eq!(find("ioctl RAND").json()["reached"], false);
        let fair = find("read(): the first reader beside 1 more device(s)");
        assert_eq!(fair.value.as_ref().unwrap().median, 1.1);
        assert_eq!(
            find("realize of a device").row(),
            "| realize of a device | **200** µs | 150 – 250 | ≤ 1000 µs | yes |\n"
        );
    }

    #[test]
    fn the_tables_tell_what_is_missing() {
        let text = tables(&results());
        assert!(
            text.starts_with("Reached: 3 of the 4 targets that were measured"),
            "{text}"
        );
        assert!(
            text.contains("| from an edit of rust-dev to the verdict | not measured (QUICK=1) |")
        );
        assert!(
            text.contains("| MMIO, my_rng: RNG | 103 (102 – 104) |"),
            "{text}"
        );
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(digits(1234.5), "1234");
        assert_eq!(digits(12.34), "12.3");
        assert_eq!(digits(1.234), "1.23");
        assert_eq!(digits(0.1234), "0.123");
    }
}
