// SPDX-License-Identifier: GPL-2.0-or-later

//! All results as tables in Markdown.

use std::collections::BTreeSet;

use crate::figures::{Figure, Section, digits, sections, spread};
use crate::names::{
    BUSY, HOWS, INLINE, LATENCIES, MIB, SHARED, SOURCES, TIMES, generators, readers,
};
use crate::realize;
use crate::results::{Results, unit};
use crate::stats::Summary;

/// All tables: the figures with their targets first. With a baseline, they are compared with it.
pub fn tables(results: &Results, baseline: Option<&Results>) -> String {
    let mut parts = vec![targets(results, baseline)];
    parts.extend(series(results));
    parts.push(machine(results));
    if let Some(baseline) = baseline {
        parts.push(compared(results, baseline));
    }
    parts.join("\n")
}

fn targets(results: &Results, baseline: Option<&Results>) -> String {
    let sections = sections(results);
    let aimed: Vec<_> = sections
        .iter()
        .flat_map(|section| &section.figures)
        .filter(|figure| figure.target.is_some())
        .map(Figure::reached)
        .collect();
    let measured = aimed.iter().filter(|reached| reached.is_some()).count();
    let reached = aimed
        .iter()
        .filter(|reached| **reached == Some(true))
        .count();
    let earlier = baseline.map(crate::figures::sections);
    let tables: String = sections
        .iter()
        .enumerate()
        .map(|(index, section)| {
            let earlier = earlier.as_ref().and_then(|sections| sections.get(index));
            targets_of(section, earlier)
        })
        .collect();
    format!(
        "Reached: {reached} of the {measured} targets that were measured, of {} in all. \"Uncertain\" means that the \
         95 % confidence interval of the median includes the target.\n{tables}",
        aimed.len()
    )
}

/// The table of a section, and the reasons for what is missed.
fn targets_of(section: &Section, earlier: Option<&Section>) -> String {
    let has_off = section.figures.iter().any(|figure| figure.off.is_some());
    let mut head = vec!["figure", "median", "95 % interval"];
    head.extend(has_off.then_some("parallel=off"));
    head.extend(["target", "reached"]);
    if earlier.is_some() {
        head.extend(["before", "now / before"]);
    }
    let rows = section.figures.iter().enumerate().map(|(index, figure)| {
        let interval = figure.value.and_then(|value| value.interval);
        let mut cells = vec![
            figure.what.clone(),
            figure.value_cell(),
            interval.map(spread).unwrap_or_default(),
        ];
        if has_off {
            cells.push(figure.off.map(|off| digits(off.median)).unwrap_or_default());
        }
        cells.extend([figure.target_cell(), figure.reached_cell()]);
        if let Some(earlier) = earlier {
            let before = earlier.figures.get(index).and_then(|figure| figure.value);
            cells.extend(comparison(figure.value, before));
        }
        line(&cells)
    });
    let mut table = table(section.title, &head, rows);
    let missed = section.figures.iter().filter_map(Figure::why_missed);
    for why in missed.collect::<BTreeSet<_>>() {
        let whats: Vec<_> = section
            .figures
            .iter()
            .filter(|figure| figure.why_missed() == Some(why))
            .map(|figure| figure.what.as_str())
            .collect();
        table += &format!("\nWhy {} is missed: {why}\n", whats.join(", and "));
    }
    format!("\n{table}")
}

/// An earlier median, and the ratio of the present one to it.
fn comparison(now: Option<Summary>, before: Option<Summary>) -> [String; 2] {
    match (now, before) {
        (Some(now), Some(before)) => [digits(before.median), digits(now.median / before.median)],
        (None, Some(before)) => [digits(before.median), "not measured now".to_owned()],
        (_, None) => ["not in the baseline".to_owned(), String::new()],
    }
}

/// Every series beside that of the baseline.
fn compared(results: &Results, baseline: &Results) -> String {
    let names: BTreeSet<_> = results
        .series
        .keys()
        .chain(baseline.series.keys())
        .collect();
    let rows = names.into_iter().map(|name| {
        let now = results.summary(name);
        let cell = now.map_or_else(String::new, |now| digits(now.median));
        let [before, ratio] = comparison(now, baseline.summary(name));
        let unit = unit(name).to_owned();
        line(&[format!("`{name}`"), unit, before, cell, ratio])
    });
    let table = table(
        "All series, compared with the baseline",
        &["series", "unit", "before", "now", "now / before"],
        rows,
    );
    let keys: BTreeSet<_> = results
        .machine
        .keys()
        .chain(baseline.machine.keys())
        .collect();
    let of = |results: &Results, key: &String| {
        let value = results.machine.get(key);
        value.map_or("not known", String::as_str).to_owned()
    };
    let differences: String = keys
        .into_iter()
        .filter(|key| results.machine.get(*key) != baseline.machine.get(*key))
        .map(|key| {
            format!(
                "- {key}: {} before, {} now\n",
                of(baseline, key),
                of(results, key)
            )
        })
        .collect();
    format!("{table}\nWhat differs between the two runs:\n\n{differences}")
}

