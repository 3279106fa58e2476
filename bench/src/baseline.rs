// SPDX-License-Identifier: GPL-2.0-or-later

//! An earlier run to compare with: its results.json.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Error;
use crate::results::Results;

/// The parts of results.json that are compared. Figures are computed again from the samples.
#[derive(Deserialize)]
struct File {
    machine: BTreeMap<String, String>,
    series: BTreeMap<String, Series>,
}

#[derive(Deserialize)]
struct Series {
    samples: Vec<f64>,
}

/// Reads the results.json of an earlier run.
pub fn load(path: &Path) -> Result<Results, Error> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the baseline {} cannot be read: {error}", path.display()))?;
    parse(&text).map_err(|error| {
        let path = path.display();
        format!("the baseline {path} is not a results.json of make bench: {error}").into()
    })
}

fn parse(text: &str) -> Result<Results, serde_json::Error> {
    let file: File = serde_json::from_str(text)?;
    Ok(Results {
        machine: file.machine,
        series: file
            .series
            .into_iter()
            .map(|(name, series)| (name, series.samples))
            .collect(),
        ..Results::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_writes_is_read_again() {
        let mut results = Results::default();
        results.add("mmio.rng", 100.0);
        results.add("mmio.rng", 110.0);
        results.machine.insert("commit".into(), "1234abc".into());
        assert_eq!(parse(&results.json().to_string()).unwrap(), results);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        for text in [
            "",
            "| figure | median |",
            "[]",
            r#"{"machine":{}}"#,
            r#"{"machine":{},"series":{"mmio.rng":{"median":1}}}"#,
            r#"{"machine":{},"series":{"mmio.rng":{"samples":["fast"]}}}"#,
        ] {
            fs::write(&path, text).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(
                error.contains("is not a results.json of make bench"),
                "{error}"
            );
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
