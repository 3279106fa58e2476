// SPDX-License-Identifier: GPL-2.0-or-later

//! The pictures of `docs/pictures/`, new ones and those that are there: what can be read on them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use my_rng_e2e::{Picture, abi, built, known_answers, pictures, root};

fn read(file: &Path) -> Picture {
    let name = file.display();
    let png = File::open(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut png = png::Decoder::new(BufReader::new(png))
        .read_info()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut pixels = vec![0; png.output_buffer_size().expect("a size")];
    let info = png.next_frame(&mut pixels).expect("a whole picture");
    assert_eq!(
        (info.color_type, info.bit_depth),
        (png::ColorType::Rgb, png::BitDepth::Eight),
        "{name}"
    );
    pixels.truncate(info.buffer_size());
    Picture::new(info.width as usize, &pixels)
}

/// The text of a picture of a screen of 80 by 25 characters.
fn text(folder: &Path, name: &str) -> Vec<String> {
    let picture = read(&folder.join(name));
    assert_eq!(picture.size(), (720, 400), "{name}");
    assert!(picture.colours() > 1, "{name} is of one colour");
    picture.text()
}

/// The version of the machine is one of QEMU's series, and begins so.
fn check(folder: &Path, series: &str) {
    let up = text(folder, pictures::UP);
    let shows = |line: &dyn Fn(&str) -> bool| {
        assert!(up.iter().any(|shown| line(shown)), "{up:#?}");
    };
    shows(&|line| line.starts_with("Debian GNU/Linux "));
    shows(&|line| line == "guest login: user (automatic login)");
    shows(&|line| line.starts_with("Linux 7.3."));
    shows(&|line| line == "QEMU");
    shows(&|line| line.starts_with(&format!("pc-i440fx-{series}")));

    let lspci = text(folder, pictures::LSPCI);
    let title = format!(
        "Unclassified device [{:04x}]: Device {:04x}:{:04x} (rev {:02x})",
        abi::PCI_CLASS,
        abi::PCI_VENDOR_ID,
        abi::PCI_DEVICE_ID,
        abi::PCI_REVISION
    );
    let at = lspci.iter().position(|line| line.ends_with(&title));
    let at = at.unwrap_or_else(|| panic!("no {title}: {lspci:#?}"));
    assert!(lspci[at].starts_with("00:04.0 "), "{lspci:#?}");
    let indent = " ".repeat(8);
    assert_eq!(
        lspci[at + 1..at + 3],
        ["Subsystem: Red Hat, Inc. Device 1100", "Flags: fast devsel"]
            .map(|line| format!("{indent}{line}"))
    );
    let memory = &lspci[at + 3];
    assert!(
        memory.starts_with(&format!("{indent}Memory at "))
            && memory.ends_with(" (32-bit, non-prefetchable) [size=4K]"),
        "{memory}"
    );

    let log = text(folder, pictures::SELFTEST);
    let mut shown = log.iter();
    let answer = known_answers::LIBC
        .iter()
        .find(|answer| answer.seed == known_answers::SELFTEST_SEED)
        .expect("a known answer");
    let rule = "-".repeat(66);
    let rounds = (0..2).flat_map(|round| {
        let numbers = answer.first.iter().enumerate();
        numbers.map(move |(number, word)| format!("Round {round} number {number}: {word}"))
    });
    let lines = [rule.clone(), "BEGIN MY-RNG TEST".to_owned(), rule.clone()]
        .into_iter()
        .chain(rounds)
        .chain([rule.clone(), "END MY-RNG TEST".to_owned(), rule]);
    // In this order; another part of the kernel may speak in between.
    for line in lines {
        assert!(shown.any(|shown| *shown == line), "no {line}: {log:#?}");
    }
}

#[test]
fn new_pictures_show_what_they_should() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pictures::take(folder.path());
    let version = built("qemu_version");
    let version = version.display().to_string();
    let (series, _) = version.rsplit_once('.').expect("three numbers");
    check(folder.path(), series);
}

#[test]
fn the_pictures_of_the_documentation_do() {
    // Whoever took them last had a QEMU of any series.
    check(&root().join("docs/pictures"), "");
}
