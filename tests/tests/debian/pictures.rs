// SPDX-License-Identifier: GPL-2.0-or-later

//! What can be read on the pictures of `docs/pictures/`, and on new ones.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use my_rng_e2e::answers::self_test;
use my_rng_e2e::{Picture, built, lspci, pictures, root};

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

/// The text on a picture of a screen of 80 by 25 characters.
fn text(folder: &Path, name: &str) -> Vec<String> {
    let picture = read(&folder.join(name));
    assert_eq!(picture.size(), (720, 400), "{name}");
    assert!(picture.colours() > 1, "{name} has one colour");
    picture.text()
}

/// Checks what the pictures show. The machine's version begins with `series`.
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

    // A tab becomes eight blanks on the screen.
    let lines = text(folder, pictures::LSPCI);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.replace("        ", "\t"))
        .collect();
    let at = lines
        .iter()
        .position(|line| line.contains("Device 1234:cafe"));
    let at = at.unwrap_or_else(|| panic!("no device: {lines:#?}"));
    assert!(lines[at].starts_with("00:04.0 "), "{lines:#?}");
    assert!(lspci::check(&lines[at..at + 4], "fast devsel").is_empty());

    let log = text(folder, pictures::SELFTEST);
    let mut shown = log.iter();
    // In this order. Other parts of the kernel may print in between.
    for line in self_test() {
        assert!(shown.any(|shown| *shown == line), "no {line}: {log:#?}");
    }
}

#[test]
fn new_pictures_show_the_documented_text() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    pictures::take(folder.path());
    let help = Command::new(built("qemu")).arg("--version").output();
    let help = String::from_utf8(help.expect("QEMU can be run").stdout).expect("text");
    let version = help.split_whitespace().nth(3).expect("a version");
    let (series, _) = version.rsplit_once('.').expect("three numbers");
    check(folder.path(), series);
}

#[test]
fn published_pictures_show_the_documented_text() {
    // They may have been taken with a QEMU of any series.
    check(&root().join("docs/pictures"), "");
}