/// The series, by topic.
fn series(results: &Results) -> Vec<String> {
    let of_names = |label: &str, names: &[String]| {
        let mut cells = vec![label.to_owned()];
        cells.extend(names.iter().map(|name| cell(results, name)));
        line(&cells)
    };
    vec![
        table(
            "Latency, in ns",
            &[
                "",
                "mean of many calls",
                "one by one: median",
                "one by one: 99th percentile",
            ],
            LATENCIES.iter().chain(&INLINE).map(|(name, label)| {
                let mean = match *name {
                    "clock" => String::new(),
                    name => cell(results, name),
                };
                let [median, slow] =
                    ["p50", "p99"].map(|part| cell(results, &format!("{name}.{part}")));
                line(&[(*label).to_owned(), mean, median, slow])
            }),
        ),
        table(
            "read(), in MB/s",
            &["of", "64 B", "4 KiB", "1 MiB"],
            SOURCES.map(|(source, label)| {
                let names = ["64", "4096", MIB].map(|size| format!("read.{source}.{size}"));
                of_names(label, &names)
            }),
        ),
        table(
            "Zero-copy (mmap and FILL), in MB/s",
            &[
                "generator",
                "4 KiB",
                "64 KiB",
                "256 KiB",
                "natively on the host",
            ],
            generators().map(|generator| {
                let fills = ["4096", "65536", "262144"];
                let mut cells = vec![generator.to_owned()];
                cells.extend(fills.map(|size| cell(results, &format!("fill.{generator}.{size}"))));
                let native = format!("native.{generator}");
                let native = results.summary(&native).map(|_| cell(results, &native));
                cells.push(native.unwrap_or_default());
                line(&cells)
            }),
        ),
        table(
            "Readers at once, each with its own device (xoshiro256pp): all together in MB/s (the slowest / the fastest)",
            &[
                "readers",
                "1",
                "2",
                "4",
                "8",
                "30",
                "1, parallel=off",
                "2, parallel=off",
            ],
            HOWS.map(|(how, label)| {
                let own = [1, 2, 4, 8, 30].map(|count| readers(how, "own", count));
                let off = [1, 2].map(|count| readers(how, "own.off", count));
                shares(results, label, own.iter().chain(&off))
            }),
        ),
        table(
            "Readers of one device at once: all together in MB/s (the slowest / the fastest)",
            &[
                "readers",
                "1",
                "2",
                "4",
                "1, parallel=off",
                "2, parallel=off",
            ],
            SHARED.iter().flat_map(|(generator, _)| {
                HOWS[..2].iter().map(move |(how, label)| {
                    let same = [1, 2, 4].map(|count| readers(how, generator, count));
                    let off = [1, 2].map(|count| readers(how, &format!("{generator}.off"), count));
                    let label = format!("{generator}, {label}");
                    shares(results, &label, same.iter().chain(&off))
                })
            }),
        ),
        table(
            "A register read, while another device fills 256 KiB again and again, in ns",
            &[
                "the other device",
                "median",
                "99th percentile",
                "its fills, in MB/s",
            ],
            beside().iter().map(|(name, label)| {
                let mut cells = vec![label.clone()];
                cells.extend(["p50", "p99"].map(|part| cell(results, &format!("{name}.{part}"))));
                let fills = format!("{name}.fill");
                let fills = results.summary(&fills).map(|_| cell(results, &fills));
                cells.push(fills.unwrap_or_default());
                line(&cells)
            }),
        ),
        table(
            "Realize, in µs",
            &["", "1 device", "8 devices", "30 devices"],
            realize::DEVICES.map(|device| {
                let names = realize::COUNTS.map(|count| format!("realize.{device}.{count}"));
                of_names(device, &names)
            }),
        ),
        table(
            "From start to end, in s",
            &["", "median (quartiles)"],
            TIMES.map(|(name, label)| {
                let note = results.notes.get(name).map(|note| format!(", {note}"));
                let label = format!("{label}{}", note.unwrap_or_default());
                of_names(&label, &[name.to_owned()])
            }),
        ),
    ]
}

