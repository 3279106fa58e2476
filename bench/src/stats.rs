// SPDX-License-Identifier: GPL-2.0-or-later

//! Medians, quartiles and confidence intervals.

/// The summary of a series of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The first quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The third quartile.
    pub high: f64,
    /// The 95 % confidence interval of the median; `None` if there are less than 6 samples.
    pub interval: Option<(f64, f64)>,
    /// How many samples there are.
    pub count: usize,
}

impl Summary {
    /// Summarizes samples in any order; returns `None` if there are none, or one is infinite or NaN.
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            low: quantile(&sorted, 0.25)?,
            median: quantile(&sorted, 0.5)?,
            high: quantile(&sorted, 0.75)?,
            interval: interval(&sorted),
            count: sorted.len(),
        })
    }

    /// The summary of the same samples, each multiplied by `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            median: self.median * factor,
            high: self.high * factor,
            interval: self
                .interval
                .map(|(low, high)| (low * factor, high * factor)),
            count: self.count,
        }
    }
}

/// A quantile of sorted samples, interpolated between two of them.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor(), place.ceil());
    let low = sorted.get(below as usize)?;
    let high = sorted.get(above as usize)?;
    Some(low + (high - low) * (place - below))
}

/// The 95 % confidence interval of the median, from sorted samples: the narrowest pair of samples, equally far from
/// both ends, that encloses it with at least this probability. Assumes nothing of the distribution: each sample is
/// below the median with probability 1/2, so the number of those below it has a binomial distribution.
fn interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = sorted.len();
    // The probability that `below` samples are below the median, and that so many or fewer are.
    let mut exactly = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut at_most = exactly;
    let mut below = 0;
    if at_most > 0.025 || count == 0 {
        return None;
    }
    loop {
        exactly *= (count - below) as f64 / (below + 1) as f64;
        if at_most + exactly > 0.025 {
            return Some((*sorted.get(below)?, *sorted.get(count - 1 - below)?));
        }
        at_most += exactly;
        below += 1;
    }
}

/// The ratios of samples of the same round, so that drift from round to round has no effect. Returns `None` if
/// the series differ in length.
pub fn ratios(of: &[f64], to: &[f64]) -> Option<Vec<f64>> {
    (of.len() == to.len()).then(|| of.iter().zip(to).map(|(of, to)| of / to).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles_are_those_of_the_textbook() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0, 5.0]).unwrap();
        assert_eq!((summary.low, summary.median, summary.high), (2.0, 3.0, 4.0));
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            (summary.low, summary.median, summary.high),
            (1.75, 2.5, 3.25)
        );
        let summary = Summary::of(&[7.0]).unwrap();
        assert_eq!((summary.low, summary.median, summary.high), (7.0, 7.0, 7.0));
        assert_eq!(summary.count, 1);
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // The ranks are in textbooks, counted from 1: the sign test's tables.
        for (count, ranks) in [
            (5, None),
            (6, Some((1, 6))),
            (8, Some((1, 8))),
            (9, Some((2, 8))),
            (10, Some((2, 9))),
            (15, Some((4, 12))),
            (20, Some((6, 15))),
            (30, Some((10, 21))),
            (100, Some((40, 61))),
            (1000, Some((469, 532))),
        ] {
            // In descending order: the summary sorts them.
            let samples: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            let interval = Summary::of(&samples).unwrap().interval;
            assert_eq!(
                interval,
                ranks.map(|(low, high)| (f64::from(low), f64::from(high))),
                "{count} samples"
            );
        }
        let scaled = Summary::of(&[1.0; 6]).unwrap().scaled(0.5);
        assert_eq!(scaled.interval, Some((0.5, 0.5)));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        assert_eq!(
            ratios(&[2.0, 9.0], &[1.0, 3.0]).as_deref(),
            Some(&[2.0, 3.0][..])
        );
        assert_eq!(ratios(&[2.0], &[1.0, 3.0]), None);
    }
}
