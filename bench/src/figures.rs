// SPDX-License-Identifier: GPL-2.0-or-later

//! The figures that have targets, and a few beside them.

mod list;

use serde_json::{Value, json};

use crate::results::{Results, unit};
use crate::stats::Summary;

pub use list::sections;
#[cfg(test)]
pub(crate) use list::tests::results as results_for_tests;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    bound: Bound,
    /// Why it is missed where it is, as far as is known. Shown only then.
    why_missed: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// Not more than this.
    const fn at_most(bound: f64) -> Self {
        Self {
            bound: Bound::AtMost(bound),
            why_missed: "",
        }
    }

    /// Not less than this.
    const fn at_least(bound: f64) -> Self {
        Self {
            bound: Bound::AtLeast(bound),
            why_missed: "",
        }
    }

    /// With a reason that is known.
    const fn missed_because(self, why_missed: &'static str) -> Self {
        Self { why_missed, ..self }
    }
}

/// Figures of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// A figure that is made of one or two series.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// Its value, if it was measured.
    pub value: Option<Summary>,
    /// The same with devices that have `parallel=off`, if that was measured.
    pub off: Option<Summary>,
    /// Its unit; a ratio has none.
    pub unit: &'static str,
    /// What it must be, if anything.
    pub target: Option<Target>,
}

impl Figure {
    /// A single series.
    fn single(results: &Results, what: &str, name: &str) -> Self {
        Self {
            what: what.to_owned(),
            value: results.summary(name),
            off: None,
            unit: unit(name),
            target: None,
        }
    }

    /// The ratio of two series, round by round.
    fn ratio(results: &Results, what: &str, of: &str, to: &str) -> Self {
        Self {
            value: results.ratio(of, to),
            unit: "",
            ..Self::single(results, what, of)
        }
    }

    fn target(self, target: Target) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// Adds the value that another figure has, which is that of devices with `parallel=off`.
    fn off(self, other: &Self) -> Self {
        Self {
            off: other.value,
            ..self
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            value: self.value.map(|value| value.scaled(factor)),
            ..self
        }
    }

    /// Whether it reaches its target; `None` if it has no target, or no value.
    pub fn reached(&self) -> Option<bool> {
        let median = self.value?.median;
        Some(match self.target?.bound {
            Bound::AtMost(bound) => median <= bound,
            Bound::AtLeast(bound) => median >= bound,
        })
    }

    /// Whether the confidence interval includes the target; `None` if there is no interval, or no target.
    pub fn is_uncertain(&self) -> Option<bool> {
        let (low, high) = self.value?.interval?;
        let (Bound::AtMost(bound) | Bound::AtLeast(bound)) = self.target?.bound;
        Some((low..=high).contains(&bound))
    }

    /// Why it misses its target, if it does and the reason is known.
    pub fn why_missed(&self) -> Option<&'static str> {
        let why = self.target?.why_missed;
        (self.reached() == Some(false) && !why.is_empty()).then_some(why)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let bound = self.target.map(|target| target.bound);
        json!({
            "what": self.what,
            "unit": self.unit,
            "median": self.value.map(|value| value.median),
            "interval": self.value.and_then(|value| value.interval),
            "parallel_off": self.off.map(|value| value.median),
            "at_most": match bound { Some(Bound::AtMost(bound)) => Some(bound), _ => None },
            "at_least": match bound { Some(Bound::AtLeast(bound)) => Some(bound), _ => None },
            "reached": self.reached(),
            "uncertain": self.is_uncertain(),
            "why_missed": self.why_missed(),
        })
    }

    /// Its value, in bold.
    pub fn value_cell(&self) -> String {
        match self.value {
            Some(value) => format!("**{}**{}", digits(value.median), self.spaced_unit()),
            None => "not measured".to_owned(),
        }
    }

    /// Its target.
    pub fn target_cell(&self) -> String {
        match self.target.map(|target| target.bound) {
            Some(Bound::AtMost(bound)) => format!("≤ {bound}{}", self.spaced_unit()),
            Some(Bound::AtLeast(bound)) => format!("≥ {bound}{}", self.spaced_unit()),
            None => String::new(),
        }
    }

    /// Whether it reaches its target.
    pub fn reached_cell(&self) -> String {
        let reached = match self.reached() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => return String::new(),
        };
        match self.is_uncertain() {
            Some(true) => format!("{reached}, uncertain"),
            _ => reached.to_owned(),
        }
    }

    fn spaced_unit(&self) -> String {
        match self.unit {
            "" => String::new(),
            unit => format!(" {unit}"),
        }
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

/// Two bounds.
pub fn spread((low, high): (f64, f64)) -> String {
    format!("{} – {}", digits(low), digits(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(target: Option<Target>, interval: Option<(f64, f64)>) -> Figure {
        Figure {
            what: "a figure".into(),
            value: Some(Summary {
                low: 1.0,
                median: 2.0,
                high: 3.0,
                interval,
                count: 6,
            }),
            off: None,
            unit: "",
            target,
        }
    }

    #[test]
    fn the_median_decides_and_the_interval_says_how_sure_that_is() {
        for (target, reached, uncertain, cell) in [
            (Target::at_most(2.0), true, true, "yes, uncertain"),
            (Target::at_most(2.6), true, false, "yes"),
            (Target::at_most(1.4), false, false, "**no**"),
            (Target::at_most(1.6), false, true, "**no**, uncertain"),
            (Target::at_least(2.0), true, true, "yes, uncertain"),
            (Target::at_least(1.4), true, false, "yes"),
            (Target::at_least(2.6), false, false, "**no**"),
            (Target::at_least(2.5), false, true, "**no**, uncertain"),
        ] {
            let figure = figure(Some(target), Some((1.5, 2.5)));
            assert_eq!(figure.reached(), Some(reached), "{target:?}");
            assert_eq!(figure.is_uncertain(), Some(uncertain), "{target:?}");
            assert_eq!(figure.reached_cell(), cell, "{target:?}");
            assert_eq!(figure.json()["uncertain"], uncertain, "{target:?}");
        }
        let without_interval = figure(Some(Target::at_most(2.0)), None);
        assert_eq!(without_interval.reached_cell(), "yes");
        let without_target = figure(None, Some((1.5, 2.5)));
        assert_eq!(without_target.reached(), None);
        assert_eq!(without_target.reached_cell(), "");
        assert_eq!(without_target.target_cell(), "");
    }

    #[test]
    fn a_reason_is_given_only_for_a_missed_target() {
        let why = "the moon is full";
        let missed = figure(Some(Target::at_most(1.0).missed_because(why)), None);
        assert_eq!(missed.why_missed(), Some(why));
        assert_eq!(missed.json()["why_missed"], why);
        let reached = figure(Some(Target::at_least(1.0).missed_because(why)), None);
        assert_eq!(reached.why_missed(), None);
        let unknown = figure(Some(Target::at_most(1.0)), None);
        assert_eq!(unknown.why_missed(), None);
    }

    #[test]
    fn cells_have_units() {
        let time = Figure {
            unit: "µs",
            ..figure(Some(Target::at_most(20.0)), None)
        };
        assert_eq!(time.value_cell(), "**2.00** µs");
        assert_eq!(time.target_cell(), "≤ 20 µs");
        let absent = Figure {
            value: None,
            ..time
        };
        assert_eq!(absent.value_cell(), "not measured");
        assert_eq!(absent.reached_cell(), "");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(digits(1234.5), "1234");
        assert_eq!(digits(12.34), "12.3");
        assert_eq!(digits(1.234), "1.23");
        assert_eq!(digits(0.1234), "0.123");
    }
}
