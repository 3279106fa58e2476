// SPDX-License-Identifier: GPL-2.0-or-later

//! `docs/new-device.md` is true: its commands work and print what it shows, its code is in the example, and its table has
//! all errors of the kit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use my_rng_e2e::root;

const PAGE: &str = "docs/new-device.md";

fn read(file: impl AsRef<Path>) -> String {
    let file = root().join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The blocks of commands, each with its output if the page shows it.
fn commands() -> Vec<(String, Option<String>)> {
    let text = read(PAGE);
    let mut blocks = Vec::new();
    for block in text.split("\n```").skip(1).step_by(2) {
        let (kind, lines) = block.split_once('\n').expect("a block has lines");
        match (kind, blocks.last_mut()) {
            ("sh", _) => blocks.push((lines.to_owned(), None)),
            ("text", Some((_, output @ None))) => *output = Some(lines.to_owned()),
            _ => panic!("unexpected block of kind `{kind}`:\n{lines}"),
        }
    }
    blocks
}

/// Whether a text matches a pattern, in which `...` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let with_newlines = |text: &str| -> String {
        let lines = text.lines().map(|line| match line {
            "..." => line.to_owned(),
            _ => format!("\n{line}"),
        });
        lines.collect()
    };
    let (pattern, text) = (with_newlines(pattern), with_newlines(text));
    let Some((first, others)) = pattern.split_once("...") else {
        return pattern == text;
    };
    let (middle, last) = others.rsplit_once("...").unwrap_or(("", others));
    let mut rest = text.strip_prefix(first);
    for part in middle.split("...") {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some_and(|rest| rest.ends_with(last))
}

#[test]
fn patterns_match_texts() {
    for (pattern, text, expected) in [
        ("a\nb", "a\nb", true),
        ("a", "a\nb", false),
        ("a", "", false),
        ("a\n...", "a\nb\nc", true),
        ("a\n...\nb", "a\nb", true),
        ("...\nc", "a\nb\nc", true),
        ("...\nc", "a\nbc", false),
        ("...\nb", "a\nb\nc", false),
        ("...", "", true),
        ("ok. 5 passed; ...", "ok. 5 passed; 0 failed", true),
        ("a ... c", "a b d", false),
        ("a...a", "a", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} and {text}");
    }
}

/// A line as a terminal shows it: QEMU's monitor prints the whole command again after each character.
fn as_shown(line: &str) -> String {
    let line = line.replace(['\r', '\0'], "").replace("\x1b[K", "");
    let shown = match line.rsplit_once("\x1b[D") {
        Some((_, command)) => format!("(qemu) {command}"),
        None => line,
    };
    shown.trim_end().to_owned()
}

#[test]
fn a_command_is_shown_as_it_was_typed() {
    let typed = "(qemu) q\x1b[K\x1b[Dqu\x1b[K\x1b[D\x1b[Dquit\x1b[K\r";
    assert_eq!(as_shown(typed), "(qemu) quit");
}

#[test]
fn links_have_targets() {
    for page in [PAGE, "docs/kit.md", "docs/examples.md"] {
        for link in read(page).split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            let found = target.contains("://") || root().join("docs").join(file).exists();
            assert!(found, "{page}: {target}");
        }
    }
}

/// The code in backticks in a section of the page.
fn code(section: &str) -> Vec<String> {
    let text = read(PAGE);
    let (_, section) = text.split_once(section).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let parts = section.split('`').skip(1).step_by(2);
    parts.map(|part| part.replace("\\|", "|")).collect()
}

#[test]
fn code_on_the_page_is_in_the_examples() {
    let examples = ["rust_edu.rs", "my_rng.rs", "my_rng/bulk.rs"];
    let example = examples.map(|file| read(format!("rust-dev/src/devices/{file}")));
    let example = example.concat();
    let code = code("## 4. More abilities");
    let of_the_example = code
        .iter()
        .filter(|code| code.ends_with([';', ',', ')', '=', '{']));
    let mut count = 0;
    for code in of_the_example {
        assert!(example.contains(code.as_str()), "{code}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// The files of the kit.
fn kit() -> Vec<PathBuf> {
    let mut folders = vec![root().join("rust-dev/qemu-pci/src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a directory of the kit") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                None => folders.push(path),
                Some(_) => files.push(path),
            }
        }
    }
    files.retain(|path| !path.ends_with("tests.rs"));
    files
}

/// The string literals in `text` up to the end of the parentheses in which it begins.
fn literals(text: &str) -> Vec<&str> {
    let (mut literals, mut depth) = (Vec::new(), 1);
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            literals.push(part);
            continue;
        }
        for letter in part.chars() {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            if depth == 0 {
                return literals;
            }
        }
    }
    literals
}

