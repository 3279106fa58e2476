// SPDX-License-Identifier: GPL-2.0-or-later

//! All results as tables in Markdown.

use crate::figures::{digits, figures, spread};
use crate::names::{LATENCIES, MIB, SOURCES, TIMES, generators, readers};
use crate::realize;
use crate::results::Results;

/// All tables: the figures with their targets first.
pub fn tables(results: &Results) -> String {
    let single = |(name, label): (&str, &str)| row(results, label, &[name.to_owned()]);
    [
        targets(results),
        table(
            "Latency, in ns",
            "| | median (quartiles) |",
            LATENCIES.map(single),
        ),
        table(
            "read(), in MB/s",
            "| of | 64 B | 4 KiB | 1 MiB |",
            SOURCES.map(|(source, label)| {
                let names = ["64", "4096", MIB].map(|size| format!("read.{source}.{size}"));
                row(results, label, &names)
            }),
        ),
        table(
            "Zero-copy (mmap and FILL), in MB/s",
            "| generator | 4 KiB | 64 KiB | 256 KiB | natively on the host |",
            generators().map(|generator| {
                let fills = ["4096", "65536", "262144"];
                let mut names = fills.map(|size| format!("fill.{generator}.{size}")).to_vec();
                names.push(format!("native.{generator}"));
                row(results, generator, &names)
            }),
        ),
        table(
            "Readers at once, 64 KiB at a time",
            "| readers | all together, MB/s | the first, MB/s | share of the slowest (1: a fair share) |",
            readers().iter().map(|(name, label)| {
                let names = ["total", "first", "least"].map(|part| format!("{name}.{part}"));
                row(results, label, &names)
            }),
        ),
        table(
            "Realize, in µs",
            "| | 1 device | 8 devices | 30 devices |",
            realize::DEVICES.map(|device| {
                let names = realize::COUNTS.map(|count| format!("realize.{device}.{count}"));
                row(results, device, &names)
            }),
        ),
        table(
            "From start to end, in s",
            "| | median (quartiles) |",
            TIMES.map(|(name, label)| {
                let note = results.notes.get(name).map(|note| format!(", {note}"));
                single((name, &format!("{label}{}", note.unwrap_or_default())))
            }),
        ),
        machine(results),
    ]
    .join("\n")
}

fn targets(results: &Results) -> String {
    let figures = figures(results);
    let aimed: Vec<_> = figures
        .iter()
        .filter(|figure| figure.target.is_some())
        .map(|figure| figure.reached())
        .collect();
    let measured = aimed.iter().filter(|reached| reached.is_some()).count();
    let reached = aimed
        .iter()
        .filter(|reached| **reached == Some(true))
        .count();
    let rows: String = figures.iter().map(|figure| figure.row()).collect();
    format!(
        "Reached: {reached} of the {measured} targets that were measured, of {} in all.\n\n\
         | figure | median | quartiles | target | reached |\n\
         | --- | ---: | ---: | ---: | --- |\n{rows}",
        aimed.len()
    )
}

fn machine(results: &Results) -> String {
    let entries = results.machine.iter();
    let lines: String = entries
        .map(|(key, value)| format!("- {key}: {value}\n"))
        .collect();
    format!("### The machine\n\n{lines}")
}

/// A table whose first column is text, and the others numbers.
fn table(title: &str, head: &str, rows: impl IntoIterator<Item = String>) -> String {
    let numbers = head.matches('|').count() - 2;
    let rule = format!("| --- |{}", " ---: |".repeat(numbers));
    let rows: String = rows.into_iter().collect();
    format!("### {title}\n\n{head}\n{rule}\n{rows}")
}

fn row(results: &Results, label: &str, names: &[String]) -> String {
    let cells: Vec<_> = names.iter().map(|name| cell(results, name)).collect();
    format!("| {label} | {} |\n", cells.join(" | "))
}

/// A median with its quartiles; a single sample has none.
fn cell(results: &Results, name: &str) -> String {
    match results.summary(name) {
        Some(summary) if summary.count == 1 => digits(summary.median),
        Some(summary) => format!("{} ({})", digits(summary.median), spread(&summary)),
        None => results.why_absent(name).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::results;

    #[test]
    fn the_tables_say_what_is_missing() {
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
}
