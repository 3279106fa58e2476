// SPDX-License-Identifier: GPL-2.0-or-later

//! The list of all figures, with their targets.

use super::{Figure, Section, Target};
use crate::names::{BUSY, FAST, HOWS, MIB, SHARED, readers};
use crate::results::Results;

const AS_FAST_AS_C: Target = Target::at_most(1.03);

const ACCESS_AS_FAST_AS_C: Target = AS_FAST_AS_C.missed_because(
    "in five runs it was 0.99 to 1.10, and two devices of the same kind in one run differed by 6 %: under TCG it matters \
     where in QEMU's process code and tables lie.",
);

const CALL_AS_FAST_AS_C: Target = AS_FAST_AS_C.missed_because(
    "what is inline in the kernel's C (RCU, register access) is a call from Rust, and under TCG each call takes 15 to \
     25 ns, although the driver has C functions that do several steps each. A kernel with inlined helpers still calls \
     the driver's own C functions.",
);

const NEAR_NATIVE: Target = Target::at_least(0.8).missed_because(
    "each call takes 2 to 3 µs beside the filling (ioctl, descriptor, mapping). Where QEMU keeps its big lock during the \
     transfer, its main loop waits for the lock, and each fill wakes it in vain: 7 to 8 µs more.",
);

const TWICE: Target = Target::at_least(1.9);

const IN_PARALLEL: Target = Target::at_least(1.6);

const EVEN: Target = Target::at_least(0.9);

/// Three percent are allowed for noise.
const FAIR: Target = Target::at_least(0.97);

/// All figures, by topic.
pub fn sections(results: &Results) -> Vec<Section> {
    let section = |title, figures| Section { title, figures };
    vec![
        section(
            "The device and the driver beside the same in C",
            twins(results),
        ),
        section("The device beside other sources of bytes", sources(results)),
        section(
            "Zero-copy: the mapped buffer, filled by the device",
            zero_copy(results),
        ),
        section(
            "Two readers, each with its own device (xoshiro256pp)",
            devices(results),
        ),
        section("Two readers of one device", sharing(results)),
        section(
            "A register read of one device, while another device is filled",
            beside(results),
        ),
        section("Many readers on four vCPUs", many(results)),
        section("Making a device", realizes(results)),
    ]
}

fn twins(results: &Results) -> Vec<Figure> {
    let ratio = |what: &str, of: &str, to: &str| Figure::ratio(results, what, of, to);
    let mut figures = vec![
        ratio(
            "MMIO read of RNG: the device / its twin in C",
            "mmio.rng",
            "mmio.twin",
        )
        .target(ACCESS_AS_FAST_AS_C),
        ratio(
            "check of the measurement: MMIO read of RNG, one my_rng / another",
            "mmio.rng",
            "mmio.other",
        ),
        ratio(
            "MMIO read of a constant register: INFO of the device / the identification of `edu`",
            "mmio.info",
            "mmio.edu",
        ),
    ];
    for (call, name) in [("rand", "RAND"), ("seed", "SEED")] {
        for (prefix, kernel, target) in [
            ("", "", CALL_AS_FAST_AS_C),
            (
                "inline.",
                ", in a kernel with inlined helpers",
                AS_FAST_AS_C,
            ),
        ] {
            let what = format!("ioctl {name}: the driver / its twin in C{kernel}");
            let [rust, c] =
                ["rust", "c"].map(|language| format!("{prefix}ioctl.{call}.{language}"));
            figures.push(ratio(&what, &rust, &c).target(target));
        }
    }
    figures
}

fn sources(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (size, name, others) in [
        ("64", "64 bytes", &[("/dev/urandom", "urandom", 1.0)][..]),
        ("4096", "4 KiB", &[("/dev/urandom", "urandom", 1.0)]),
        (
            MIB,
            "1 MiB",
            &[
                ("a tmpfs file", "tmpfs", 0.9),
                ("/dev/urandom", "urandom", 5.0),
                ("virtio-rng", "virtio", 400.0),
            ],
        ),
    ] {
        for (generator, _) in FAST {
            for (other, source, bound) in others {
                let what = format!("read() of {name}: {generator} / {other}");
                let [of, to] = [generator, *source].map(|source| format!("read.{source}.{size}"));
                figures
                    .push(Figure::ratio(results, &what, &of, &to).target(Target::at_least(*bound)));
            }
        }
    }
    figures
}

fn zero_copy(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (generator, bound) in FAST {
        let fill = format!("fill.{generator}.262144");
        let native = format!("native.{generator}");
        let what = format!("{generator} / the generator natively on the host");
        let off = format!(
            "{}.total",
            readers("fill.262144", &format!("{generator}.off"), 1)
        );
        let off = Figure::ratio(results, &what, &off, &native);
        figures.push(
            Figure::ratio(results, &what, &fill, &native)
                .target(NEAR_NATIVE)
                .off(&off),
        );
        figures.push(Figure::single(results, generator, &fill).target(Target::at_least(bound)));
    }
    figures
}

/// Two readers together, compared with one alone.
fn together(results: &Results, label: &str, how: &str, kind: &str) -> [Figure; 2] {
    let [one, two] = [1, 2].map(|count| readers(how, kind, count));
    [
        Figure::ratio(
            results,
            &format!("{label}: both together / one alone"),
            &format!("{two}.total"),
            &format!("{one}.total"),
        ),
        Figure::single(
            results,
            &format!("{label}: the slower / the faster"),
            &format!("{two}.even"),
        ),
    ]
}

