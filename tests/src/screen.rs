// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's screen: a VGA in text mode. Its text is read from pictures, cell by cell, by comparing with the
//! font of the VGA BIOS.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;

use crate::{DEADLINE, Process, build_folder, built};

/// The size of a character's cell: eight columns of the font and one between characters, and the lines.
const CELL: (usize, usize) = (9, 16);
/// A character: a byte for each line of dots, the leftmost dot in its highest bit.
type Glyph = [u8; CELL.1];

/// The printable characters of ASCII by their glyphs.
fn font() -> &'static HashMap<Glyph, char> {
    static FONT: OnceLock<HashMap<Glyph, char>> = OnceLock::new();
    FONT.get_or_init(|| {
        let bios = built("qemu").with_file_name("../share/qemu/vgabios-stdvga.bin");
        let bios = fs::read(&bios).unwrap_or_else(|error| panic!("{}: {error}", bios.display()));
        // The font's first character is empty, and its second is a face.
        const FACE: Glyph = [
            0, 0, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e, 0, 0, 0, 0,
        ];
        let glyphs = bios
            .windows(128 * CELL.1)
            .find(|glyphs| glyphs[..CELL.1] == [0; CELL.1] && glyphs[CELL.1..][..CELL.1] == FACE)
            .expect("the VGA BIOS has a font of 16 lines");
        let font: HashMap<_, _> = (' '..='~')
            .zip(glyphs.chunks_exact(CELL.1).skip(usize::from(b' ')))
            .map(|(character, glyph)| (glyph.try_into().expect("16 lines"), character))
            .collect();
        assert_eq!(font.len(), 95, "two characters look the same");
        font
    })
}

/// A picture of a screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A picture with this width, from three bytes for each pixel, line by line.
    pub fn new(width: usize, rgb: &[u8]) -> Self {
        assert_eq!(rgb.len() % (3 * width), 0, "not lines of {width} pixels");
        let pixels = rgb.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]);
        Self {
            width,
            pixels: pixels.collect(),
        }
    }

    fn from_ppm(bytes: &[u8]) -> Self {
        let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
        let mut part = || parts.next().unwrap_or_default();
        assert_eq!(part(), b"P6");
        let size = String::from_utf8_lossy(part());
        let width = size.split(' ').next().and_then(|width| width.parse().ok());
        assert_eq!(part(), b"255");
        Self::new(width.expect("a width"), part())
    }

    /// Width and height.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.pixels.len() / self.width)
    }

    /// The number of colours.
    pub fn colours(&self) -> usize {
        self.pixels.iter().collect::<HashSet<_>>().len()
    }

    /// The lines of text, without trailing blanks; none if the screen is not in text mode. Anything but a printable
    /// character of ASCII becomes U+FFFD, or is dropped at the end of a line (the cursor).
    pub fn text(&self) -> Vec<String> {
        let (width, height) = self.size();
        if width % CELL.0 != 0 || height % CELL.1 != 0 {
            return vec![];
        }
        let line = |row: usize| {
            let characters = (0..width / CELL.0).map(|column| self.character(row, column));
            let line = characters.collect::<String>();
            line.trim_end_matches([' ', char::REPLACEMENT_CHARACTER])
                .to_owned()
        };
        (0..height / CELL.1).map(line).collect()
    }

    fn character(&self, row: usize, column: usize) -> char {
        let line = |line: usize| {
            let start = (row * CELL.1 + line) * self.width + column * CELL.0;
            &self.pixels[start..][..CELL.0]
        };
        // The column between characters has the background's colour.
        let background = line(0)[CELL.0 - 1];
        let mut glyph = Glyph::default();
        for (index, dots) in glyph.iter_mut().enumerate() {
            *dots = line(index)[..8]
                .iter()
                .fold(0, |dots, pixel| dots << 1 | u8::from(*pixel != background));
        }
        *font().get(&glyph).unwrap_or(&char::REPLACEMENT_CHARACTER)
    }
}

impl Process {
    /// Takes a picture of the screen.
    pub fn screen(&mut self) -> Picture {
        let file = self.folder().join("screen.ppm");
        self.qmp
            .execute("screendump", json!({ "filename": &file, "format": "ppm" }));
        Picture::from_ppm(&fs::read(&file).expect("a picture of the screen"))
    }

