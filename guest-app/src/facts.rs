// SPDX-License-Identifier: GPL-2.0-or-later

//! The output of `info` and `list`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use my_rng::{Error, Generator, Info};
use serde::Serialize;

use crate::cli::Shape;

/// A device as JSON. The README documents the names.
#[derive(Serialize)]
struct Facts<'a> {
    node: String,
    device: &'a str,
    driver: Option<&'a str>,
    generator: &'static str,
    bits: Option<u32>,
    hwrng: bool,
    bulk: Option<bool>,
    words: u64,
    seeds: u64,
}

impl<'a> From<&'a Info> for Facts<'a> {
    fn from(info: &'a Info) -> Self {
        Self {
            node: text(&info.node),
            device: &info.device,
            driver: info.driver.as_deref(),
            generator: info.generator.name(),
            bits: info.generator.bits(),
            hwrng: info.hwrng,
            bulk: info.bulk,
            words: info.words,
            seeds: info.seeds,
        }
    }
}

/// An element of `list` as JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed<'a> {
    Device(Facts<'a>),
    Node { node: String, error: String },
}

/// JSON strings are UTF-8, paths need not be.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn meaning(generator: Generator) -> &'static str {
    match generator {
        Generator::Libc => "31-bit numbers from a seed: bit 31 is always 0",
        Generator::ChaCha20 | Generator::ChaCha8 => "32-bit numbers from a seed",
        Generator::Xoshiro256PlusPlus => "32-bit numbers from a seed, for simulation",
        Generator::Host => "32-bit numbers from the host's entropy: no seed",
        Generator::Unknown => "a classic device of two registers, or one newer than the driver",
    }
}

fn yes_or_no(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown (the driver is older than this program)",
    }
}

pub fn info(output: &mut impl Write, info: &Info, shape: Shape) -> io::Result<()> {
    match shape {
        Shape::Text => {
            let meaning = meaning(info.generator);
            writeln!(output, "node:       {}", info.node.display())?;
            writeln!(output, "device:     {}", info.device)?;
            writeln!(
                output,
                "driver:     {}",
                info.driver.as_deref().unwrap_or("none (unbound)")
            )?;
            writeln!(output, "generator:  {} ({meaning})", info.generator)?;
            writeln!(output, "hwrng:      {}", yes_or_no(Some(info.hwrng)))?;
            writeln!(output, "bulk:       {}", yes_or_no(info.bulk))?;
            writeln!(output, "words:      {}", info.words)?;
            writeln!(output, "seeds:      {}", info.seeds)
        }
        Shape::Json => json(output, &Facts::from(info)),
    }
}

/// A node and its device, or why it cannot be queried.
pub type Entry = (PathBuf, Result<Info, Error>);

pub fn list(output: &mut impl Write, entries: &[Entry], shape: Shape) -> io::Result<()> {
    match shape {
        Shape::Text => {
            let width = |column: fn(&Entry) -> usize| entries.iter().map(column).max();
            let node = width(|(path, _)| text(path).len()).unwrap_or_default();
            let device = width(|(_, info)| info.as_ref().map_or(1, |info| info.device.len()))
                .unwrap_or_default();
            for (path, info) in entries {
                let (place, generator) = match info {
                    Ok(info) => (info.device.as_str(), info.generator.name()),
                    Err(_) => ("-", "-"),
                };
                writeln!(output, "{:node$}  {place:device$}  {generator}", text(path))?;
            }
            Ok(())
        }
        Shape::Json => {
            let list: Vec<_> = entries
                .iter()
                .map(|(path, info)| match info {
                    Ok(info) => Listed::Device(info.into()),
                    Err(error) => Listed::Node {
                        node: text(path),
                        error: error.to_string(),
                    },
                })
                .collect();
            json(output, &list)
        }
    }
}

fn json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(node: &str, device: &str, generator: Generator) -> Info {
        Info {
            node: node.into(),
            device: device.to_owned(),
            driver: Some("my_rng".to_owned()),
            generator,
            hwrng: false,
            bulk: Some(true),
            words: 123,
            seeds: 4,
        }
    }

    fn first() -> Info {
        device("/dev/my_rng_driver", "0000:00:04.0", Generator::Libc)
    }

    fn entries() -> [Entry; 3] {
        let node = |info: Info| (info.node.clone(), Ok(info));
        let missing = Path::new("/nonexistent");
        [
            node(first()),
            (
                missing.to_owned(),
                Err(my_rng::Device::open(missing).expect_err("a node that is not there")),
            ),
            node(device(
                "/dev/my_rng_driver10",
                "10000:e1:00.0",
                Generator::Host,
            )),
        ]
    }

    fn printed(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut output = Vec::new();
        print(&mut output).expect("writing to memory");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn info_as_text() {
        assert_eq!(
            printed(|output| info(output, &first(), Shape::Text)),
            "node:       /dev/my_rng_driver\n\
             device:     0000:00:04.0\n\
             driver:     my_rng\n\
             generator:  libc (31-bit numbers from a seed: bit 31 is always 0)\n\
             hwrng:      no\n\
             bulk:       yes\n\
             words:      123\n\
             seeds:      4\n"
        );
        let unbound = Info {
            driver: None,
            hwrng: true,
            bulk: Some(false),
            generator: Generator::Host,
            ..first()
        };
        let text = printed(|output| info(output, &unbound, Shape::Text));
        for line in [
            "driver:     none (unbound)\n",
            "hwrng:      yes\n",
            "bulk:       no\n",
            "no seed",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let older = Info {
            bulk: None,
            ..first()
        };
        let text = printed(|output| info(output, &older, Shape::Text));
        assert!(text.contains("bulk:       unknown ("), "{text}");
    }

    #[test]
    fn info_as_json() {
        assert_eq!(
            printed(|output| info(output, &first(), Shape::Json)),
            r#"{
  "node": "/dev/my_rng_driver",
  "device": "0000:00:04.0",
  "driver": "my_rng",
  "generator": "libc",
  "bits": 31,
  "hwrng": false,
  "bulk": true,
  "words": 123,
  "seeds": 4
}
"#
        );
        let unknown = Info {
            node: "/dev/\"quoted\"\n".into(),
            driver: None,
            generator: Generator::Unknown,
            bulk: None,
            ..first()
        };
        let text = printed(|output| info(output, &unknown, Shape::Json));
        for line in [
            r#""node": "/dev/\"quoted\"\n""#,
            r#""driver": null"#,
            r#""generator": "unknown""#,
            r#""bits": null"#,
            r#""bulk": null"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn list_as_text() {
        assert_eq!(
            printed(|output| list(output, &entries(), Shape::Text)),
            "/dev/my_rng_driver    0000:00:04.0   libc\n\
             /nonexistent          -              -\n\
             /dev/my_rng_driver10  10000:e1:00.0  host\n"
        );
        assert_eq!(printed(|output| list(output, &[], Shape::Text)), "");
    }

    #[test]
    fn list_as_json() {
        let text = printed(|output| list(output, &entries(), Shape::Json));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value[0]["node"], "/dev/my_rng_driver");
        assert_eq!(value[0]["bits"], 31);
        assert_eq!(value[1]["node"], "/nonexistent");
        let error = value[1]["error"].as_str().expect("an error");
        assert!(error.starts_with("cannot open /nonexistent: "), "{error}");
        assert_eq!(value[2]["generator"], "host");
        assert_eq!(printed(|output| list(output, &[], Shape::Json)), "[]\n");
    }
}
