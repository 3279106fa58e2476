// SPDX-License-Identifier: GPL-2.0-or-later

//! Measures, and writes what came of it. `scripts/bench.sh` runs it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use my_rng_bench::chart::{self, Bar, Scale};
use my_rng_bench::guest::{self, Setup};
use my_rng_bench::results::Results;
use my_rng_bench::{Error, host, realize, report};
use my_rng_vm::signals;

/// Measure the device and the driver beside their twins in C and beside what else gives a guest bytes
#[derive(Parser)]
#[command(name = "my-rng-bench")]
struct Options {
    /// The QEMU that has the device's twin
    #[arg(long, value_name = "BIN")]
    qemu: PathBuf,
    /// The folder of the guest's modules my_rng_twin.ko and virtio-rng.ko
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Where results.json, table.md and the charts go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What was measured already: lines of NAME SECONDS, or NAME - WHY
    #[arg(long, value_name = "FILE")]
    times: Option<PathBuf>,
    /// Measure everything so often
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Write benchmarks.md, and the charts into pictures/, into this folder too
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(my_rng_vm::Error::Interrupted(signal)) = error.downcast_ref() {
                signals::die_of(*signal);
            }
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Error> {
    let mut results = Results {
        machine: host::describe(&options.qemu),
        ..Results::default()
    };
    results
        .machine
        .insert("rounds".to_owned(), options.rounds.to_string());
    if let Some(path) = &options.times {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        results.times(&text)?;
    }
    let mut generators = Vec::new();
    for generator in ["libc", "chacha20", "chacha8", "xoshiro256pp", "host"] {
        if realize::can_make(&options.qemu, "my_rng", generator)? {
            generators.push(generator);
        } else {
            for start in ["read", "fill"] {
                let why = "not there: this device has no such generator";
                results
                    .absent
                    .insert(format!("{start}.{generator}."), why.to_owned());
            }
        }
    }
    for _ in 0..options.rounds {
        realize::sample(&mut results, &options.qemu)?;
    }
    let results = guest::run(
        &Setup {
            qemu: &options.qemu,
            modules: &options.modules,
            generators: &generators,
            rounds: options.rounds,
        },
        results,
    )?;

    let tables = report::tables(&results);
    let mut json = results.json();
    let figures: Vec<_> = report::figures(&results)
        .iter()
        .map(report::Figure::json)
        .collect();
    if let Some(json) = json.as_object_mut() {
        json.insert("figures".to_owned(), figures.into());
    }
    put(&options.out.join("results.json"), &format!("{json:#}\n"))?;
    put(&options.out.join("table.md"), &tables)?;
    charts(&results, &options.out)?;
    if let Some(docs) = &options.publish {
        let pictures = docs.join("pictures");
        charts(&results, &pictures)?;
        put(&docs.join("benchmarks.md"), &page(&tables))?;
    }
    // Who does not read it has it in the file.
    let _ = io::stdout().write_all(tables.as_bytes());
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()).into())
}

const PAGE: &str = include_str!("page.md");

/// The page of the documentation.
fn page(tables: &str) -> String {
    PAGE.replace("TABLES", tables.trim_end())
}

fn charts(results: &Results, folder: &Path) -> Result<(), Error> {
    let bars = |names: &[(String, String)]| -> Vec<Bar> {
        names
            .iter()
            .filter_map(|(name, label)| {
                Some(Bar {
                    label: label.clone(),
                    value: results.summary(name)?,
                    ours: label.contains("my_rng") || label.contains("the driver"),
                })
            })
            .collect()
    };
    let latencies = report::LATENCIES.map(|(name, what)| (name.to_owned(), what.to_owned()));
    chart::draw(
        &folder.join("bench-latency.svg"),
        "Latency in the guest, in ns",
        "Less is better. Median of one access or one call; the line spans the quartiles.",
        &bars(&latencies),
        Scale::Linear,
    )?;
    chart::draw(
        &folder.join("bench-throughput.svg"),
        "Throughput in the guest, in MB/s, on a logarithmic scale",
        "More is better. Median; the line spans the quartiles.",
        &bars(&report::throughputs()),
        Scale::Log,
    )?;
    let readers: Vec<_> = report::readers()
        .into_iter()
        .map(|(name, what)| (format!("{name}.total"), what))
        .collect();
    let mut bars = bars(&readers);
    for bar in &mut bars {
        bar.ours = true;
    }
    chart::draw(
        &folder.join("bench-readers.svg"),
        "Readers at once, all together, in MB/s",
        "More is better. Median; the line spans the quartiles. The guest has 4 processors.",
        &bars,
        Scale::Linear,
    )
}