    /// Saves a picture of the screen as PNG.
    pub fn save_screen(&mut self, file: &Path) {
        let file = std::path::absolute(file).expect("a path");
        self.qmp
            .execute("screendump", json!({ "filename": file, "format": "png" }));
    }

    /// Waits until `wanted` accepts the last line of text on the screen. Returns all lines.
    pub fn screen_until(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut lines = self.screen().text();
            let last = lines.iter().rposition(|line| !line.is_empty());
            lines.truncate(last.map_or(0, |last| last + 1));
            if lines.last().is_some_and(|last| wanted(last)) {
                return lines;
            }
            if Instant::now() >= deadline {
                let picture = build_folder().join("log/screen.png");
                self.save_screen(&picture);
                panic!(
                    "the screen stays at {lines:#?}; a picture of it is in {}",
                    picture.display()
                );
            }
        }
    }

    /// Types a line and the Enter key. Waits until the screen shows each character.
    pub fn type_line(&mut self, line: &str) {
        let mut typed = String::new();
        for character in line.chars() {
            self.press(&keys(character));
            typed.push(character);
            // A blank is invisible.
            if character != ' ' {
                self.screen_until(|last| last.ends_with(&typed));
            }
        }
        self.press(&["ret"]);
    }

    fn press(&mut self, keys: &[&str]) {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| json!({ "type": "qcode", "data": key }))
            .collect();
        // hold-time is in milliseconds. QEMU releases a key before it presses the next one.
        self.qmp
            .execute("send-key", json!({ "keys": keys, "hold-time": 5 }));
    }
}

/// The keys for a character on an American keyboard.
fn keys(character: char) -> Vec<&'static str> {
    const NAMED: [(char, &[&str]); 12] = [
        (' ', &["spc"]),
        ('-', &["minus"]),
        ('_', &["shift", "minus"]),
        ('/', &["slash"]),
        ('.', &["dot"]),
        (',', &["comma"]),
        (';', &["semicolon"]),
        ('{', &["shift", "bracket_left"]),
        ('}', &["shift", "bracket_right"]),
        ('|', &["shift", "backslash"]),
        ('&', &["shift", "7"]),
        ('*', &["shift", "8"]),
    ];
    const SAME: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    if let Some(at) = SAME.find(character) {
        return vec![&SAME[at..=at]];
    }
    NAMED
        .iter()
        .find(|(named, _)| *named == character)
        .map(|(_, keys)| keys.to_vec())
        .unwrap_or_else(|| panic!("no key for {character:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paints a line of text as a VGA does.
    fn paint(text: &str, ink: [u8; 3], paper: [u8; 3]) -> Picture {
        let glyph = |wanted: char| {
            let found = font().iter().find(|(_, character)| **character == wanted);
            *found.expect("a character of ASCII").0
        };
        let glyphs: Vec<_> = text.chars().map(glyph).collect();
        let rgb: Vec<u8> = (0..CELL.1)
            .flat_map(|line| glyphs.iter().map(move |glyph| u16::from(glyph[line]) << 1))
            .flat_map(|dots| (0..CELL.0).rev().map(move |dot| dots >> dot & 1 == 1))
            .flat_map(|dot| if dot { ink } else { paper })
            .collect();
        Picture::new(glyphs.len() * CELL.0, &rgb)
    }

    #[test]
    fn text_on_a_picture_is_read() {
        let all: String = (' '..='~').collect();
        for (ink, paper) in [([170; 3], [0; 3]), ([0, 0, 170], [255, 255, 85])] {
            let picture = paint(&all, ink, paper);
            assert_eq!(picture.text(), [all.as_str()]);
            assert_eq!(picture.size(), (95 * 9, 16));
            assert_eq!(picture.colours(), 2);
        }
    }

    #[test]
    fn a_cursor_at_the_end_of_a_line_is_dropped() {
        let mut picture = paint("$ ls  ", [170; 3], [0; 3]);
        let (width, _) = picture.size();
        for line in 13..15 {
            picture.pixels[line * width + 5 * CELL.0..][..8].fill([170; 3]);
        }
        assert_eq!(picture.text(), ["$ ls"]);
        // A cursor below a character hides it.
        picture.pixels[14 * width..][..8].fill([170; 3]);
        assert_eq!(picture.text(), ["\u{fffd} ls"]);
    }

    #[test]
    fn a_picture_of_a_graphics_mode_has_no_text() {
        assert!(Picture::new(640, &[0; 640 * 480 * 3]).text().is_empty());
    }
}
