// SPDX-License-Identifier: GPL-2.0-or-later

//! Lines for files that QEMU has.

use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Lines for a file of QEMU's: marked by comments, and with an empty line after them.
pub struct Insertion {
    pub file: &'static str,
    pub anchor: Anchor,
    pub lines: String,
}

/// Where lines are inserted. A line that is named must be in the file once.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Top,
    Before(&'static str),
}

/// The comments around inserted lines.
const BEGIN: &str = "# qemu-pci: begin (laid on by qemu-overlay)\n";
const END: &str = "# qemu-pci: end\n";
/// By these, lines of another version of the overlay are found too.
const MARKS: [&str; 2] = ["qemu-pci: begin", "qemu-pci: end"];

/// All insertions, for a device crate at this path in its repository.
pub fn all(krate: &str) -> [Insertion; 4] {
    let krate = Path::new("qemu-pci-devices").join(krate);
    // Joining nothing adds a slash, which goes here.
    let krate: PathBuf = krate.components().collect();
    let krate = krate.display();
    let insertion = |file, anchor, lines| Insertion {
        file,
        anchor,
        lines: format!("{BEGIN}{lines}{END}\n"),
    };
    [
        insertion(
            "hw/misc/Kconfig",
            Anchor::Top,
            format!("source {krate}/Kconfig\n"),
        ),
        insertion(
            "hw/misc/meson.build",
            Anchor::Top,
            "\
subdir('qemu-pci')
foreach device, switch : qemu_pci_devices
  system_ss.add(when: switch, if_true: [files(device + '.c'), qemu_pci])
endforeach
"
            .to_owned(),
        ),
        insertion(
            "meson.build",
            // Which makes code of all events that it is told of by then.
            Anchor::Before("subdir('trace')"),
            format!("qemu_pci_crate = '{krate}'\nsubdir('hw/misc/qemu-pci/devices')\n"),
        ),
        insertion(
            "tests/qtest/meson.build",
            // One list is made of the other there.
            Anchor::Before("qtests_x86_64 = qtests_i386"),
            "\
foreach device : qemu_pci_enabled
  if fs.exists(device + '-test.c')
    qtests_i386 += device + '-test'
  endif
endforeach
"
            .to_owned(),
        ),
    ]
}

impl Insertion {
    /// The file's text with the lines, which it does not have.
    pub fn laid_on(&self, at: &Path, text: &[u8]) -> Result<Vec<u8>> {
        let (before, after) = self.place(at, text)?;
        Ok([before, self.lines.as_bytes(), after].concat())
    }

    /// What is before the lines in the file's text, which does not have them, and what is after them.
    pub fn place<'a>(&self, at: &Path, text: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
        let fitting: Vec<_> = cuts(text)
            .filter(|(before, after)| self.anchor.is_between(before, after))
            .collect();
        match fitting[..] {
            [place] => Ok(place),
            _ => bail!(
                "the overlay's lines belong {} of {}, which is there {} times and not once; take a QEMU \
                 of a series that the overlay was tested with",
                self.anchor,
                at.display(),
                fitting.len()
            ),
        }
    }

    /// The file's text without the lines, if it has them.
    pub fn taken_off(&self, at: &Path, text: &[u8]) -> Result<Option<Vec<u8>>> {
        let rest = cuts(text).find_map(|(before, from)| {
            let after = from.strip_prefix(self.lines.as_bytes())?;
            let all =
                self.anchor.is_between(before, after) && !is_marked(before) && !is_marked(after);
            all.then(|| [before, after].concat())
        });
        if rest.is_none() {
            check_unmarked(at, text)?;
        }
        Ok(rest)
    }
}

/// An error if a file's text has lines that nothing is known of.
pub fn check_unmarked(at: &Path, text: &[u8]) -> Result<()> {
    if is_marked(text) {
        let [begin, end] = MARKS;
        bail!(
            "the overlay's lines in {} are not where they were laid, or not as they were; take them out by hand \
             (from `{begin}` to the empty line after `{end}`) and try again",
            at.display()
        );
    }
    Ok(())
}

impl Anchor {
    /// Whether this is between what is `before` and what is `after`.
    fn is_between(self, before: &[u8], after: &[u8]) -> bool {
        match self {
            Self::Top => before.is_empty(),
            Self::Before(line) => after.split(is_newline).next() == Some(line.as_bytes()),
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("at the top"),
            Self::Before(line) => write!(f, "before the line `{line}`"),
        }
    }
}

/// The text, cut in two before each of its lines, and at its end.
fn cuts(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = (0..).zip(text).filter(|(_, byte)| is_newline(byte));
    iter::once(0)
        .chain(ends.map(|(end, _)| end + 1))
        .map(|cut| text.split_at(cut))
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// Whether lines of an overlay begin or end in the text.
fn is_marked(text: &[u8]) -> bool {
    MARKS
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}