fn devices(results: &Results) -> Vec<Figure> {
    let figures = HOWS.iter().flat_map(|(how, label)| {
        let [sum, even] = together(results, label, how, "own");
        let [sum_off, even_off] = together(results, label, how, "own.off");
        [
            sum.target(TWICE).off(&sum_off),
            even.target(EVEN).off(&even_off),
        ]
    });
    figures.collect()
}

fn sharing(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (generator, is_parallel) in SHARED {
        for (how, label) in &HOWS[..2] {
            let label = format!("{generator}, {label}");
            let [mut sum, even] = together(results, &label, how, generator);
            let [sum_off, even_off] = together(results, &label, how, &format!("{generator}.off"));
            if is_parallel {
                sum = sum.target(IN_PARALLEL);
            }
            figures.extend([sum.off(&sum_off), even.target(EVEN).off(&even_off)]);
        }
    }
    figures
}

fn beside(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for generator in BUSY {
        let name = |part: &str| format!("beside.{generator}.{part}");
        let what = format!("{generator}: median / median without the fill");
        let median = |part: &str| Figure::ratio(results, &what, &name(part), "beside.idle.p50");
        figures.push(
            median("p50")
                .target(Target::at_most(1.1))
                .off(&median("off.p50")),
        );
        let what = format!("{generator}: 99th percentile");
        let slowest = |part: &str| {
            let figure = Figure::single(results, &what, &name(part)).scaled(0.001);
            Figure {
                unit: "µs",
                ..figure
            }
        };
        figures.push(
            slowest("p99")
                .target(Target::at_most(20.0))
                .off(&slowest("off.p99")),
        );
    }
    figures
}

/// What the first reader has beside others, compared with its fair share.
fn many(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (how, label) in &HOWS[..2] {
        for count in [8, 30] {
            let what = format!(
                "{label}: the first reader beside {} more devices being read / its fair share (what it has \
                 alone / {count})",
                count - 1,
            );
            let [alone, beside] =
                [1, count].map(|count| format!("{}.first", readers(how, "own", count)));
            let figure = Figure::ratio(results, &what, &beside, &alone);
            figures.push(figure.scaled(count.into()).target(FAIR));
        }
    }
    figures
}

fn realizes(results: &Results) -> Vec<Figure> {
    let one = "realize.my_rng.1";
    let ratio = |what: &str, of: &str, to: &str| Figure::ratio(results, what, of, to);
    vec![
        Figure::single(results, "realize of a device", one).target(Target::at_most(1000.0)),
        ratio(
            "realize of 30 devices / 30 times that of one",
            "realize.my_rng.30",
            one,
        )
        .scaled(1.0 / 30.0)
        .target(Target::at_most(1.1)),
        ratio(
            "realize of a device / of its twin in C",
            one,
            "realize.my-rng-twin.1",
        ),
    ]
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
            ("mmio.rng.p50", [240.0, 250.0, 260.0]),
            ("mmio.rng.p99", [900.0, 800.0, 700.0]),
            ("ioctl.rand.rust", [130.0, 130.0, 130.0]),
            ("ioctl.rand.c", [100.0, 100.0, 100.0]),
            ("readers.fill.262144.own.1.total", [100.0, 100.0, 100.0]),
            ("readers.fill.262144.own.2.total", [195.0, 190.0, 185.0]),
            ("readers.fill.262144.own.2.even", [0.9, 0.8, 0.7]),
            ("readers.fill.262144.own.off.1.total", [100.0, 100.0, 100.0]),
            ("readers.fill.262144.own.off.2.total", [110.0, 110.0, 110.0]),
            ("readers.read.65536.own.1.first", [100.0, 100.0, 100.0]),
            ("readers.read.65536.own.8.first", [15.0, 14.0, 10.0]),
            ("beside.idle.p50", [200.0, 200.0, 200.0]),
            ("beside.host.p50", [210.0, 220.0, 230.0]),
            ("beside.host.p99", [9000.0, 8000.0, 7000.0]),
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
        let sections = sections(&results());
        let find = |start: &str| {
            let mut figures = sections.iter().flat_map(|section| &section.figures);
            figures
                .find(|figure| figure.what.starts_with(start))
                .unwrap()
        };
        let value = |start| find(start).value.unwrap().median;
        assert_eq!(value("MMIO read of RNG"), 1.03);
        assert_eq!(find("MMIO read of RNG").reached(), Some(true));
        assert_eq!(value("ioctl RAND"), 1.3);
        assert_eq!(find("ioctl RAND").reached(), Some(false));
        assert_eq!(find("ioctl SEED").reached(), None);
        let fills = "zero-copy, 256 KiB: ";
        let two = find(&format!("{fills}both together"));
        assert_eq!(two.value.unwrap().median, 1.9);
        assert_eq!(two.off.unwrap().median, 1.1);
        assert_eq!(two.reached(), Some(true));
        assert_eq!(find(&format!("{fills}the slower")).reached(), Some(false));
        assert_eq!(value("host: median"), 1.1);
        assert_eq!(value("host: 99th percentile"), 8.0);
        assert_eq!(find("host: 99th percentile").unit, "µs");
        assert_eq!(value("read() of 64 KiB: the first reader beside 7"), 1.12);
        assert_eq!(find("realize of a device").value_cell(), "**200** µs");
    }

    #[test]
    fn the_list_of_figures_does_not_depend_on_the_results() {
        let whats = |results: &Results| -> Vec<_> {
            let sections = sections(results).into_iter();
            sections
                .flat_map(|section| section.figures)
                .map(|figure| figure.what)
                .collect()
        };
        assert_eq!(whats(&results()), whats(&Results::default()));
    }
}
