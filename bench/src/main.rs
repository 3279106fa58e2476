// SPDX-License-Identifier: GPL-2.0-or-later

//! Measures, and writes the results. `scripts/bench.sh` runs it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use my_rng_bench::guest::{self, Setup};
use my_rng_bench::results::Results;
use my_rng_bench::{Error, baseline, chart, figures, host, names, realize, tables};
use my_rng_vm::{Vm, signals};

/// Measure the device and the driver beside their twins in C and beside other sources of bytes
#[derive(Parser)]
#[command(name = "my-rng-bench")]
struct Options {
    /// The QEMU that has the device's twin
    #[arg(long, value_name = "BIN")]
    qemu: PathBuf,
    /// The directory with the guest's modules my_rng_twin.ko and virtio-rng.ko
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// The directory of a kernel that inlines its C helpers into Rust code, with what the guest needs for it
    #[arg(long, value_name = "DIR")]
    inline: Option<PathBuf>,
    /// Why there is no such kernel
    #[arg(long, value_name = "WHY", conflicts_with = "inline")]
    no_inline: Option<String>,
    /// The directory for results.json, table.md and the charts
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Times that were measured before: lines of NAME SECONDS [NOTE], or NAME - WHY
    #[arg(long, value_name = "FILE")]
    times: Option<PathBuf>,
    /// The results.json of an earlier run to compare with
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Also write benchmarks.md and pictures/ into this directory
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
    // Before the measurement: the file may be wrong, or be replaced by this run.
    let baseline = options.baseline.as_deref().map(baseline::load);
    let baseline = baseline.transpose()?;
    let mut results = Results {
        machine: host::describe(&options.qemu),
        ..Results::default()
    };
    results
        .machine
        .insert("rounds".to_owned(), options.rounds.to_string());
    if let Some(why) = &options.no_inline {
        for (name, _) in names::INLINE {
            results.absent.insert(name.to_owned(), why.clone());
        }
    }
    if let Some(path) = &options.times {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        results.times(&text)?;
    }
    let vm = Vm::from_build()?;
    for _ in 0..options.rounds {
        realize::sample(&mut results, &options.qemu, vm.machine())?;
    }
    let setup = Setup {
        qemu: &options.qemu,
        modules: &options.modules,
        other: None,
        rounds: options.rounds,
    };
    let mut results = guest::run(&setup, results)?;
    if let Some(folder) = &options.inline {
        let setup = Setup {
            modules: &folder.join("bench"),
            other: Some(folder),
            ..setup
        };
        results.add_inline(guest::run(&setup, Results::default())?);
    }

    let tables = tables::tables(&results, baseline.as_ref());
    let mut json = results.json();
    let sections = figures::sections(&results);
    let figures = sections.iter().flat_map(|section| &section.figures);
    let figures: Vec<_> = figures.map(figures::Figure::json).collect();
    if let Some(json) = json.as_object_mut() {
        json.insert("figures".to_owned(), figures.into());
    }
    put(&options.out.join("results.json"), &format!("{json:#}\n"))?;
    put(&options.out.join("table.md"), &tables)?;
    chart::draw_all(&results, &options.out)?;
    if let Some(docs) = &options.publish {
        let pictures = docs.join("pictures");
        chart::draw_all(&results, &pictures)?;
        let tables = tables::tables(&results, None);
        let page = include_str!("page.md").replace("TABLES", tables.trim_end());
        put(&docs.join("benchmarks.md"), &page)?;
    }
    // A reader that is gone is no error: the file has it too.
    let _ = io::stdout().write_all(tables.as_bytes());
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()).into())
}