/// The series of a register read beside another device, with their labels.
fn beside() -> Vec<(String, String)> {
    let mut names = vec![("beside.idle".to_owned(), "does nothing".to_owned())];
    for generator in BUSY {
        for (suffix, note) in [("", ""), (".off", ", parallel=off")] {
            names.push((
                format!("beside.{generator}{suffix}"),
                format!("{generator}{note}"),
            ));
        }
    }
    names
}

/// What readers get together, and how evenly they share it.
fn shares<'a>(results: &Results, label: &str, names: impl Iterator<Item = &'a String>) -> String {
    let mut cells = vec![label.to_owned()];
    cells.extend(names.map(|name| {
        let [total, even] =
            ["total", "even"].map(|part| results.summary(&format!("{name}.{part}")));
        match (total, even) {
            // A single reader shares with nobody.
            (Some(total), _) if name.ends_with(".1") => digits(total.median),
            (Some(total), Some(even)) => {
                format!("{} ({})", digits(total.median), digits(even.median))
            }
            _ => String::new(),
        }
    }));
    line(&cells)
}

fn machine(results: &Results) -> String {
    let entries = results.machine.iter();
    let lines: String = entries
        .map(|(key, value)| format!("- {key}: {value}\n"))
        .collect();
    format!("### The machine\n\n{lines}")
}

/// A table whose first column is text, and the others numbers.
fn table(title: &str, head: &[&str], rows: impl IntoIterator<Item = String>) -> String {
    let rule = format!("| --- |{}", " ---: |".repeat(head.len() - 1));
    let rows: String = rows.into_iter().collect();
    format!("### {title}\n\n| {} |\n{rule}\n{rows}", head.join(" | "))
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A median with its quartiles; a single sample has none.
fn cell(results: &Results, name: &str) -> String {
    match results.summary(name) {
        Some(summary) if summary.count == 1 => digits(summary.median),
        Some(summary) => {
            let quartiles = spread((summary.low, summary.high));
            format!("{} ({quartiles})", digits(summary.median))
        }
        None => results.why_absent(name).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::results_for_tests as results;

    #[test]
    fn the_tables_say_what_is_missing() {
        let text = tables(&results(), None);
        assert!(
            text.starts_with("Reached: 6 of the 8 targets that were measured"),
            "{text}"
        );
        for line in [
            "| from an edit of rust-dev to the verdict | not measured (QUICK=1) |",
            "| MMIO, my_rng: RNG | 103 (102 – 104) | 250 (245 – 255) | 800 (750 – 850) |",
            "| MMIO read of RNG: the device / its twin in C | **1.03** |  | ≤ 1.03 | yes |",
            "| ioctl SEED: the driver / its twin in C | not measured |  | ≤ 1.03 |  |",
            "| zero-copy, 256 KiB: both together / one alone | **1.90** |  | 1.10 | ≥ 1.9 | yes |",
            "| zero-copy, 256 KiB | 100 | 190 (0.800) |  |  |  | 100 |  |",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("before"), "{text}");
    }

    #[test]
    fn a_reason_is_shown_where_a_target_is_missed() {
        let mut results = results();
        let why = "Why ioctl RAND: the driver / its twin in C is missed: what is inline";
        assert!(tables(&results, None).contains(why));
        results
            .series
            .insert("ioctl.rand.rust".into(), vec![100.0; 3]);
        assert!(!tables(&results, None).contains(why));
    }

    #[test]
    fn a_baseline_is_compared_with() {
        let mut baseline = results();
        baseline.series.insert("mmio.rng".into(), vec![206.0; 3]);
        baseline.series.remove("mmio.rng.p99");
        baseline.series.insert("mmio.old".into(), vec![5.0; 3]);
        baseline.machine.insert("commit".into(), "1234abc".into());
        baseline.machine.insert("QEMU".into(), "10.0.13".into());
        let mut results = results();
        results.machine.insert("commit".into(), "5678def".into());
        results.machine.insert("QEMU".into(), "10.0.13".into());
        let text = tables(&results, Some(&baseline));
        for line in [
            "| MMIO read of RNG: the device / its twin in C | **1.03** |  | ≤ 1.03 | yes | 2.06 | 0.500 |",
            "| ioctl SEED: the driver / its twin in C | not measured |  | ≤ 1.03 |  | not in the baseline |  |",
            "| `mmio.rng` | ns | 206 | 103 | 0.500 |",
            "| `mmio.rng.p99` | ns | not in the baseline | 800 |  |",
            "| `mmio.old` | ns | 5.00 |  | not measured now |",
            "- commit: 1234abc before, 5678def now",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("- QEMU: 10.0.13 before"), "{text}");
    }
}
