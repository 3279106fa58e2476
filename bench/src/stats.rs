// SPDX-License-Identifier: GPL-2.0-or-later

//! Medians and quartiles.

/// The summary of a series of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The first quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The third quartile.
    pub high: f64,
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
            count: sorted.len(),
        })
    }

    /// The summary of the same samples, each multiplied by `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            median: self.median * factor,
            high: self.high * factor,
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
    fn ratios_are_of_the_same_round() {
        assert_eq!(
            ratios(&[2.0, 9.0], &[1.0, 3.0]).as_deref(),
            Some(&[2.0, 3.0][..])
        );
        assert_eq!(ratios(&[2.0], &[1.0, 3.0]), None);
    }
}
