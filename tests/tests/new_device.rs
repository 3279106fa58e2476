// SPDX-License-Identifier: GPL-2.0-or-later

//! `docs/new-device.md` tells the truth: what it shows of files is in them, what it gives as commands
//! works and prints what it shows, and the example that it goes through is as small as is said of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use my_rng_e2e::{built, root};

/// What stands between two fences of the page.
struct Block {
    /// What follows the opening fence.
    info: String,
    /// Where it opens.
    line: usize,
    lines: Vec<String>,
}

enum Kind<'a> {
    /// To be given to a shell.
    Commands,
    /// What the commands before it print.
    Output,
    /// A part of a file.
    Excerpt(&'a str),
}

impl Block {
    fn kind(&self) -> Kind<'_> {
        match self.info.split_once(' ') {
            Some((_, file)) => Kind::Excerpt(file),
            None if self.info == "sh" => Kind::Commands,
            None if self.info == "text" => Kind::Output,
            None => panic!("line {}: a block of the kind `{}`", self.line, self.info),
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn page() -> Vec<Block> {
    let text = read("docs/new-device.md");
    let mut lines = (1..).zip(text.lines());
    let mut blocks = Vec::new();
    while let Some((line, text)) = lines.next() {
        assert!(
            !text.starts_with(" ") || !text.contains("```"),
            "line {line}: an indented fence"
        );
        if let Some(info) = text.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, text)| text.to_owned());
            blocks.push(Block {
                info: info.to_owned(),
                line,
                lines: inside.take_while(|text| text != "```").collect(),
            });
        }
    }
    assert!(!blocks.is_empty());
    blocks
}

/// Where in `lines` those of `part` stand one below the other.
fn find(lines: &[&str], part: &[String]) -> Option<usize> {
    lines.windows(part.len()).position(|window| window == part)
}

#[test]
fn excerpts_are_what_the_files_say() {
    for block in page() {
        let Kind::Excerpt(file) = block.kind() else {
            continue;
        };
        let text = read(file);
        let lines: Vec<_> = text.lines().collect();
        let mut rest = &lines[..];
        // Their order is that of the file, too.
        for part in block.lines.split(|line| line.trim() == "// ...") {
            let at = find(rest, part).unwrap_or_else(|| {
                panic!(
                    "line {}: {file} has nowhere:\n{}",
                    block.line,
                    part.join("\n")
                )
            });
            rest = &rest[at + part.len()..];
        }
    }
}

/// Or it would be compared with nothing.
#[test]
fn what_is_printed_stands_below_its_commands() {
    let blocks = page();
    assert!(!matches!(blocks[0].kind(), Kind::Output));
    for pair in blocks.windows(2) {
        if matches!(pair[1].kind(), Kind::Output) {
            let below = matches!(pair[0].kind(), Kind::Commands);
            assert!(below, "line {}: the output of what?", pair[1].line);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let text = read("docs/new-device.md");
    for link in text.split("](").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        let file = target.split('#').next().unwrap_or_default();
        assert!(root().join("docs").join(file).exists(), "{target}");
    }
}

/// What of `devices.rs` is the example's.
fn registration() -> String {
    let text = read("rust-dev/src/qemu/devices.rs");
    let start = text
        .find("#[cfg(feature = \"my_counter\")]")
        .expect("the example is among the devices");
    let end = text[start..].find("\n}\n").expect("the end of it") + start;
    text[start..end + 3].to_owned()
}

#[test]
fn the_example_is_small_and_safe() {
    let model = read("rust-dev/src/my_counter.rs");
    let tests = read("rust-dev/src/my_counter/tests.rs");
    let registration = registration();
    for text in [&model, &tests, &registration] {
        assert!(!text.contains("unsafe"), "{text}");
    }
    let declaration = "#[cfg(any(test, feature = \"my_counter\"))]\npub mod my_counter;\n";
    assert!(read("rust-dev/src/lib.rs").contains(declaration));
    // All of its Rust but its tests, which are declared in three lines.
    assert!(model.contains("#[cfg(test)]\nmod tests;\n\n"));
    let count = [&*model, &*registration, declaration]
        .concat()
        .lines()
        .count()
        - 3;
    assert!(count <= 160, "{count} lines of Rust");
}

/// Neither a type nor a symbol.
#[test]
fn nothing_of_the_example_is_in_a_qemu_that_did_not_ask() {
    let qemu = fs::read(built("qemu")).expect("make has built QEMU");
    for name in ["my_counter", "my-counter", "MY_COUNTER", "MyCounter"] {
        let found = qemu.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(!found, "{name}");
    }
}

/// A line as a terminal shows it at last: the monitor writes what is typed anew for each character.
fn as_shown(line: &str) -> String {
    let (mut shown, mut column) = (Vec::new(), 0_usize);
    let mut rest = line.trim_end_matches('\r');
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\x1b[K") {
            shown.truncate(column);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\x1b[D") {
            column = column.saturating_sub(1);
            rest = after;
        } else {
            match shown.get_mut(column) {
                Some(place) => *place = next,
                None => shown.push(next),
            }
            column += 1;
            rest = &rest[next.len_utf8()..];
        }
    }
    String::from_iter(shown).trim_end().to_owned()
}

/// Whether the text is as the pattern, in which `...` stands for anything.
fn line_fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once("...") {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| &rest[at..])
                .chain([""])
                .any(|rest| line_fits(after, rest))
        }),
    }
}

