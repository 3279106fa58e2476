// SPDX-License-Identifier: GPL-2.0-or-later

//! Runs the targets on the committed corpora, without a fuzzer.

use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use my_rng_fuzz::{devices, mmio, properties, vmstate};

/// Every file of a corpus, decoded like in libFuzzer's targets.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        let path = entry.expect("the corpus can be listed").path();
        println!("{}", path.display());
        run(&std::fs::read(&path).expect("the corpus can be read"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

/// What the bytes mean to a target.
fn parse<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(bytes)).ok()
}

#[test]
fn mmio() {
    replay("mmio", |bytes| {
        if let Some(script) = parse(bytes) {
            mmio::run(&script);
        }
    });
}

#[test]
fn vmstate() {
    replay("vmstate", |bytes| {
        if let Some(arrival) = parse(bytes) {
            vmstate::run(&arrival);
        }
    });
}

#[test]
fn properties() {
    replay("properties", |bytes| {
        if let Some(asked) = parse(bytes) {
            properties::run(&asked);
        }
    });
}

#[test]
fn devices() {
    replay("devices", |bytes| {
        if let Some(life) = parse(bytes) {
            devices::run(&life);
        }
    });
}
