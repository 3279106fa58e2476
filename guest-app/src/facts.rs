// SPDX-License-Identifier: GPL-2.0-or-later

//! The output of `info` and `list`.

use std::io::{self, Write};
use std::path::Path;

use my_rng::{Error, Generator, Info};
use serde::{Serialize, Serializer};

use crate::cli::Shape;

/// What is printed of a device: as JSON, these names. The README documents them.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    node: String,
    device: String,
    driver: Option<String>,
    #[serde(serialize_with = "name")]
    generator: Generator,
    bits: Option<u32>,
    hwrng: bool,
    bulk: Option<bool>,
    words: Option<u64>,
    seeds: Option<u64>,
}

impl From<Info> for Facts {
    fn from(info: Info) -> Self {
        Self {
            node: text(&info.node),
            device: info.device,
            driver: info.driver,
            generator: info.generator,
            bits: info.generator.bits(),
            hwrng: info.hwrng,
            bulk: info.bulk,
            words: info.words,
            seeds: info.seeds,
        }
    }
}

/// A line of `list`: a device, or one that cannot be queried.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    Device(Facts),
    Failed { node: String, error: String },
}

impl Entry {
    pub fn new(node: &Path, info: &Result<Info, Error>) -> Self {
        match info {
            Ok(info) => Self::Device(info.clone().into()),
            Err(error) => Self::Failed {
                node: text(node),
                error: error.to_string(),
            },
        }
    }

    /// The columns of the text format.
    fn columns(&self) -> [&str; 4] {
        match self {
            Self::Device(facts) => {
                let driver = facts.driver.as_deref().unwrap_or("no driver");
                [&facts.node, &facts.device, facts.generator.name(), driver]
            }
            Self::Failed { node, .. } => [node, "-", "-", "-"],
        }
    }
}

fn name<S: Serializer>(generator: &Generator, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(generator.name())
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
        _ => "a classic device of two registers, or one newer than the driver",
    }
}

fn yes_or_no(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown (the driver is older than this program)",
    }
}

fn count(count: Option<u64>) -> String {
    count.map_or_else(
        || "not counted (no driver)".to_owned(),
        |count| count.to_string(),
    )
}

pub fn info(output: &mut impl Write, facts: &Facts, shape: Shape) -> io::Result<()> {
    match shape {
        Shape::Text => {
            let driver = facts.driver.as_deref().unwrap_or("none");
            let meaning = meaning(facts.generator);
            writeln!(output, "node:       {}", facts.node)?;
            writeln!(output, "device:     {}", facts.device)?;
            writeln!(output, "driver:     {driver}")?;
            writeln!(output, "generator:  {} ({meaning})", facts.generator)?;
            writeln!(output, "hwrng:      {}", yes_or_no(Some(facts.hwrng)))?;
            writeln!(output, "bulk:       {}", yes_or_no(facts.bulk))?;
            writeln!(output, "words:      {}", count(facts.words))?;
            writeln!(output, "seeds:      {}", count(facts.seeds))
        }
        Shape::Json => json(output, facts),
    }
}

pub fn list(output: &mut impl Write, entries: &[Entry], shape: Shape) -> io::Result<()> {
    match shape {
        Shape::Text => {
            let lines: Vec<_> = entries.iter().map(Entry::columns).collect();
            let [node, device, generator] = [0, 1, 2].map(|column| {
                let widths = lines.iter().filter_map(|line| line.get(column));
                widths.map(|text| text.len()).max().unwrap_or_default()
            });
            for [path, place, name, driver] in lines {
                writeln!(
                    output,
                    "{path:node$}  {place:device$}  {name:generator$}  {driver}"
                )?;
            }
            Ok(())
        }
        Shape::Json => json(output, &entries),
    }
}

fn json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(node: &str, device: &str, generator: Generator) -> Facts {
        Facts {
            node: node.to_owned(),
            device: device.to_owned(),
            driver: Some("my_rng".to_owned()),
            generator,
            bits: generator.bits(),
            hwrng: false,
            bulk: Some(true),
            words: Some(123),
            seeds: Some(4),
        }
    }

    fn first() -> Facts {
        device("/dev/my_rng_driver", "0000:00:04.0", Generator::Libc)
    }

    fn driverless() -> Facts {
        Facts {
            driver: None,
            bulk: Some(false),
            words: None,
            seeds: None,
            ..device("pci:0000:00:05.0", "0000:00:05.0", Generator::Libc)
        }
    }

    fn entries() -> [Entry; 4] {
        let missing = "/nonexistent";
        let error = my_rng::Device::open(missing).expect_err("a node that is not there");
        let last = device("/dev/my_rng_driver10", "10000:e1:00.0", Generator::Host);
        [
            Entry::Device(first()),
            Entry::new(Path::new(missing), &Err(error)),
            Entry::Device(last),
            Entry::Device(driverless()),
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
        let unbound = Facts {
            driver: None,
            hwrng: true,
            bulk: Some(false),
            generator: Generator::Host,
            ..first()
        };
        let text = printed(|output| info(output, &unbound, Shape::Text));
        for line in [
            "driver:     none\n",
            "hwrng:      yes\n",
            "bulk:       no\n",
            "no seed",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let older = Facts {
            bulk: None,
            ..first()
        };
        let text = printed(|output| info(output, &older, Shape::Text));
        assert!(text.contains("bulk:       unknown ("), "{text}");
    }

    #[test]
    fn info_without_a_driver() {
        let text = printed(|output| info(output, &driverless(), Shape::Text));
        for line in [
            "node:       pci:0000:00:05.0\n",
            "driver:     none\n",
            "bulk:       no\n",
            "words:      not counted (no driver)\n",
            "seeds:      not counted (no driver)\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let text = printed(|output| info(output, &driverless(), Shape::Json));
        for line in [r#""driver": null"#, r#""words": null"#, r#""seeds": null"#] {
            assert!(text.contains(line), "{text}");
        }
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
        let unknown = Facts {
            node: "/dev/\"quoted\"\n".into(),
            driver: None,
            generator: Generator::Unknown,
            bits: None,
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
            "/dev/my_rng_driver    0000:00:04.0   libc  my_rng\n\
             /nonexistent          -              -     -\n\
             /dev/my_rng_driver10  10000:e1:00.0  host  my_rng\n\
             pci:0000:00:05.0      0000:00:05.0   libc  no driver\n"
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