/// Likewise for lines: a line `...` stands for any number of them.
fn fits(pattern: &[String], lines: &[String]) -> bool {
    match pattern {
        [] => lines.is_empty(),
        [first, rest @ ..] if first == "..." => {
            let mut tails = (0..=lines.len()).filter_map(|skipped| lines.get(skipped..));
            tails.any(|lines| fits(rest, lines))
        }
        [first, rest @ ..] => lines
            .split_first()
            .is_some_and(|(line, lines)| line_fits(first, line) && fits(rest, lines)),
    }
}

#[test]
fn patterns_fit_what_they_should() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (pattern, text, expected) in [
        ("a\nb", "a\nb", true),
        ("a", "a\nb", false),
        ("a\n...", "a\nb\nc", true),
        ("...\nc", "a\nb\nc", true),
        ("...\nb", "a\nb\nc", false),
        ("...", "", true),
        ("ok. 5 passed; ...", "ok. 5 passed; 0 failed", true),
        ("a ... c", "a b d", false),
    ] {
        assert_eq!(fits(&lines(pattern), &lines(text)), expected, "{pattern}");
    }
    let typed = "(qemu) q\x1b[K\x1b[Dqu\x1b[K\x1b[D\x1b[Dquit\x1b[K\r";
    assert_eq!(as_shown(typed), "(qemu) quit");
}

/// Given by `scripts/check-new-device.sh`: a home folder as the page wants it. This does there all that
/// the page says, in one shell, as its reader does.
#[test]
#[ignore = "takes minutes, and a home folder that scripts/check-new-device.sh makes"]
fn every_command_works_and_prints_what_is_shown() {
    let home = std::env::var_os("NEW_DEVICE_HOME").expect("run scripts/check-new-device.sh");
    let blocks = page();
    let commands: Vec<_> = (0..)
        .zip(&blocks)
        .filter(|(_, block)| matches!(block.kind(), Kind::Commands))
        .collect();
    let mut script = String::new();
    for (index, block) in &commands {
        script += &format!("echo; echo '=== {index}'\n{}\n", block.lines.join("\n"));
    }
    let outputs = run(Path::new(&home), &script);
    assert_eq!(outputs.len(), commands.len());
    for ((index, block), output) in commands.iter().zip(outputs) {
        let Some(expected) = blocks.get(index + 1) else {
            continue;
        };
        if matches!(expected.kind(), Kind::Output) {
            assert!(
                fits(&expected.lines, &output),
                "line {}: this was to be printed:\n{}\nand this was:\n{}",
                block.line,
                expected.lines.join("\n"),
                output.join("\n")
            );
        }
    }
    println!("{} blocks of commands work", commands.len());
}

/// What each part of the script printed. The shell has to be content with all its commands.
fn run(home: &Path, script: &str) -> Vec<Vec<String>> {
    let mut shell = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; set -eo pipefail\n{script}")])
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let mut outputs: Vec<Vec<String>> = Vec::new();
    for line in BufReader::new(shell.stdout.take().expect("a pipe")).lines() {
        let line = as_shown(&line.expect("text"));
        println!("{line}");
        if line.starts_with("=== ") {
            outputs.push(Vec::new());
        } else if let Some(output) = outputs.last_mut() {
            output.push(line);
        }
    }
    let status = shell.wait().expect("bash ends");
    assert!(status.success(), "a command failed: {status}");
    for output in &mut outputs {
        // The empty line before the next mark, and what else ends so.
        while output.last().is_some_and(String::is_empty) {
            output.pop();
        }
    }
    outputs
}
