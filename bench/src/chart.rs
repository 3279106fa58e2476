// SPDX-License-Identifier: GPL-2.0-or-later

//! Charts: bars with their quartiles, as SVG. They have a white background, for pages of any color.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::digits;
use crate::results::Results;
use crate::stats::Summary;
use crate::{Error, names};

struct Bar {
    label: String,
    value: Summary,
    /// Whether it is a part of this project.
    ours: bool,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Log,
}

const WIDTH: u32 = 900;
const ROW: u32 = 28;
const TOP: u32 = 64;
const BOTTOM: u32 = 14;
/// Where the bars begin, and how long the longest is.
const LEFT: i32 = 300;
const LENGTH: f64 = 480.0;

const OURS: RGBColor = RGBColor(0xb7, 0x41, 0x0e);
const OTHERS: RGBColor = RGBColor(0x7a, 0x86, 0x94);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);

/// Draws all charts into a directory.
pub fn draw_all(results: &Results, folder: &Path) -> Result<(), Error> {
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
    let latencies = names::LATENCIES.map(|(name, what)| (name.to_owned(), what.to_owned()));
    draw(
        &folder.join("bench-latency.svg"),
        "Latency in the guest, in ns",
        "Lower is better. Median of one access or one call; the line spans the quartiles.",
        &bars(&latencies),
        Scale::Linear,
    )?;
    draw(
        &folder.join("bench-throughput.svg"),
        "Throughput in the guest, in MB/s, on a logarithmic scale",
        "Higher is better. Median; the line spans the quartiles.",
        &bars(&names::throughputs()),
        Scale::Log,
    )?;
    let mut bars = bars(&names::readers_chart());
    for bar in &mut bars {
        bar.ours = !bar.label.contains("parallel=off");
    }
    draw(
        &folder.join("bench-readers.svg"),
        "Readers at once, each with its own device (xoshiro256pp), all together, in MB/s",
        "Higher is better. Median; the line spans the quartiles. parallel=off: the device keeps QEMU's big lock.",
        &bars,
        Scale::Linear,
    )
}

/// Draws a chart of horizontal bars.
fn draw(path: &Path, title: &str, note: &str, bars: &[Bar], scale: Scale) -> Result<(), Error> {
    let most = bars.iter().map(|bar| bar.value.high).fold(0.0, f64::max);
    let least = bars.iter().map(|bar| bar.value.low).fold(most, f64::min);
    // On a logarithmic scale the shortest bar must be visible too.
    let bottom = least / 3.0;
    let place = |value: f64| -> i32 {
        let part = match scale {
            Scale::Linear => value / most,
            Scale::Log => (value / bottom).ln() / (most / bottom).ln(),
        };
        LEFT + (part.clamp(0.0, 1.0) * LENGTH) as i32
    };
    let rows = u32::try_from(bars.len())?;
    let size = (WIDTH, TOP + rows * ROW + BOTTOM);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE)?;
        write(&area, title, (16, 22), 18, &INK, HPos::Left)?;
        write(&area, note, (16, 44), 13, &FAINT, HPos::Left)?;
        for (row, bar) in (0_i32..).zip(bars) {
            let top = TOP as i32 + row * ROW as i32;
            let middle = top + ROW as i32 / 2;
            let color = if bar.ours { OURS } else { OTHERS };
            write(&area, &bar.label, (LEFT - 8, middle), 13, &INK, HPos::Right)?;
            area.draw(&Rectangle::new(
                [
                    (LEFT, top + 5),
                    (place(bar.value.median), top + ROW as i32 - 5),
                ],
                color.filled(),
            ))?;
            let (low, high) = (place(bar.value.low), place(bar.value.high));
            area.draw(&PathElement::new(vec![(low, middle), (high, middle)], INK))?;
            for end in [low, high] {
                let tick = vec![(end, middle - 4), (end, middle + 4)];
                area.draw(&PathElement::new(tick, INK))?;
            }
            let value = digits(bar.value.median);
            let beside = high.max(place(bar.value.median)) + 8;
            write(&area, &value, (beside, middle), 13, &INK, HPos::Left)?;
        }
        area.present()?;
    }
    std::fs::write(path, text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok(())
}

fn write(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    text: &str,
    at: (i32, i32),
    size: i32,
    color: &RGBColor,
    side: HPos,
) -> Result<(), Error> {
    let style = ("sans-serif", size)
        .into_font()
        .color(color)
        .pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_its_texts_on_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chart.svg");
        let bar = |label: &str, median: f64| Bar {
            label: label.to_owned(),
            value: Summary {
                low: median * 0.9,
                median,
                high: median * 1.1,
                interval: None,
                count: 3,
            },
            ours: label == "ours",
        };
        let bars = [bar("ours", 4000.0), bar("theirs", 0.7)];
        for scale in [Scale::Linear, Scale::Log] {
            draw(&path, "Title", "note", &bars, scale).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            for word in [
                "<svg", "#FFFFFF", "Title", "note", "ours", "theirs", "4000", "0.700",
            ] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
        draw(&path, "Nothing", "", &[], Scale::Log).unwrap();
    }
}
