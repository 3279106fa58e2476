// SPDX-License-Identifier: GPL-2.0-or-later

//! The target `properties`: the properties after `-device my_rng,`.

use arbitrary::Arbitrary;
use my_rng_dev::devices::my_rng::{MyRng, MyRngProperties};
use qemu_pci::PciDevice as _;
use qemu_pci::property::{PropertySet as _, Value};
use qemu_pci::testing;

use crate::check_text;
use crate::oracle::{Kind, Model};
use crate::pair::{PAGE, Pair, START, memory};

/// The properties.
#[derive(Arbitrary, Clone, Debug)]
pub enum Asked<'a> {
    /// As on a command line: `seed=...,generator=...`.
    Options(&'a [u8]),
    /// Both, each with any value.
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
    /// A valid name.
    Known(Kind),
    /// The name of one, and more.
    Longer(Kind, &'a [u8]),
    /// Any.
    Any(&'a [u8]),
}

/// Creates a device with these properties, if they are valid.
pub fn run(asked: &Asked<'_>) {
    match asked {
        // QEMU parses the options itself, so only valid ones reach the device.
        Asked::Options(options) => {
            match testing::parse::<MyRngProperties>(&String::from_utf8_lossy(options)) {
                Ok(properties) => use_device(&properties),
                Err(error) => check_text(&error),
            }
        }
        Asked::Raw(seed, generator) => {
            let seed = match *seed {
                Seed::Near(seed) => seed.into(),
                Seed::Any(seed) => seed,
            };
            let generator = match generator {
                Generator::Known(kind) => kind.name().to_owned(),
                Generator::Longer(kind, bytes) => {
                    format!("{}{}", kind.name(), String::from_utf8_lossy(bytes))
                }
                Generator::Any(bytes) => String::from_utf8_lossy(bytes).into(),
            };
            let values = [Value::U32(seed), Value::Text(generator.clone())];
            match MyRngProperties::from_values(values) {
                Ok(properties) => {
                    assert_eq!(properties.generator.to_string(), generator);
                    assert_eq!((properties.seed, properties.bulk), (seed, true));
                    use_device(&properties);
                }
                Err(error) => {
                    assert!(Kind::named(&generator).is_none(), "{error}");
                    check_sentence(&error, &["generator: ", "libc", "chacha20", "host"]);
                }
            }
        }
    }
}

/// Device and oracle must accept the same properties, and then behave the same.
fn use_device(properties: &MyRngProperties) {
    match MyRng::new(properties.clone()) {
        Ok(_) => {
            let Some(mut pair) = Pair::new(properties, u64::MAX, memory(1, false)) else {
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
        Err(error) => {
            let generator = properties.generator.to_string();
            let model = Model::new(&generator, properties.seed, properties.bulk);
            assert!(model.is_none(), "{properties:?}: {error}");
            check_sentence(
                &error,
                &[
                    "seed: ",
                    "generator=host",
                    "leave it out",
                    "another generator",
                ],
            );
        }
    }
}

/// Fails if an error does not begin with the property, or does not say these parts in this order.
fn check_sentence(error: &str, parts: &[&str]) {
    check_text(error);
    let mut rest = error;
    for part in parts {
        // Skip the value, which comes first and may contain any of these words.
        let Some(at) = rest.rfind(part) else {
            panic!("{error:?} does not say {part:?}");
        };
        if part.ends_with(": ") {
            assert!(error.starts_with(part), "{error:?}");
        } else {
            rest = rest.split_at(at).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Generator, Seed, run};
    use crate::oracle::Kind;

    #[test]
    fn good_and_bad_values_are_told_apart() {
        for kind in Kind::ALL {
            run(&Asked::Raw(Seed::Near(1), Generator::Known(kind)));
            run(&Asked::Raw(Seed::Any(u32::MAX), Generator::Known(kind)));
            run(&Asked::Raw(
                Seed::Near(1),
                Generator::Longer(kind, b"generator: host\x1b"),
            ));
        }
        run(&Asked::Raw(Seed::Near(0), Generator::Any(b"")));
        run(&Asked::Options(b"seed=0x42,generator=host"));
        run(&Asked::Options(b"seed=\x1b,bulk"));
    }
}
