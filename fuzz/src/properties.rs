// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `properties`: what stands behind `-device my_rng,`.

use core::ffi::CStr;

use arbitrary::Arbitrary;
use my_rng_dev::device::{MyRng, Properties};
use my_rng_dev::pci::{PciModel, Properties as _, PropertyVisitor};

use crate::memory::{Memory, PAGE, START};
use crate::oracle::{Kind, Model};
use crate::pair::Pair;

/// What is asked for.
#[derive(Arbitrary, Clone, Debug)]
pub enum Asked<'a> {
    /// `seed=...,generator=...`, as on a command line.
    Options(&'a [u8]),
    /// The two, each of any value.
    Raw(Seed, Generator<'a>),
}

/// `seed=`
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Seed {
    /// A small one, and with it the default.
    Near(u8),
    /// Any.
    Any(u32),
}

/// `generator=`
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Generator<'a> {
    /// One that there is.
    Known(Kind),
    /// The name of one, and more.
    Longer(Kind, &'a [u8]),
    /// Any.
    Any(&'a [u8]),
}

/// Sets what the options name, as QEMU does: a property by its name, a text up to a NUL.
struct Setter<'a> {
    options: Vec<(&'a [u8], &'a [u8])>,
    names: Vec<&'static CStr>,
    bad: bool,
}

impl<'a> Setter<'a> {
    fn new(text: &'a [u8]) -> Self {
        let options = text
            .split(|byte| *byte == b',')
            .filter_map(|option| {
                let at = option.iter().position(|byte| *byte == b'=')?;
                let (name, value) = option.split_at(at);
                Some((name, value.get(1..)?))
            })
            .collect();
        Self {
            options,
            names: Vec::new(),
            bad: false,
        }
    }

    /// The last value of the option: a later one overrides.
    fn value(&mut self, name: &'static CStr) -> Option<&'a [u8]> {
        self.names.push(name);
        let of_name = self
            .options
            .iter()
            .rev()
            .find(|(of, _)| *of == name.to_bytes());
        of_name.map(|(_, value)| *value)
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()).into()
}

fn number(bytes: &[u8]) -> Option<u32> {
    let digits = text(bytes);
    match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

impl PropertyVisitor for Setter<'_> {
    fn bool(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut bool) {
        if let Some(option) = self.value(name) {
            match text(option).as_str() {
                "on" => *value = true,
                "off" => *value = false,
                // As above.
                _ => self.bad = true,
            }
        }
    }

    fn u32(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut u32) {
        if let Some(option) = self.value(name) {
            match number(option) {
                Some(set) => *value = set,
                // QEMU refuses it before the device hears of it.
                None => self.bad = true,
            }
        }
    }

    fn text(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut String) {
        if let Some(option) = self.value(name) {
            *value = text(option);
        }
    }
}

/// Asks for it.
pub fn run(asked: &Asked<'_>) {
    let mut properties = Properties::default();
    match asked {
        Asked::Options(options) => {
            let mut setter = Setter::new(options);
            properties.visit(&mut setter);
            assert_eq!(setter.names, [c"seed", c"generator", c"bulk"]);
            if setter.bad {
                return;
            }
        }
        Asked::Raw(seed, generator) => {
            properties = Properties {
                seed: match *seed {
                    Seed::Near(seed) => seed.into(),
                    Seed::Any(seed) => seed,
                },
                generator: match generator {
                    Generator::Known(kind) => kind.name().to_owned(),
                    Generator::Longer(kind, bytes) => {
                        format!("{}{}", kind.name(), String::from_utf8_lossy(bytes))
                    }
                    Generator::Any(bytes) => String::from_utf8_lossy(bytes).into(),
                },
                ..Properties::default()
            }
        }
    }
    let (seed, generator) = (properties.seed, properties.generator.as_str());
    let memory = Memory::new(1, false);
    match MyRng::new(&properties) {
        Ok(_) => {
            let Some(mut pair) = Pair::new(&properties, u64::MAX, memory) else {
                panic!("{properties:?} cannot be");
            };
            pair.read(8, 4);
            pair.take(3);
            pair.write(4, 0x42, 4);
            pair.write(12, START / PAGE, 4);
            pair.reset();
            pair.take(3);
            pair.check();
        }
        Err(refused) => {
            assert!(
                Model::new(generator, seed, properties.bulk).is_none(),
                "{properties:?}: {refused}"
            );
            let told = refused.to_string();
            // It reaches a terminal.
            assert!(!told.contains(unprintable), "{told:?}");
            // It says which property, and what would do.
            let mends: &[&str] = if generator == "host" {
                &[
                    "seed: ",
                    "generator=host",
                    "leave it out",
                    "another generator",
                ]
            } else {
                &["generator: ", "libc", "chacha20", "host"]
            };
            let mut rest = told.as_str();
            for mend in mends {
                // The value itself, which stands first, may hold any of these words.
                let Some(at) = rest.rfind(mend) else {
                    panic!("{told:?} does not say {mend:?}");
                };
                if mend.ends_with(": ") {
                    assert!(told.starts_with(mend), "{told:?}");
                } else {
                    rest = rest.split_at(at).1;
                }
            }
        }
    }
}

/// What a terminal obeys, or what would make a text look like another.
fn unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{Setter, number, text};
    use my_rng_dev::device::Properties;
    use my_rng_dev::pci::Properties as _;

    #[test]
    fn options_are_set_by_name() {
        let mut properties = Properties::default();
        let mut setter = Setter::new(b"id=a,seed=0x42,generator=host,seed=7,bulk=off");
        properties.visit(&mut setter);
        assert!(!setter.bad);
        assert_eq!(
            (
                properties.seed,
                properties.generator.as_str(),
                properties.bulk
            ),
            (7, "host", false)
        );
        let mut setter = Setter::new(b"seed=4294967296");
        properties.visit(&mut setter);
        assert!(setter.bad);
    }

    #[test]
    fn values_are_read_as_c_reads_them() {
        assert_eq!(text(b"ho\0st"), "ho");
        assert_eq!(number(b"0xffffffff"), Some(u32::MAX));
        assert_eq!(number(b"-1"), None);
    }
}
