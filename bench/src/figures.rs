// SPDX-License-Identifier: GPL-2.0-or-later

//! The figures that have targets, and a few beside them.

use serde_json::{Value, json};

use crate::names::{FAST, HOWS, MIB};
use crate::results::{Results, unit};
use crate::stats::Summary;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

/// A figure that is made of one or two series.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Its value, if it was measured.
    pub value: Option<Summary>,
    /// Its unit; a ratio has none.
    pub unit: &'static str,
    /// What it must be, if anything.
    pub target: Option<Target>,
}

impl Figure {
    /// Whether it reaches its target; `None` if it has no target, or no value.
    pub fn reached(&self) -> Option<bool> {
        let median = self.value?.median;
        Some(match self.target? {
            Target::AtMost(bound) => median <= bound,
            Target::AtLeast(bound) => median >= bound,
        })
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "median": self.value.map(|value| value.median),
            "quartiles": self.value.map(|value| [value.low, value.high]),
            "at_most": match self.target { Some(Target::AtMost(bound)) => Some(bound), _ => None },
            "at_least": match self.target { Some(Target::AtLeast(bound)) => Some(bound), _ => None },
            "reached": self.reached(),
        })
    }

    /// A row of a Markdown table: figure, median, quartiles, target, reached.
    pub fn row(&self) -> String {
        let unit = match self.unit {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let target = match self.target {
            Some(Target::AtMost(bound)) => format!("≤ {bound}{unit}"),
            Some(Target::AtLeast(bound)) => format!("≥ {bound}{unit}"),
            None => String::new(),
        };
        let reached = match self.reached() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let value = match self.value {
            Some(value) => format!("**{}**{unit} | {}", digits(value.median), spread(&value)),
            None => "not measured |".to_owned(),
        };
        format!("| {} | {value} | {target} | {reached} |\n", self.what)
    }

    fn scaled(mut self, factor: f64) -> Self {
        self.value = self.value.map(|value| value.scaled(factor));
        self
    }
}

/// Three digits: more are not known.
pub fn digits(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

/// The quartiles.
pub fn spread(summary: &Summary) -> String {
    format!("{} – {}", digits(summary.low), digits(summary.high))
}

/// All figures.
pub fn figures(results: &Results) -> Vec<Figure> {
    [
        latencies(results),
        throughputs(results),
        shares(results),
        realizes(results),
    ]
    .concat()
}

fn latencies(results: &Results) -> Vec<Figure> {
    let as_fast = Some(Target::AtMost(1.03));
    let mut figures = vec![
        ratio(
            results,
            "MMIO read of RNG: the device / its twin in C",
            ("mmio.rng", "mmio.twin"),
            as_fast,
        ),
        ratio(
            results,
            "check of the measurement: MMIO read of RNG, one my_rng / another",
            ("mmio.rng", "mmio.other"),
            None,
        ),
        ratio(
            results,
            "MMIO read of a constant register: INFO of the device / the identification of `edu`",
            ("mmio.info", "mmio.edu"),
            None,
        ),
    ];
    for (call, name) in [("rand", "RAND"), ("seed", "SEED")] {
        figures.push(ratio(
            results,
            &format!("ioctl {name}: the driver / its twin in C"),
            (&format!("ioctl.{call}.rust"), &format!("ioctl.{call}.c")),
            as_fast,
        ));
    }
    figures
}

fn throughputs(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (generator, _) in FAST {
        for (what, source, bound) in [
            ("a tmpfs file", "tmpfs", 0.9),
            ("/dev/urandom", "urandom", 5.0),
            ("virtio-rng", "virtio", 400.0),
        ] {
            let [of, to] = [generator, source].map(|source| format!("read.{source}.{MIB}"));
            figures.push(ratio(
                results,
                &format!("read() of 1 MiB: {generator} / {what}"),
                (&of, &to),
                Some(Target::AtLeast(bound)),
            ));
        }
    }
    for (generator, bound) in FAST {
        let fill = format!("fill.{generator}.262144");
        figures.push(ratio(
            results,
            &format!("zero-copy: {generator} / the generator natively on the host"),
            (&fill, &format!("native.{generator}")),
            Some(Target::AtLeast(0.8)),
        ));
        let what = format!("zero-copy: {generator}");
        figures.push(single(results, &what, &fill, Target::AtLeast(bound)));
    }
    figures
}

/// What the first reader has beside others, compared with its fair share.
fn shares(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (how, name) in HOWS {
        for (kind, beside, counts) in [
            ("same", "reader(s) of the same device", &[2, 4][..]),
            ("own", "device(s) being read", &[2, 4, 8, 30]),
        ] {
            for count in counts {
                let what = format!(
                    "{name}: the first reader beside {} more {beside} / its fair share (what it has \
                     alone / {count})",
                    count - 1,
                );
                let first = format!("readers.{how}.{kind}.{count}.first");
                let alone = format!("readers.{how}.own.1.first");
                let target = Some(Target::AtLeast(0.97));
                let figure = ratio(results, &what, (&first, &alone), target);
                figures.push(figure.scaled(f64::from(*count)));
            }
        }
    }
    figures
}

fn realizes(results: &Results) -> Vec<Figure> {
    let one = "realize.my_rng.1";
    vec![
        single(results, "realize of a device", one, Target::AtMost(1000.0)),
        ratio(
            results,
            "realize of 30 devices / 30 times that of one",
            ("realize.my_rng.30", one),
            Some(Target::AtMost(1.1)),
        )
        .scaled(1.0 / 30.0),
        ratio(
            results,
            "realize of a device / of its twin in C",
            (one, "realize.my-rng-twin.1"),
            None,
        ),
    ]
}

fn ratio(results: &Results, what: &str, (of, to): (&str, &str), target: Option<Target>) -> Figure {
    Figure {
        what: what.to_owned(),
        value: results.ratio(of, to),
        unit: "",
        target,
    }
}

fn single(results: &Results, what: &str, name: &str, target: Target) -> Figure {
    Figure {
        what: what.to_owned(),
        value: results.summary(name),
        unit: unit(name),
        target: Some(target),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Some results.
    pub fn results() -> Results {
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
    fn figures_are_compared_with_their_targets() {
        let figures = figures(&results());
        let find = |start: &str| {
            let mut figures = figures.iter();
            figures
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
        assert_eq!(fair.value.unwrap().median, 1.1);
        assert_eq!(
            find("realize of a device").row(),
            "| realize of a device | **200** µs | 150 – 250 | ≤ 1000 µs | yes |\n"
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
