// SPDX-License-Identifier: GPL-2.0-or-later

//! Lines to insert into QEMU's files.

use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Lines to insert into one of QEMU's files, between marker comments and followed by an empty line.
pub struct Insertion {
    pub file: &'static str,
    pub anchor: Anchor,
    pub lines: String,
}

/// Where lines are inserted. The anchor line must be in the file exactly once.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Top,
    Before(&'static str),
}

/// The comments around inserted lines.
const BEGIN: &str = "# qemu-pci: begin (laid on by qemu-overlay)\n";
const END: &str = "# qemu-pci: end\n";
/// The markers' beginnings, which also match lines of other versions of the overlay.
const MARKS: [&str; 2] = ["qemu-pci: begin", "qemu-pci: end"];

/// All insertions, for a device crate at this path in its repository.
pub fn all(krate: &str) -> [Insertion; 4] {
    let krate = Path::new("qemu-pci-devices").join(krate);
    // Joining an empty path adds a slash, which `components` removes.
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
            // `trace/` generates code for all events that were added before it.
            Anchor::Before("subdir('trace')"),
            format!("qemu_pci_crate = '{krate}'\nsubdir('hw/misc/qemu-pci/devices')\n"),
        ),
        insertion(
            "tests/qtest/meson.build",
            // Below the list of the tests that run for each target.
            Anchor::Before("qtests_x86_64 = qtests_i386"),
            "\
foreach device : qemu_pci_enabled
  if fs.exists(device + '-test.c')
    qtests_generic += device + '-test'
  endif
endforeach
"
            .to_owned(),
        ),
    ]
}

impl Insertion {
    /// Returns the file's text with the lines inserted. It must not have them yet.
    pub fn laid_on(&self, at: &Path, text: &[u8]) -> Result<Vec<u8>> {
        let (before, after) = self.place(at, text)?;
        Ok([before, self.lines.as_bytes(), after].concat())
    }

    /// Splits a text without the lines at the place where they belong.
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

    /// Returns the file's text without the lines, if it has them.
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

/// Fails if a file has lines of an overlay that are not in the record.
pub fn check_unmarked(at: &Path, text: &[u8]) -> Result<()> {
    if is_marked(text) {
        let [begin, end] = MARKS;
        bail!(
            "the overlay's lines in {} were moved or edited; delete them by hand \
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

/// Splits the text at the start of each line, and at its end.
fn cuts(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = (0..).zip(text).filter(|(_, byte)| is_newline(byte));
    iter::once(0)
        .chain(ends.map(|(end, _)| end + 1))
        .map(|cut| text.split_at(cut))
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// Whether the text has a marker of an overlay.
fn is_marked(text: &[u8]) -> bool {
    MARKS
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}