/// The errors of the kit: the fixed parts of their texts.
fn refusals() -> Vec<String> {
    const STARTS: &str =
        "assert!( panic!( .expect( Err( fail( report( map_err( ok_or_else( guest_error( Some(";
    let mut refusals = Vec::new();
    for file in kit() {
        let text = read(&file);
        let text = text.split("#[cfg(test)]\nmod tests").next();
        let lines = text.unwrap_or_default().lines();
        let code: Vec<_> = lines
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        for start in STARTS.split(' ') {
            for (at, _) in code.match_indices(start) {
                for literal in literals(&code[at + start.len()..]) {
                    let literal = literal.replace("\\n", "{").replace("\\\n", "{");
                    let parts = literal.split(['{', '}']);
                    let parts = parts.map(|part| part.trim_matches([':', ' ']).to_owned());
                    refusals.extend(parts.filter(|part| part.contains(' ') && !part.contains('%')));
                }
            }
        }
    }
    refusals
}

#[test]
fn every_error_of_the_kit_is_in_the_table() {
    // A model cannot cause it.
    const INTERNAL: [&str; 1] = ["the slots behind it want 8"];
    let page = read(PAGE);
    let refusals = refusals();
    assert!(refusals.len() > 30, "{refusals:?}");
    let missing: Vec<_> = refusals
        .iter()
        .filter(|text| !page.contains(text.as_str()) && !INTERNAL.contains(&text.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in {PAGE}: {missing:#?}");
}

/// Counts lines that are not blank, comments or tests.
#[test]
fn the_examples_are_short_and_safe() {
    for (file, most) in [
        ("rust-dev/qemu-pci/examples/one_register.rs", 40),
        ("rust-dev/src/devices/rust_edu.rs", 210),
        ("rust-dev/src/devices/rust_testdev.rs", 150),
    ] {
        let text = read(file);
        let code = text.replace("#[cfg(test)]\nmod tests;\n", "");
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = code.lines().filter(is_code).count();
        assert!(lines <= most, "{file} has {lines} lines");
        assert!(!text.contains("unsafe"), "{file}");
    }
}

/// Runs the commands of the page in one shell, as its reader does.
#[test]
#[ignore = "takes minutes, and needs a home directory that scripts/check-new-device.sh makes"]
fn every_command_works_and_prints_what_is_shown() {
    let home = std::env::var_os("NEW_DEVICE_HOME").expect("run scripts/check-new-device.sh");
    let commands = commands();
    let mut script = "exec 2>&1; set -eo pipefail\n".to_owned();
    for (lines, _) in &commands {
        script += &format!("echo; echo '=== block'\n{lines}\n");
    }
    let mut shell = Command::new("bash")
        .args(["-c", &script])
        .env("HOME", &home)
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let mut outputs: Vec<String> = Vec::new();
    for line in BufReader::new(shell.stdout.take().expect("a pipe")).lines() {
        let line = as_shown(&line.expect("text"));
        println!("{line}");
        match outputs.last_mut() {
            _ if line == "=== block" => outputs.push(String::new()),
            Some(output) => *output += &format!("{line}\n"),
            None => {}
        }
    }
    let status = shell.wait().expect("bash ends");
    assert!(status.success(), "a command failed: {status}");
    assert_eq!(outputs.len(), commands.len());
    for ((lines, expected), output) in commands.iter().zip(&outputs) {
        if let Some(expected) = expected {
            let output = output.trim_end();
            assert!(
                matches(expected, output),
                "{lines}\nshould print:\n{expected}\nbut prints:\n{output}"
            );
        }
    }
    println!("{} blocks of commands work", commands.len());
}
